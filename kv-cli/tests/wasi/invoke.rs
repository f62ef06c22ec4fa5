//! `run` and `inspect`.

use crate::guest;
use crate::run::Kv;

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
fn what_a_program_is_can_be_seen() {
    let kv = Kv::new();
    let shown = |name: &str| kv.ok(&["--json", "inspect", &guest(name)]).json();
    for (name, shape, commands) in [
        ("example-2023", "golem-2023", &["run --invoke"][..]),
        ("command", "0.2.0-draft", &["run", "run --invoke"]),
        ("http-counter", "0.2.0-draft2", &["run --invoke", "serve"]),
        ("watcher-0.1.0", "0.1.0", &["run --invoke", "watch-run"]),
        ("exerciser-spin", "0.2.0-draft2 (Spin)", &["run --invoke"]),
    ] {
        let shown = shown(name);
        assert_eq!((&shown["shape"], &shown["commands"]), (&shape.into(), &serde_json::json!(commands)), "{name}");
        assert_eq!(shown["missing"], serde_json::json!([]), "{name}");
    }
    let text = kv.ok(&["inspect", &guest("example-2023")]);
    assert!(text.text().contains("  golem:examples/api\n    get(bucket: string, key: string) -> option<list<u8>>\n"));
}
