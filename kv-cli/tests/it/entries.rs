//! `set`, `get`, `delete`, `exists`, `ttl`, `incr`, `cas`.

use serde_json::json;

use crate::run::{Kv, binary, finish};

#[test]
fn a_value_comes_back_byte_for_byte() {
    let kv = Kv::new();
    for value in [&b""[..], b"1815", b"two\nlines\n", b"\0\xff\xfe", "é ✓".as_bytes()] {
        kv.with_input(&["set", "b", "k", "-"], value).code(0);
        let ran = kv.ok(&["get", "b", "k"]);
        assert_eq!(ran.out, value);
        assert_eq!(ran.err, "");
    }
}

#[test]
fn a_value_comes_from_the_line_a_file_or_standard_input() {
    let kv = Kv::new();
    let file = kv.file("value", b"from a file\n");
    for (args, expected) in [
        (&["plain"][..], &b"plain"[..]),
        (&[&format!("@{file}")], b"from a file\n"),
        (&["-"], b"from input"),
        (&["--raw", "-"], b"-"),
        (&["--raw", "@ann"], b"@ann"),
        (&["-5"], b"-5"),
        (&["--", "--ttl"], b"--ttl"),
        (&["-x", "--raw"], b"-x"),
        (&["--ttl", "1h", "-7"], b"-7"),
        (&["a", "--ttl", "1h"], b"a"),
    ] {
        let args = [&["set", "b", "k"], args].concat();
        kv.with_input(&args, b"from input").code(0);
        assert_eq!(kv.ok(&["get", "b", "k"]).out, expected, "{args:?}");
    }
}

#[test]
fn keys_and_buckets_are_any_text() {
    let kv = Kv::new();
    for name in ["", " ", "a:b/c", "-x", "é", "a\nb", "%zz", "*"] {
        kv.ok(&["set", "--", name, name, "v"]);
        assert_eq!(kv.ok(&["get", "--", name, name]).out, b"v");
    }
}

#[test]
fn a_missing_key_is_exit_code_1_and_changes_nothing() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v"]);
    let ran = kv.run(&["get", "b", "ghost"]).code(1).says("the bucket b has no key ghost");
    assert_eq!(ran.out, b"");
    assert_eq!(kv.run(&["exists", "b", "ghost"]).code(1).text(), "false\n");
    assert_eq!(kv.ok(&["exists", "b", "k"]).text(), "true\n");
    kv.run(&["ttl", "b", "ghost"]).code(1).says("no key ghost");
    kv.ok(&["delete", "b", "ghost", "k", "k"]);
    kv.run(&["get", "b", "k"]).code(1);
}

#[test]
fn json_is_one_document() {
    let kv = Kv::new();
    assert_eq!(kv.ok(&["--json", "set", "b", "k", "v"]).json(), json!({"key": "k", "bytes": 1}));
    assert_eq!(kv.ok(&["get", "b", "k", "--json"]).json(), json!({"key": "k", "value": "v"}));
    kv.with_input(&["set", "b", "bin", "-"], b"\xff\0").code(0);
    assert_eq!(kv.ok(&["get", "b", "bin", "--json"]).json(), json!({"key": "bin", "value_base64": "/wA="}));
    let absent = kv.run(&["get", "b", "ghost", "--json"]).code(1);
    assert_eq!(absent.json(), json!({"key": "ghost", "exists": false, "value": null}));
    assert_eq!(absent.err, "");
    assert_eq!(kv.run(&["exists", "b", "x", "--json"]).code(1).json(), json!({"key": "x", "exists": false}));
    assert_eq!(kv.ok(&["exists", "b", "k", "--json"]).json(), json!({"key": "k", "exists": true}));
    assert_eq!(kv.ok(&["delete", "b", "k", "--json"]).json(), json!({"keys": ["k"]}));
    assert_eq!(kv.ok(&["incr", "b", "n", "--json"]).json(), json!({"key": "n", "value": 1}));
    let info = kv.ok(&["info", "--json"]).json();
    assert_eq!(info["durability"], "process");
    assert!(info["store"].as_str().unwrap().starts_with("sled:"), "{info}");
}

