//! `run` and `inspect`.

use crate::run::{self, Kv};
use crate::{components, guest};

/// The mission's example: the value is there again after the host has ended.
#[test]
fn the_example_sets_and_gets() {
    for name in ["example-2023", "example-2023-wasi", "example-0.1.0"] {
        let (kv, example) = (Kv::new(), guest(name));
        kv.ok(&["run", &example, "--invoke", r#"golem:examples/api.set("b", "k", b"hello")"#]);
        let ran = kv.ok(&["run", &example, "--invoke", r#"golem:examples/api.get("b","k")"#]);
        assert_eq!(ran.text(), "some([104, 101, 108, 108, 111])  # \"hello\"\n", "{name}");
        assert_eq!(kv.ok(&["get", "b", "k"]).out, b"hello");
        assert_eq!(kv.ok(&["run", &example, "--invoke", r#"api.get("b", "missing")"#]).text(), "none\n", "{name}");
        let file = kv.file("value", b"\xff\x00");
        kv.ok(&["run", &example, "--invoke", &format!(r#"set("b", "raw", @{file})"#)]);
        let ran = kv.ok(&["--json", "run", &example, "--invoke", r#"get("b", "raw")"#]);
        assert_eq!(ran.json(), serde_json::json!({"result": "some([255, 0])", "texts": []}));
    }
}

/// Files stand for lists wherever a value may stand, and the limit on what the host copies is not in a value's way.
#[test]
fn values_may_be_long() {
    let (kv, exerciser) = (Kv::new(), guest("exerciser-draft2"));
    let bytes = "long ".repeat(1 << 20);
    let file = kv.file("value", &bytes);
    let call = |call: &str| kv.ok(&["--json", "run", &exerciser, "--invoke", call]).json();
    let done = call(&format!(r#"calls.set-many("b", [("long", @{file}), ("short", b"x")])"#));
    assert_eq!(done, serde_json::json!({"result": "ok", "texts": []}));
    assert_eq!(kv.ok(&["get", "b", "long"]).out, bytes.as_bytes());
    let found = call(r#"calls.get-many("b", ["short", "none", "long"])"#);
    assert_eq!(found["texts"], serde_json::json!(["x", bytes]));
    assert!(found["result"].as_str().unwrap().starts_with("ok([some([120]), none, some([108, 111, "));
    // A function without a result has a document too.
    let set = kv.ok(&["--json", "run", &guest("example-2023"), "--invoke", r#"set("b", "k", b"v")"#]).json();
    assert_eq!(set, serde_json::json!({"result": null, "texts": []}));
}

/// What a program hands to the host in a call has the same limit as ever; its result has one of its own.
#[test]
fn what_is_copied_out_of_a_program_has_its_limit() {
    let kv = Kv::new();
    let program = components::file(&kv, "large", components::LARGE);
    let call = |call: &str| kv.run(&["run", &program, "--invoke", call]);
    call(&format!("open({})", (128 << 20) + 1)).code(3).says("the program trapped: too much data is being copied");
    call("open(64)").code(0);
    call(&format!("give({})", (16 << 20) + 1))
        .code(3)
        .says("large.wasm: the result is larger than 16777216 items of lists, which is the limit");
    assert_eq!(call("give(2)").code(0).text(), "[0, 0]  # \"\\0\\0\"\n");
}

/// On an engine of its own, which has what such programs need.
#[test]
fn a_program_with_streams_runs_until_it_calls_one() {
    let kv = Kv::new();
    let program = components::file(&kv, "streams", include_str!("../../../kv-wasi/tests/it/streams.wat"));
    assert_eq!(kv.ok(&["run", &program, "--invoke", "whole()"]).text(), "0\n");
    kv.run(&["run", &program, "--invoke", "streamed()"])
        .code(3)
        .says("[method]outgoing-value.outgoing-value-write-body-async is called, of Golem's newer");
    let inspected = kv.ok(&["inspect", &program]);
    let shown = inspected.text();
    assert!(shown.contains("\n    [method]future-result.get: async (self: borrow<future-result>)"), "{shown}");
    let traps = [
        "trap when they are called",
        "  wasi:keyvalue/types@0.1.0#[method]outgoing-value.outgoing-value-write-body-async",
        "  wasi:keyvalue/cache@0.1.0#[method]future-result.get",
    ];
    assert!(shown.ends_with(&(traps.join("\n") + "\n")), "{shown}");
    assert!(shown.contains("commands  run --invoke\n"), "{shown}");
}

#[test]
fn a_program_that_ends_itself_in_a_call_gives_the_exit_code() {
    let kv = Kv::new();
    let program = components::file(&kv, "exit", components::EXIT);
    assert_eq!(kv.ok(&["run", &program, "--invoke", "leave(ok)"]).err, "");
    assert_eq!(kv.run(&["run", &program, "--invoke", "leave(err)"]).code(1).err, "");
}

#[test]
fn a_program_has_the_folders_that_it_is_given() {
    let (kv, example) = (Kv::new(), guest("example-2023-wasi"));
    for (folders, count) in [(&[][..], 0), (&["--dir", "."][..], 1), (&["--dir", ".", "--dir", "/tmp::data"][..], 2)] {
        let ran = kv.ok(&[&["run", &example, "--invoke", r#"api.get("b", "k")"#], folders].concat());
        assert_eq!((ran.text(), ran.err.clone()), ("none\n", format!("preopened directories: {count}\n")));
    }
    kv.run(&["run", &example, "--dir", "nowhere", "--invoke", r#"api.get("b", "k")"#])
        .code(3)
        .says("--dir nowhere: No such file or directory");
}

#[test]
fn compiled_code_is_kept_if_there_is_a_place() {
    let (kv, example) = (Kv::new(), guest("example-2023"));
    let folder = kv.path("cache");
    for place in [&folder, std::path::Path::new("/dev/null/no")] {
        let mut command = kv.command(&["run", &example, "--invoke", r#"api.get("b", "k")"#]);
        assert_eq!(run::finish(command.env("XDG_CACHE_HOME", place)).code(0).text(), "none\n");
    }
    assert!(folder.join("kv/wasm").is_dir());
}

#[test]
fn a_command_has_arguments_an_environment_and_an_exit_code() {
    let (kv, command) = (Kv::new(), guest("command"));
    kv.ok(&["run", &command, "--", "set", "b", "k", "v"]);
    let ran = kv.ok(&["run", &command, "--env", "KV_PREFIX=found ", "--", "get", "b", "k"]);
    assert_eq!(ran.text().trim_end(), "found v");
    assert_eq!(kv.ok(&["run", &command, "--", "get", "b", "none"]).text().trim_end(), "none");
    kv.run(&["run", &command, "--", "nonsense"]).code(1);
}

#[test]
fn a_program_can_be_ended() {
    let kv = Kv::new();
    let ran = kv.run(&["run", &guest("hostile"), "--timeout", "200ms", "--invoke", "spin()"]).code(3);
    assert!(ran.err.contains("did not end within 200ms"), "{ran:?}");
    kv.run(&["run", &guest("hostile"), "--invoke", "recurse()"]).code(3).says("the program trapped: ");
    // The store is free again.
    kv.ok(&["set", "b", "k", "v"]);
}

#[test]
fn writes_that_a_program_does_not_wait_for_are_stored() {
    let kv = Kv::new();
    kv.ok(&["run", &guest("hostile-values"), "--invoke", "write-untaken(20)"]);
    assert_eq!(kv.ok(&["keys", "cache"]).text().lines().count(), 20);
}

/// A store on disk makes bytes of its own for each value that it reads: 4.8 GB here, were they all read at once.
#[test]
fn values_that_a_program_has_read_and_does_not_take_have_an_end() {
    use nix::sys::resource::{UsageWho, getrusage};
    const MOST_KB: i64 = 2 << 20;
    let (kv, guest) = (Kv::new(), guest("hostile-values"));
    kv.ok(&["run", &guest, "--invoke", r#"write-pieces("cache", "k", 16, 1048576)"#]);
    let read = kv.ok(&["run", &guest, "--invoke", r#"read-untaken("k", 300)"#]);
    assert_eq!(read.text(), "(16, \"the values that this program holds exceed the limit of 268435456 bytes\")\n");
    // The largest of all programs that the tests of this file have run.
    let largest = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(largest < MOST_KB, "{largest} kB");
}

#[test]
fn what_a_program_is_can_be_seen() {
    let kv = Kv::new();
    let shown = |name: &str| kv.ok(&["--json", "inspect", &guest(name)]).json();
    for (name, shape, commands) in [
        ("example-2023", "golem-2023", &["run --invoke"][..]),
        ("command", "0.2.0-draft", &["run", "run --invoke"]),
        ("http-counter", "0.2.0-draft", &["serve"]),
        ("watcher-0.1.0", "0.1.0", &["watch-run"]),
        ("exerciser-spin", "0.2.0-draft2 (Spin)", &["run --invoke"]),
    ] {
        let shown = shown(name);
        let (shapes, commands) = (serde_json::json!([shape]), serde_json::json!(commands));
        assert_eq!((&shown["shapes"], &shown["commands"]), (&shapes, &commands), "{name}");
        assert_eq!(shown["missing"], serde_json::json!([]), "{name}");
    }
    let text = kv.ok(&["inspect", &guest("example-2023")]);
    assert!(text.text().contains("  golem:examples/api\n    get(bucket: string, key: string) -> option<list<u8>>\n"));
}

/// All shapes of a program that is composed of parts, by the names that its imports have in the file.
#[test]
fn a_program_of_several_shapes_is_shown_with_all() {
    let kv = Kv::new();
    let import =
        |name: &str| format!(r#"(import "wasi:keyvalue/{name}" (instance (export "bucket" (type (sub resource)))))"#);
    let imports = [import("store@9.9.9"), import("types@0.1.0")].concat();
    let random =
        r#"(import "wasi:random/random@0.2.0-rc-2023-12-05" (instance (export "get-random-u64" (func (result u64)))))"#;
    let program = components::file(&kv, "two", &format!("(component {imports} {random})"));
    let shown = kv.ok(&["--json", "inspect", &program]).json();
    assert_eq!(shown["shapes"], serde_json::json!(["0.1.0", "0.2.0-draft"]));
    assert_eq!(shown["imports"][0]["interface"], "wasi:random/random@0.2.0-rc-2023-12-05");
    assert!(kv.ok(&["inspect", &program]).text().starts_with("shapes    wasi:keyvalue 0.1.0, 0.2.0-draft\n"));
    let program = components::file(&kv, "none", &components::exporter(&["a:b/c"]));
    assert_eq!(kv.ok(&["--json", "inspect", &program]).json()["shapes"], serde_json::json!([]));
    assert!(kv.ok(&["inspect", &program]).text().starts_with("shapes    none: it does not use wasi:keyvalue\n"));
}

#[test]
fn only_a_watcher_that_can_be_called_is_offered_to_watch_run() {
    let kv = Kv::new();
    let watcher = components::file(&kv, "watcher", &components::watcher(""));
    assert_eq!(kv.ok(&["--json", "inspect", &watcher]).json()["commands"], serde_json::json!(["watch-run"]));
    let other = components::file(&kv, "other", &components::exporter(&["wasi:keyvalue/watcher@0.2.0-draft2"]));
    assert_eq!(kv.ok(&["--json", "inspect", &other]).json()["commands"], serde_json::json!(["run --invoke"]));
    kv.run(&["watch-run", &other, "--bucket", "b"]).code(3).says("watcher@0.2.0-draft2 has no function on-set");
}
