//! `kv serve`, for a test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::run::Kv;

/// A server of a test's own; it is ended at the latest with the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(kv: &Kv, component: &str, options: &[&str]) -> Self {
        let mut command = kv.command(&["serve", component, "--addr", "127.0.0.1:0"]);
        let mut child = command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    /// Asks, and does not wait.
    pub(crate) fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        stream
    }

    /// All that comes until the connection ends.
    pub(crate) fn raw(&self, path: &str) -> String {
        let mut answer = String::new();
        self.ask(path).read_to_string(&mut answer).unwrap();
        answer
    }

    /// One request; gives the status line's rest and the body.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        let answer = self.raw(path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.lines().next().unwrap().strip_prefix("HTTP/1.1 ").unwrap().to_owned();
        // The body comes in one piece, with its length before it.
        let body = body.lines().find(|line| line.trim_end().parse::<u64>().is_ok_and(|_| !head.contains("chunked")));
        let body = body.or_else(|| answer.lines().rev().find(|line| !line.is_empty() && *line != "0"));
        (status, body.unwrap_or_default().to_owned())
    }

    pub(crate) fn ask_to_end(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Asks it to end and gives what it said on standard error.
    pub(crate) fn stop(mut self) -> String {
        self.ask_to_end();
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