#[test]
fn a_deadline_is_kept_shown_and_cleared() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v", "--ttl", "1h"]);
    let left = kv.ok(&["ttl", "b", "k", "--json"]).json()["ttl_ms"].as_u64().unwrap();
    assert!((1..=3_600_000).contains(&left), "{left}");
    assert!(kv.ok(&["ttl", "b", "k"]).text().starts_with("59m "));
    kv.ok(&["set", "b", "k", "v"]);
    assert_eq!(kv.ok(&["ttl", "b", "k"]).text(), "forever\n");
    assert_eq!(kv.ok(&["ttl", "b", "k", "--json"]).json(), json!({"key": "k", "exists": true, "ttl_ms": null}));
}

#[test]
fn a_counter_counts() {
    let kv = Kv::new();
    assert_eq!(kv.ok(&["incr", "b", "n"]).text(), "1\n");
    assert_eq!(kv.ok(&["incr", "b", "n", "--by", "41"]).text(), "42\n");
    assert_eq!(kv.ok(&["incr", "b", "n", "--by", "-50"]).text(), "-8\n");
    assert_eq!(kv.ok(&["get", "b", "n"]).out, b"-8");
    kv.ok(&["set", "b", "word", "010"]);
    kv.run(&["incr", "b", "word"]).code(3).says("kv: ");
    let refused = kv.run(&["--json", "incr", "b", "word"]).code(3);
    let error: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["effect"]), (&json!("NotANumber"), &json!("none")));
    kv.ok(&["incr", "b", "n", "--by", &i64::MAX.to_string()]);
    kv.run(&["incr", "b", "n", "--by", "9"]).code(3);
    assert_eq!(kv.ok(&["get", "b", "n"]).text(), (i64::MAX - 8).to_string());
}

#[test]
fn a_swap_needs_the_expected_value() {
    let kv = Kv::new();
    kv.ok(&["cas", "b", "k", "--absent", "ann"]);
    let lost = kv.run(&["cas", "b", "k", "--absent", "bob"]).code(1).says("nothing was changed");
    assert_eq!(lost.out, b"ann");
    kv.run(&["cas", "b", "k", "--expect", "eve", "bob"]).code(1);
    kv.ok(&["cas", "b", "k", "--expect", "ann", "-bob"]);
    assert_eq!(kv.ok(&["get", "b", "k"]).out, b"-bob");
    kv.ok(&["cas", "b", "k", "--expect", "-bob", "--delete"]);
    let lost = kv.run(&["cas", "b", "k", "--expect", "-bob", "x"]).code(1).says("there is no such key");
    assert_eq!(lost.out, b"");
    assert_eq!(kv.ok(&["--json", "cas", "b", "k", "--absent", ""]).json(), json!({"key": "k", "swapped": true}));
    assert_eq!(
        kv.run(&["--json", "cas", "b", "k", "--absent", ""]).code(1).json(),
        json!({"key": "k", "swapped": false, "found": {"value": ""}})
    );
    assert_eq!(
        kv.run(&["--json", "cas", "b", "ghost", "--expect", "", "x"]).code(1).json(),
        json!({"key": "ghost", "swapped": false, "found": null})
    );
    for wrong in [
        &["cas", "b", "k", "x"][..],
        &["cas", "b", "k", "--absent"],
        &["cas", "b", "k", "--absent", "--expect", "a", "x"],
        &["cas", "b", "k", "--absent", "--delete"],
        &["cas", "b", "k", "--expect", "a", "--delete", "x"],
        &["cas", "b", "k", "--expect", "-", "-"],
    ] {
        kv.run(wrong).code(2);
    }
}

#[test]
fn the_default_store_is_a_folder_here() {
    let kv = Kv::new();
    let here = |args: &[&str]| finish(binary().args(args).current_dir(kv.path(".")));
    here(&["set", "b", "k", "v"]).code(0);
    assert!(kv.path("kv-data").is_dir());
    assert_eq!(here(&["get", "b", "k"]).out, b"v");
    let other = format!("sled:{}", kv.path("other").display());
    here(&["--store", &other, "set", "b", "k", "w"]).code(0);
    assert_eq!(here(&["get", "b", "k", "--store", &other]).out, b"w");
    assert_eq!(here(&["get", "b", "k"]).out, b"v");
}
