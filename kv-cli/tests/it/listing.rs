//! `keys`, `buckets`, `drop-bucket`, `info`, `watch`, help, and pipes.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::run::{Kv, binary, finish};

#[test]
fn keys_lists_each_key_once() {
    let kv = Kv::new();
    let names: Vec<String> = (0..2_500).map(|n| format!("key/{n}")).collect();
    let file = kv.file("names", names.join("\n"));
    kv.ok(&["import", "b", &file, "--format", "lines"]);
    kv.ok(&["set", "other", "key/x", "v"]);
    let expected: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let ran = kv.ok(&["keys", "b"]);
    let found: Vec<&str> = ran.text().lines().collect();
    assert_eq!(found.len(), names.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    let ran = kv.ok(&["keys", "b", "-0", "--prefix", "key/10"]);
    let found: BTreeSet<&str> = ran.text().strip_suffix('\0').unwrap().split('\0').collect();
    assert_eq!(found, expected.into_iter().filter(|key| key.starts_with("key/10")).collect());
    assert_eq!(kv.ok(&["keys", "nothing"]).out, b"");
}

#[test]
fn names_with_line_ends_are_safe_with_0_and_json() {
    let kv = Kv::new();
    kv.ok(&["set", "b\n1", "a\nb\u{1b}[2J", "v"]);
    assert_eq!(kv.ok(&["keys", "b\n1", "-0"]).text(), "a\nb\u{1b}[2J\0");
    assert_eq!(kv.ok(&["keys", "b\n1", "--json"]).json_lines(), [json!({"key": "a\nb\u{1b}[2J"})]);
    assert_eq!(kv.ok(&["buckets", "-0"]).text(), "b\n1\0");
    assert_eq!(kv.ok(&["buckets", "--json"]).json_lines(), [json!({"bucket": "b\n1"})]);
    kv.run(&["keys", "b\n1", "-0", "--json"]).code(2);
}

#[test]
fn a_bucket_is_dropped_only_when_asked_for() {
    let kv = Kv::new();
    kv.ok(&["set", "a", "k", "v"]);
    kv.ok(&["set", "b", "k", "v"]);
    assert_eq!(kv.ok(&["buckets"]).text(), "a\nb\n");
    kv.with_input(&["drop-bucket", "a"], b"y\n").code(2).says("--yes");
    assert_eq!(kv.ok(&["buckets"]).text(), "a\nb\n");
    kv.ok(&["drop-bucket", "a", "--yes"]);
    kv.ok(&["drop-bucket", "a", "-y"]);
    assert_eq!(kv.ok(&["buckets"]).text(), "b\n");
}

#[test]
fn info_says_what_the_store_is() {
    let kv = Kv::with_options("?durability=power");
    kv.ok(&["set", "b", "k", "v"]);
    let ran = kv.ok(&["info"]);
    for (name, value) in [("store", "sled:"), ("engine", "sled 0.34.7"), ("durability", "power"), ("expiry", "yes")] {
        let found = ran.text().lines().any(|line| line.starts_with(name) && line.contains(value));
        assert!(found, "{name} {value} in {}", ran.text());
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command_quietly() {
    let kv = Kv::new();
    let names: Vec<String> = (0..20_000).map(|n| format!("a longer key for a fuller pipe {n}")).collect();
    let file = kv.file("names", names.join("\n"));
    kv.ok(&["import", "b", &file, "--format", "lines"]);
    for args in [&["keys", "b"][..], &["export", "b"], &["keys", "b", "--json"]] {
        let mut child = kv.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        // The reader goes after one line; the pipe cannot hold them all.
        BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

#[test]
fn watch_says_that_nobody_else_can_write_and_shows_expiries() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "soon", "v", "--ttl", "2s"]);
    let ran = kv.ok(&["watch", "b", "--count", "1"]).says("only this process can write");
    assert_eq!(ran.text(), "expired\tsoon\n");
    kv.ok(&["set", "b", "later", "v", "--ttl", "2s"]);
    let ran = kv.ok(&["--json", "watch", "b", "--prefix", "l", "--count", "1"]);
    assert_eq!(ran.json(), json!({"event": "expired", "key": "later"}));
}

#[test]
fn without_arguments_there_is_help_and_each_command_has_examples() {
    let help = finish(&mut binary()).code(2);
    assert!(help.err.contains("Usage: kv") && help.err.contains("Examples:"), "{}", help.err);
    let all = finish(binary().arg("--help")).code(0);
    let commands = all.text().split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    for needed in [
        "tour",
        "set",
        "get",
        "delete",
        "exists",
        "keys",
        "buckets",
        "drop-bucket",
        "incr",
        "cas",
        "ttl",
        "watch",
        "import",
        "export",
        "conform",
        "info",
    ] {
        assert!(names.contains(&needed), "{needed} in {names:?}");
        let help = finish(binary().args([needed, "--help"])).code(0);
        assert!(help.text().contains("Examples:\n  kv "), "{needed}");
    }
    assert!(finish(binary().arg("--version")).code(0).text().starts_with("kv "));
}

#[test]
fn a_password_is_not_in_the_help() {
    let ran = finish(binary().env("KV_STORE", "redis://me:hunter2@host").args(["get", "--help"])).code(0);
    assert!(!ran.text().contains("hunter2"));
    let ran = finish(binary().env("KV_STORE", "redis://me:hunter2@host?x=hunter2").args(["get", "a", "b"])).code(2);
    assert!(!ran.err.contains("hunter2") && !ran.err.contains("me:"), "{}", ran.err);
}
