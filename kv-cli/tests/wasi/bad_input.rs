//! What is wrong is told in a sentence, with its place.

use crate::run::Kv;
use crate::{components, guest};

#[test]
fn files_that_are_no_components_are_refused() {
    let kv = Kv::new();
    let module = kv.file("module.wasm", b"\0asm\x01\0\0\0");
    let text = kv.file("text.wasm", "hello");
    for command in ["run", "serve", "inspect"] {
        kv.run(&[command, &module]).code(3).says("module.wasm: it is a core module");
        kv.run(&[command, &text]).code(3).says("text.wasm: it is not a WebAssembly component");
        kv.run(&[command, "nowhere.wasm"]).code(3).says("reading nowhere.wasm failed");
        kv.run(&[command, "."]).code(3).says("reading . failed");
    }
    let mut damaged = std::fs::read(guest("command")).unwrap();
    damaged.truncate(damaged.len() / 2);
    let damaged = kv.file("damaged.wasm", damaged);
    kv.run(&["inspect", &damaged]).code(3).says("damaged.wasm: it is a damaged component");
    // A store is made only for a program that can be run.
    assert!(!kv.path("store").exists());
}

#[test]
fn imports_that_are_not_there_are_told() {
    let kv = Kv::new();
    let other = components::file(&kv, "other", &components::importer("my:own/thing@1.0.0"));
    let call = |options: &[&str]| kv.run(&[&["run", &other][..], options].concat());
    let ran = call(&["--invoke", "rest()"]).code(3);
    let told = [format!("kv: {other}: it imports what this host does not provide:"), "  my:own/thing@1.0.0 (f)".into()];
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines[..2], told);
    assert!(lines[2].contains("--trap-missing") && lines.len() == 3, "{ran:?}");
    call(&["--trap-missing", "--invoke", "rest()"]).code(0);
    call(&["--trap-missing", "--invoke", "call()"])
        .code(3)
        .says("the program trapped: my:own/thing@1.0.0#f is called, which this host does not provide");
    assert_eq!(kv.ok(&["--json", "inspect", &other]).json()["missing"], serde_json::json!(["my:own/thing@1.0.0 (f)"]));
    let shape = components::file(&kv, "shape", &components::importer("wasi:keyvalue/store@9.9.9"));
    for command in ["inspect", "run"] {
        kv.run(&[command, &shape]).code(3).says("it imports wasi:keyvalue@9.9.9, of an unknown shape");
    }
}

/// It is listed with what else is missing, but nothing traps in its place.
#[test]
fn a_module_that_is_imported_has_no_stand_in() {
    let kv = Kv::new();
    let program = r#"(component (import "my-module" (core module (export "f" (func)))))"#;
    let program = components::file(&kv, "module", program);
    let ran = kv.run(&["run", &program]).code(3);
    assert_eq!(ran.err.lines().nth(1), Some("  my-module"), "{ran:?}");
    let ran = kv.run(&["run", &program, "--trap-missing"]).code(3);
    assert!(ran.err.contains("has no stand-in") && !ran.err.contains("--trap-missing"), "{ran:?}");
}

#[test]
fn a_handler_of_0_3_is_refused_by_name() {
    let kv = Kv::new();
    let newer = components::file(&kv, "newer", &components::exporter(&["wasi:http/handler@0.3.0"]));
    kv.run(&["serve", &newer]).code(3).says("newer.wasm: it exports wasi:http/handler@0.3.0, and this host serves");
}

/// By the name that it has in the file.
#[test]
fn a_handler_with_another_type_is_refused_with_its_version() {
    let kv = Kv::new();
    for (version, why) in [
        ("0.2.0-rc-2023-10-18", "its wasi:http/incoming-handler@0.2.0-rc-2023-10-18 is not as this host calls it: "),
        ("0.2.3", "its wasi:http/incoming-handler@0.2.3 is not as this host calls it: "),
        ("0.1.0", "it exports wasi:http/incoming-handler@0.1.0, and this host serves "),
    ] {
        let other = components::exporter(&[&format!("wasi:http/incoming-handler@{version}")]);
        let other = components::file(&kv, "other", &other);
        kv.run(&["serve", &other, "--addr", "127.0.0.1:0"]).code(3).says(why);
    }
}

#[test]
fn a_name_that_is_that_of_several_is_told_with_them() {
    let kv = Kv::new();
    let several = components::file(&kv, "several", &components::exporter(&["a:b/one@1.0.0", "a:b/two"]));
    let ran = kv.run(&["run", &several, "--invoke", "f()"]).code(3);
    ran.says("f may be each of: a:b/one@1.0.0.f, a:b/two.f");
    for name in ["one.f", "a:b/one.f", "a:b/one@1.0.0.f", "two.f"] {
        kv.ok(&["run", &several, "--invoke", &format!("{name}()")]);
    }
    let by_itself = components::file(&kv, "itself", &components::exporter(&["a:b/one", ""]));
    assert_eq!(kv.ok(&["run", &by_itself, "--invoke", "f()"]).text(), "");
    kv.run(&["run", &by_itself, "--invoke", "g()"]).code(3).says("it exports no function g; there are: a:b/one.f, f");
}

#[test]
fn functions_on_handles_are_not_called() {
    let (kv, watcher) = (Kv::new(), guest("watcher-draft2"));
    kv.run(&["run", &watcher, "--invoke", r#"on-delete(1, "k")"#])
        .code(3)
        .says("watcher@0.2.0-draft2.on-delete can't be called so, as it takes or gives what can't be typed: (bucket:");
    kv.run(&["run", &watcher]).code(3).says("for --invoke there is none that can be called so");
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
        (r#"api.set(b"abc", "k", b"v")"#, "        ^^^^^^"),
        (r#"api.set("b", "k", b"\q")"#, "                  ^^^^^"),
        (r#"api.get("b", 7)"#, "             ^"),
        (r#"api.get("b""#, "           ^"),
        (r#"api.get"#, "       ^"),
    ] {
        let ran = kv.run(&["run", &example, "--invoke", call]).code(2);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(&lines[1..], [format!("  {call}"), format!("  {place}")], "{ran:?}");
    }
    let ran = kv.run(&["run", &example, "--invoke", r#"api.set("b", "k", "v")"#]).code(2);
    assert!(ran.err.contains(r#"a list<u8> is b"text", [1, 2] or @FILE"#), "{ran:?}");
    let ran = kv.run(&["run", &example, "--invoke", r#"api.get("b", 7)"#]);
    assert!(ran.err.contains("; it is get(bucket: string, key: string) -> option<list<u8>>\n"), "{ran:?}");
}

#[test]
fn a_port_in_use_is_told() {
    let kv = Kv::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = kv.run(&["serve", &guest("http-counter"), "--addr", &address]).code(3);
    ran.says(&format!("listening on {address} failed: Address already in use"));
    kv.run(&["serve", &guest("http-counter"), "--addr", "here"]).code(2).says("--addr here is no HOST:PORT");
}
