//! `serve`, with programs that are large, or become so.

use std::io::{BufRead as _, BufReader};

use crate::components;
use crate::run::Kv;
use crate::server::Server;

const TRAPPED: &str = "the program trapped: wasm trap: wasm `unreachable` instruction";

/// Serves it with these lines of a policy, and asks once; gives the status, and what was said before the end.
fn ask_once(wat: &str, lines: &str) -> (String, String) {
    let kv = Kv::new();
    let component = components::file(&kv, "handler", wat);
    let policy = kv.file("policy.toml", format!("[guest.handler]\nbuckets = []\n{lines}"));
    let server = Server::start(&kv, &component, &["--config", &policy]);
    let (status, _) = server.get("/");
    (status, server.stop())
}

/// Grows so often, by 1 MiB each, and traps if it can't.
fn grow(mib: u32) -> String {
    format!(
        "(loop $l
           (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get $n) (i32.const {mib}))))"
    )
}

/// A handler that has a memory of its own and does this.
fn handler(then: &str) -> String {
    let head = r#"(func (export "handle") (param i32 i32)"#;
    components::handler(then).replace(head, &format!("(memory 0) {head} (local $n i32)"))
}

/// What large programs have is room for much more than a default allows: 33,000 functions that are called by table take over
/// 1 MiB for each instance.
#[test]
fn a_large_program_is_served_as_it_is_run() {
    let functions = "(func)".repeat(33_000);
    let indices: String = (0..33_000).map(|n| format!(" {n}")).collect();
    let large = format!(
        "(core module $large (memory 0) (memory 0) (table 1 funcref) (table 1 funcref)
           {functions} (elem declare func {indices}))
         (core instance (instantiate $large))"
    );
    let (status, said) = ask_once(&components::handler_with("", &large), "");
    assert!(status.starts_with("500") && said.contains("the program ended without an answer"), "{status} {said}");
}

/// More than 1 GiB too.
#[test]
fn an_instance_has_the_memory_that_the_file_gives() {
    for (mib, lines, told) in [
        (1_000, "", "the program ended without an answer"),
        (1_100, "", TRAPPED),
        (1_900, "memory_mb = 2048", "the program ended without an answer"),
        (30, "memory_mb = 16", TRAPPED),
        (1_900, "memory_mb = 2048\ntotal_memory_mb = 1500", TRAPPED),
    ] {
        let (status, said) = ask_once(&handler(&grow(mib)), lines);
        assert!(status.starts_with("500") && said.contains(told), "{mib} {lines}: {status} {said}");
    }
}

/// Who comes when other requests have all the memory is told so, and comes again.
#[test]
fn requests_have_a_memory_together() {
    let kv = Kv::new();
    let wat = handler(&format!("{} (call $begun) {}", grow(7), components::SPIN)).replace("(memory 0)", "(memory 8)");
    let component = components::file(&kv, "handler", &wat);
    let policy = kv.file("policy.toml", "[guest.handler]\nbuckets = []\ntotal_memory_mb = 8\n");
    let mut server = Server::start(&kv, &component, &["--config", &policy, "--timeout", "1h"]);
    let mut told = BufReader::new(server.child.stderr.take().unwrap()).lines();
    let first = server.ask("/");
    // Before it has grown, and then.
    assert_eq!((told.next().unwrap().unwrap(), told.next().unwrap().unwrap()), ("begun".into(), "begun".into()));
    assert_eq!(server.get("/").0, "503 Service Unavailable");
    drop(first);
    let short = "the memory that its instances may take together is used up";
    assert!(told.any(|line| line.unwrap().contains(short)));
    server.ask_to_end();
    assert!(server.child.wait().unwrap().success());
}
