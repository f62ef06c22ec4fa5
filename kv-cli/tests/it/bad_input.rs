//! Bad input: one clear sentence, the right exit code, nothing lost.

use serde_json::{Value, json};

use crate::run::{Kv, binary, finish};

#[test]
fn a_bad_url_is_a_usage_mistake() {
    for (url, text) in [
        ("sledd:./x", "did you mean sled?"),
        ("data", "scheme"),
        ("", "scheme"),
        ("sled:./x?durabilty=power", "did you mean durability?"),
        ("sled:./x?durability=strong", "one of relaxed, process, power"),
        ("sled:./x?durability=power&durability=power", "twice"),
        ("sled:./x%zz", "hexadecimal"),
        ("sled:./x%ff", "UTF-8"),
        ("sled:", "folder"),
        ("sled://host/x", "folder"),
        ("memory:?x=1", "takes none"),
        (
            "rocksdb:./x?durabilty=power",
            if cfg!(feature = "rocksdb") { "did you mean durability?" } else { "build with --features rocksdb" },
        ),
    ] {
        let kv = Kv::new();
        for args in [&["get", "b", "k"][..], &["set", "b", "k", "v"], &["info"], &["tour"]] {
            let ran = finish(binary().current_dir(kv.path(".")).args(["--store", url]).args(args)).code(2).says(text);
            assert_eq!(ran.out, b"");
        }
        assert!(!kv.path("x").exists(), "{url}");
    }
}

#[test]
fn errors_are_json_where_that_is_asked_for() {
    let error = |ran: crate::run::Ran| serde_json::from_str::<Value>(&ran.err).unwrap()["error"].clone();
    let kv = Kv::new();
    let bad = error(finish(binary().args(["--json", "--store", "sledd:x", "info"])).code(2));
    assert_eq!((&bad["kind"], &bad["effect"]), (&json!("InvalidArgument"), &json!("none")));
    let unknown = error(finish(binary().args(["get", "--json", "--nonsense"])).code(2));
    assert!(unknown["message"].as_str().unwrap().contains("--nonsense"), "{unknown}");
    let half = error(finish(binary().args(["--json", "get"])).code(2));
    assert!(half["message"].as_str().unwrap().contains("<BUCKET> <KEY>"), "{half}");
    let missing = error(kv.run(&["--json", "info"]).code(3));
    assert!(missing["message"].as_str().unwrap().contains("no store at"), "{missing}");
}

#[test]
fn commands_that_read_make_no_store() {
    let kv = Kv::new();
    for args in [
        &["get", "b", "k"][..],
        &["exists", "b", "k"],
        &["ttl", "b", "k"],
        &["keys", "b"],
        &["buckets"],
        &["export", "b"],
        &["watch", "b"],
        &["info"],
        &["backup", "copy"],
        &["delete", "b", "k"],
        &["drop-bucket", "b", "--yes"],
    ] {
        kv.run(args).code(3).says(&format!("there is no store at {}", kv.path("store").display()));
        assert!(!kv.path("store").exists(), "{args:?}");
    }
    std::fs::create_dir(kv.path("store")).unwrap();
    kv.run(&["keys", "b"]).code(3).says("there is no store at");
    assert_eq!(std::fs::read_dir(kv.path("store")).unwrap().count(), 0);
}

#[test]
fn a_command_that_fails_before_it_writes_makes_no_store() {
    let kv = Kv::new();
    kv.run(&["set", "b", "k", "@/no/such/file"]).code(3).says("opening /no/such/file failed");
    kv.run(&["import", "b", "/no/such/file", "--format", "lines"]).code(3).says("opening /no/such/file failed");
    kv.run(&["import", "b", ".", "--format", "lines"]).code(3).says("is a folder");
    kv.run(&["import", "b", "x", "--format", "csv"]).code(2);
    kv.run(&["import", "b", "x"]).code(2);
    kv.run(&["set", "b", "k"]).code(2);
    kv.run(&["set", "b", "k", "v", "--ttl", "soon"]).code(2);
    kv.run(&["incr", "b", "k", "--by", "much"]).code(2);
    kv.run(&["gte", "b", "k"]).code(2);
    assert!(!kv.path("store").exists());
}

