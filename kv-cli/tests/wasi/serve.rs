//! `serve`.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::run::Kv;
use crate::server::Server;
use crate::{components, guest};

#[test]
fn each_of_many_requests_is_counted_once() {
    const CLIENTS: usize = 64;
    const EACH: usize = 5;
    let kv = Kv::new();
    let server = Server::start(&kv, &guest("http-counter"), &[]);
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

/// Where a process may not have the address space for a pool of memories, it does without.
#[test]
#[cfg(target_os = "linux")]
fn a_small_address_space_is_enough() {
    let kv = Kv::new();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 30000000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kv"), "--json"]);
    let component = guest("http-counter");
    command.args(["serve", &component, "--addr", "127.0.0.1:0"]).env("KV_STORE", kv.url());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = ready["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let server = Server { child, address };
    assert_eq!(server.get("/").0, "200 OK");
    assert!(server.stop().contains("there is no pool of it"));
}

/// A request that fails is one line for who runs the server, a status for the client, and nothing to the next one.
#[test]
fn a_program_that_fails_ends_one_request() {
    let kv = Kv::new();
    // Its counter does not count.
    kv.ok(&["set", "", "visits", "no number"]);
    let server = Server::start(&kv, &guest("http-counter"), &[]);
    assert!(server.get("/visits").0.starts_with('5'));
    assert_eq!(server.get("/other"), ("200 OK".into(), "1".into()));
    server.stop();
}

/// Each way to fail is a status for the client and one line for who runs the server.
#[test]
fn a_program_that_does_not_answer_is_told_once() {
    for (then, status, told) in [
        ("unreachable", "500 Internal Server Error", "the program trapped: wasm trap: wasm `unreachable` instruction"),
        ("", "500 Internal Server Error", "the program ended without an answer"),
        (components::SPIN, "504 Gateway Timeout", "a request took longer than 500ms, and its instance was ended"),
    ] {
        let kv = Kv::new();
        let component = components::file(&kv, "handler", &components::handler(then));
        let server = Server::start(&kv, &component, &["--timeout", "500ms"]);
        assert_eq!(server.get("/").0, status);
        let said = server.stop();
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines.len() == 3 && lines[0] == "begun" && lines[1].contains(told), "{said}");
        assert!(lines[2].starts_with("kv: stopping"), "{said}");
    }
}

/// As programs of that winter have it, with parts of WASI of two dates.
#[test]
fn a_handler_of_a_release_candidate_answers() {
    let kv = Kv::new();
    let mut component = components::handler("unreachable");
    for (name, version) in [
        ("wasi:io/streams@0.2.0", "-rc-2023-11-10"),
        ("wasi:cli/stderr@0.2.0", "-rc-2023-12-05"),
        ("wasi:http/types@0.2.0", "-rc-2023-12-05"),
        ("wasi:http/incoming-handler@0.2.0", "-rc-2023-12-05"),
    ] {
        assert!(component.contains(name));
        component = component.replace(name, &format!("{name}{version}"));
    }
    let component = components::file(&kv, "handler", &component);
    let server = Server::start(&kv, &component, &[]);
    assert_eq!(server.get("/").0, "500 Internal Server Error");
    assert!(server.stop().starts_with("begun\n"));
}

/// The client sees the connection end, and not the body.
#[test]
fn a_broken_reply_does_not_look_whole() {
    let kv = Kv::new();
    let server = Server::start(&kv, &guest("http-counter"), &[]);
    let answer = server.raw("/trap");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("transfer-encoding: chunked"), "{answer:?}");
    assert_eq!(body, "2\r\n1\n\r\n");
    assert_eq!(server.get("/other"), ("200 OK".into(), "1".into()));
    assert!(server.stop().contains("the program trapped: wasm trap: wasm `unreachable` instruction"));
}

/// Its instance ends with the connection, and the server waits for nothing then.
#[test]
fn a_client_that_goes_away_leaves_nothing_behind() {
    let kv = Kv::new();
    let component = components::file(&kv, "handler", &components::handler(components::SPIN));
    let mut server = Server::start(&kv, &component, &["--timeout", "60s"]);
    let mut told = BufReader::new(server.child.stderr.take().unwrap()).lines();
    let client = server.ask("/");
    assert_eq!(told.next().unwrap().unwrap(), "begun");
    drop(client);
    server.ask_to_end();
    // Neither that its time was over, nor that it did not end.
    let said: Vec<String> = told.map(Result::unwrap).collect();
    assert!(said.len() == 1 && said[0].starts_with("kv: stopping"), "{said:?}");
    assert!(server.child.wait().unwrap().success());
}

