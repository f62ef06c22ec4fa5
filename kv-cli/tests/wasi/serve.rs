//! `serve`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::guest;
use crate::run::Kv;

/// A server of a test's own; it is ended at the latest with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(kv: &Kv, name: &str, options: &[&str]) -> Self {
        let mut command = kv.command(&["serve", &guest(name), "--addr", "127.0.0.1:0"]);
        let mut child = command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    /// One request; gives the status line's rest and the body.
    fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.lines().next().unwrap().strip_prefix("HTTP/1.1 ").unwrap().to_owned();
        // The body comes in one piece, with its length before it.
        let body = body.lines().find(|line| line.trim_end().parse::<u64>().is_ok_and(|_| !head.contains("chunked")));
        let body = body.or_else(|| answer.lines().rev().find(|line| !line.is_empty() && *line != "0"));
        (status, body.unwrap_or_default().to_owned())
    }

    /// Asks it to end and gives what it said on standard error.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        told
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_of_many_requests_is_counted_once() {
    const CLIENTS: usize = 64;
    const EACH: usize = 5;
    let kv = Kv::new();
    let server = Server::start(&kv, "http-counter", &[]);
    assert_eq!(server.get("/visits"), ("200 OK".into(), "1".into()));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| (0..EACH).for_each(|_| assert_eq!(server.get("/visits").0, "200 OK")));
        }
    });
    let told = server.stop();
    assert!(told.contains("stopping"), "{told}");
    // The store was closed, and holds what was answered.
    assert_eq!(kv.ok(&["get", "", "visits"]).text(), (1 + CLIENTS * EACH).to_string());
}

/// A request that fails is one line for who runs the server, a status for the client, and nothing to the next one.
#[test]
fn a_program_that_fails_ends_one_request() {
    let kv = Kv::new();
    // Its counter does not count.
    kv.ok(&["set", "", "visits", "no number"]);
    let server = Server::start(&kv, "http-counter", &[]);
    assert!(server.get("/visits").0.starts_with('5'));
    assert_eq!(server.get("/other"), ("200 OK".into(), "1".into()));
    server.stop();
}