#[test]
fn a_time_to_live_outside_its_range_is_refused() {
    let kv = Kv::new();
    for ttl in ["0s", "1us", "11years"] {
        kv.run(&["set", "b", "k", "v", "--ttl", ttl]).code(2).says("from 1 ms to 10 years");
    }
    kv.run(&["get", "b", "k"]).code(1);
}

#[test]
fn what_is_over_a_limit_is_refused() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v"]);
    kv.run(&["set", "b", &"k".repeat((32 << 10) + 1), "v"]).code(3).says("exceeds the limit of 32768 bytes");
    kv.run(&["set", &"b".repeat(256), "k", "v"]).code(3).says("exceeds the limit of 255 bytes");
    let value = vec![b'v'; (64 << 20) + 1];
    let file = kv.file("large", &value);
    kv.run(&["set", "b", "k", &format!("@{file}")]).code(3).says("exceeds the limit of 67108864 bytes");
    assert_eq!(kv.ok(&["get", "b", "k"]).out, b"v");
}

#[test]
fn a_file_where_a_folder_should_be_is_left_alone() {
    let kv = Kv::new();
    let file = kv.file("plain", "not a store");
    for args in [&["get", "b", "k"][..], &["set", "b", "k", "v"]] {
        let url = format!("sled:{file}");
        finish(binary().args(["--store", &url]).args(args)).code(3).says("is a file");
        let url = format!("sled:{file}/inside");
        finish(binary().args(["--store", &url]).args(args)).code(3).says("a file, not a folder");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "not a store");
}

#[test]
fn a_store_that_can_t_copy_itself_says_what_to_do_instead() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v"]);
    let text = "sled 0.34.7 can't be copied while it runs; export it instead, each bucket with kv export BUCKET";
    kv.run(&["backup", "copy"]).code(3).says(text);
    let refused = kv.run(&["backup", "copy", "--json"]).code(3);
    assert!(refused.err.contains("\"kind\":\"Unsupported\"") && refused.err.contains("\"effect\":\"none\""));
    assert!(!kv.path("copy").exists());
    finish(binary().args(["--store", "memory:", "backup", "copy"])).code(3).says("export it instead");
    kv.run(&["backup"]).code(2);
}

#[test]
fn a_store_that_another_process_holds_is_refused_and_unharmed() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v"]);
    let (mut holder, mut lines) = kv.start(&["watch", "b"]);
    // It speaks once it holds the store.
    assert!(lines.next().unwrap().unwrap().contains("only this process can write"));
    for args in [&["get", "b", "k"][..], &["set", "b", "k", "w"], &["tour"]] {
        kv.run(args).code(3).says("is open elsewhere");
    }
    let refused = kv.run(&["get", "b", "k", "--json"]).code(3);
    assert!(refused.err.contains("\"kind\":\"Locked\""), "{}", refused.err);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(kv.ok(&["get", "b", "k"]).out, b"v");
}

#[test]
fn a_damaged_store_is_told_and_no_value_is_made_up() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", &"v".repeat(5_000)]);
    let db = kv.path("store").join("db");
    let whole = std::fs::read(&db).unwrap();
    for cut in [0, 1, 17, whole.len() / 3, whole.len() / 2] {
        std::fs::write(&db, &whole[..cut]).unwrap();
        let ran = kv.run(&["get", "b", "k"]);
        assert_ne!(ran.code, 0, "cut to {cut}: {ran:?}");
        assert_eq!(ran.out, b"", "cut to {cut}");
        assert!(ran.err.starts_with("kv: ") && !ran.err.contains("panicked"), "cut to {cut}: {}", ran.err);
        assert_eq!(ran.err.trim_end().lines().count(), 1, "cut to {cut}: {}", ran.err);
    }
}

#[test]
fn an_argument_that_is_not_utf_8_is_a_usage_mistake() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let kv = Kv::new();
    let ran = kv.run(&[OsStr::new("set"), OsStr::new("b"), OsStr::from_bytes(b"k\xff"), OsStr::new("v")]).code(2);
    assert!(ran.err.contains("UTF-8"), "{}", ran.err);
    assert!(!kv.path("store").exists());
}