/// Who asked before the end is answered after it began.
#[test]
fn requests_that_run_are_finished() {
    let kv = Kv::new();
    let component = components::file(&kv, "handler", &components::handler(components::SPIN));
    let mut server = Server::start(&kv, &component, &["--timeout", "2s"]);
    let mut told = BufReader::new(server.child.stderr.take().unwrap()).lines();
    let mut next = || told.next().unwrap().unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| server.get("/"));
        assert_eq!(next(), "begun");
        server.ask_to_end();
        assert!(next().starts_with("kv: stopping"));
        assert!(TcpStream::connect(&server.address).is_err());
        assert!(next().contains("a request took longer than 2s"));
        assert_eq!(client.join().unwrap().0, "504 Gateway Timeout");
    });
    assert!(server.child.wait().unwrap().success());
}

/// Also those that go on calling the host: each would begin more for the host to wait for.
#[test]
fn requests_without_end_are_ended_when_it_is_asked_twice() {
    for wat in [components::handler(components::SPIN), components::writer()] {
        let kv = Kv::new();
        let component = components::file(&kv, "handler", &wat);
        let mut server = Server::start(&kv, &component, &["--timeout", "1h"]);
        let mut told = BufReader::new(server.child.stderr.take().unwrap()).lines();
        let _clients: Vec<TcpStream> = (0..8).map(|_| server.ask("/")).collect();
        (0..8).for_each(|_| assert_eq!(told.next().unwrap().unwrap(), "begun"));
        server.ask_to_end();
        assert!(told.next().unwrap().unwrap().starts_with("kv: stopping"));
        server.ask_to_end();
        // Not that the request took longer than its time.
        assert!(told.next().is_none() && server.child.wait().unwrap().success());
        // The store was closed.
        kv.ok(&["set", "b", "k", "v"]);
    }
}

/// A component of many parts is served as it is run. The more memories it has, the fewer requests run at once, and the fewer
/// connections there are; another one waits.
#[test]
fn connections_have_a_number() {
    let kv = Kv::new();
    let memories = "(core instance (instantiate $more))".repeat(700);
    let more = format!("(core module $more (memory 0)) {memories}");
    let component = components::file(&kv, "handler", &components::handler_with("", &more));
    let server = Server::start(&kv, &component, &["--timeout", "60s"]);
    let mut idle: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    let mut client = server.ask("/");
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(client.read(&mut [0]).is_err());
    idle.pop();
    client.set_read_timeout(None).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    drop(idle);
    assert!(server.stop().starts_with("begun\n"));
}

#[test]
fn a_client_that_does_not_send_is_let_go() {
    let kv = Kv::new();
    let server = Server::start(&kv, &guest("http-counter"), &["--timeout", "500ms"]);
    let mut client = TcpStream::connect(&server.address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    server.stop();
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let kv = Kv::new();
    let server = Server::start(&kv, &guest("http-counter"), &["--timeout", "500ms"]);
    let mut client = TcpStream::connect(&server.address).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    // They are refused, so that each takes little: with these answers more is ready for the client than any socket holds.
    let requests = b"GET / HTTP/1.1\r\n\r\n".repeat(10_000);
    let sent = (0..200).try_for_each(|_| client.write_all(&requests));
    let why = sent.unwrap_err().kind();
    assert!(matches!(why, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{why}");
    assert_eq!(server.get("/").0, "200 OK");
    server.stop();
}

#[test]
fn a_client_that_has_shut_its_side_is_answered() {
    let kv = Kv::new();
    let server = Server::start(&kv, &guest("http-counter"), &[]);
    let mut client = server.ask("/");
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    server.stop();
}

#[test]
fn a_request_without_a_host_is_refused() {
    let kv = Kv::new();
    let server = Server::start(&kv, &guest("http-counter"), &[]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request"), "{answer}");
    assert_eq!(server.stop().lines().count(), 1);
}
