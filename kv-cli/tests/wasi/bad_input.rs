//! What is wrong is told in a sentence, with its place.

use crate::guest;
use crate::run::Kv;

#[test]
fn files_that_are_no_components_are_refused() {
    let kv = Kv::new();
    let module = kv.file("module.wasm", b"\0asm\x01\0\0\0");
    let text = kv.file("text.wasm", "hello");
    for command in ["run", "serve", "inspect"] {
        kv.run(&[command, &module]).code(3).says("module.wasm: it is a core module");
        kv.run(&[command, &text]).code(3).says("text.wasm: it is not a WebAssembly component");
        kv.run(&[command, "nowhere.wasm"]).code(3).says("reading nowhere.wasm failed");
    }
}

#[test]
fn exports_that_are_not_there_are_told() {
    let (kv, example) = (Kv::new(), guest("example-2023"));
    kv.run(&["run", &example]).code(3).says("it does not export wasi:cli/run");
    kv.run(&["serve", &example, "--addr", "127.0.0.1:0"])
        .code(3)
        .says("it does not export wasi:http/incoming-handler of 0.2");
    kv.run(&["watch-run", &example, "--bucket", "b"]).code(3).says("it does not export wasi:keyvalue/watcher");
    let ran = kv.run(&["run", &example, "--invoke", "api.drop()"]).code(3);
    let known = "there are: golem:examples/api.get, golem:examples/api.set";
    ran.says(known);
    kv.run(&["run", &guest("exerciser-draft"), "--invoke", "calls.get(1)"]).code(2);
}

#[test]
fn a_call_that_does_not_parse_is_pointed_at() {
    let (kv, example) = (Kv::new(), guest("example-2023"));
    for (call, place) in [
        (r#"api.set("b", b"abc", 7x)"#, "                      ^"),
        (r#"api.set("b", "k", b"\q")"#, "                  ^^^^^"),
        (r#"api.get("b", 7)"#, "             ^"),
        (r#"api.get("b""#, "           ^"),
        (r#"api.get"#, "       ^"),
    ] {
        let ran = kv.run(&["run", &example, "--invoke", call]).code(2);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(&lines[1..], [format!("  {call}"), format!("  {place}")], "{ran:?}");
    }
}

#[test]
fn a_port_in_use_is_told() {
    let kv = Kv::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = kv.run(&["serve", &guest("http-counter"), "--addr", &address]).code(3);
    ran.says(&format!("listening on {address} failed: Address already in use"));
}
