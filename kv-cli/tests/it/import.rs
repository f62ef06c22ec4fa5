//! `import` and `export`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::run::Kv;
use crate::shared::words;

#[test]
fn lines_become_keys() {
    let kv = Kv::new();
    let file = kv.file("lines", "one\ntwo words\r\n\né\nlast");
    let ran = kv.ok(&["import", "b", &file, "--format", "lines"]);
    assert!(ran.err.starts_with("acknowledged 5\n"), "{}", ran.err);
    assert_eq!(ran.out, b"");
    let mut keys: Vec<String> = kv.ok(&["keys", "b"]).text().lines().map(str::to_owned).collect();
    keys.sort();
    assert_eq!(keys, ["", "last", "one", "two words", "é"]);
    assert_eq!(kv.ok(&["get", "b", "one"]).out, b"");
    let ran = kv.with_input(&["import", "c", "-", "--format", "lines", "--json"], b"a\nb\na\n").code(0);
    assert_eq!(ran.json(), json!({"acknowledged": 3, "stored": 3, "bad": 0, "expired": 0}));
    assert_eq!(kv.ok(&["keys", "c"]).text().lines().count(), 2);
}

#[test]
fn rows_become_json_objects() {
    let kv = Kv::new();
    let file = kv.file("rows", "id,name,note\r\n7,Ann,\"says \"\"hi\"\",\nand more\"\n8,é,\n");
    kv.ok(&["import", "people", &file, "--format", "csv", "--key-column", "id"]);
    assert_eq!(kv.ok(&["get", "people", "7"]).text(), r#"{"id":"7","name":"Ann","note":"says \"hi\",\nand more"}"#);
    assert_eq!(kv.ok(&["get", "people", "8"]).text(), r#"{"id":"8","name":"é","note":""}"#);
    kv.run(&["import", "people", &file, "--format", "csv", "--key-column", "no"])
        .code(3)
        .says("the columns are id, name");
    let twice = kv.file("twice", "a,a\n1,2\n");
    kv.run(&["import", "people", &twice, "--format", "csv", "--key-column", "a"]).code(3).says("two columns a");
}

#[test]
fn an_empty_bucket_is_told() {
    let kv = Kv::new();
    kv.ok(&["set", "planets", "Mars", "red"]);
    kv.ok(&["export", "planetz"]).says("the bucket \"planetz\" is empty");
    assert_eq!(kv.ok(&["export", "planets"]).err, "");
    assert_eq!(kv.ok(&["export", "planetz", "--prefix", "M"]).err, "");
}

#[test]
fn export_and_import_keep_every_byte_and_deadline() {
    let kv = Kv::new();
    // A NUL cannot come by the command line.
    let odd =
        kv.file("odd", "{\"key\":\"a\\nb\\u0000\\\"\\\\\",\"value_base64\":\"//4A\"}\n{\"key\":\"\",\"value\":\"\"}\n");
    kv.ok(&["import", "b", &odd, "--format", "ndjson"]);
    for (key, value) in [("é ✓ \u{10ffff}", "é".as_bytes()), ("z", b"{\"a\":1}\r\n\0"), ("bytes", b"\xc3\x28")] {
        kv.with_input(&["set", "b", key, "-"], value).code(0);
    }
    for n in 0..3 {
        kv.ok(&["set", "b", &format!("session {n}"), "s", "--ttl", &format!("{}s", 4_000 + n)]);
    }
    let first = kv.ok(&["export", "b"]).out;
    assert_eq!(first, kv.ok(&["export", "b"]).out, "two exports differ");
    let file = kv.file("first", &first);
    let copy = Kv::new();
    copy.ok(&["import", "other name", &file, "--format", "ndjson"]);
    let second = copy.ok(&["export", "other name"]).out;
    assert_eq!(String::from_utf8(first).unwrap(), String::from_utf8(second).unwrap());
    let entries = kv.ok(&["export", "b"]).json_lines();
    let keys: Vec<&str> = entries.iter().map(|entry| entry["key"].as_str().unwrap()).collect();
    assert!(keys.is_sorted() && keys.len() == 8, "{keys:?}");
    assert_eq!(entries[1], json!({"key": "a\nb\0\"\\", "value_base64": "//4A"}));
    let timed = entries.iter().filter(|entry| entry["expires_at_ms"].is_u64()).count();
    assert_eq!(timed, 3);
}

/// Deadlines by the thousand come back to the millisecond, and an import overwrites what was there.
#[test]
fn many_deadlines_come_back_to_the_millisecond() {
    let kv = Kv::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let line =
        |n: u128| format!("{{\"key\":\"k{n:04}\",\"value\":\"v{n}\",\"expires_at_ms\":{}}}\n", now + 3_600_000 + n);
    let lines: String = (0..2_000).map(line).collect();
    let file = kv.file("timed", &lines);
    for _ in 0..2 {
        kv.ok(&["import", "b", &file, "--format", "ndjson"]);
        let found = kv.ok(&["export", "b"]);
        let wrong = found.text().lines().zip(lines.lines()).filter(|(found, expected)| found != expected).count();
        assert_eq!((wrong, found.text().lines().count()), (0, 2_000));
    }
}

#[test]
fn passed_deadlines_are_left_out_and_counted() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "old", "stays"]);
    let file =
        kv.file("old", "{\"key\":\"old\",\"value\":\"x\",\"expires_at_ms\":1}\n\n{\"key\":\"new\",\"value\":\"y\"}\n");
    let ran = kv.ok(&["import", "b", &file, "--format", "ndjson", "--json"]);
    assert_eq!(ran.json(), json!({"acknowledged": 2, "stored": 1, "bad": 0, "expired": 1}));
    assert_eq!(kv.ok(&["get", "b", "old"]).out, b"stays");
    assert_eq!(kv.ok(&["get", "b", "new"]).out, b"y");
}

#[test]
fn a_bad_line_stops_the_import_or_is_passed_over() {
    let kv = Kv::new();
    let bytes = [&b"good\n"[..], b"b\xffd\n", b"fine\n", &b"x".repeat(40_000), b"\nlast\n"].concat();
    let file = kv.file("bad", bytes);
    let ran = kv.run(&["import", "b", &file, "--format", "lines"]).code(3);
    let (acknowledged, sentence) = ran.err.trim_end().split_once('\n').unwrap();
    assert_eq!(acknowledged, "acknowledged 1");
    for part in ["bad, line 2: the key is not UTF-8", "1 records are acknowledged", "--skip-bad", "--resume 1"] {
        assert!(sentence.contains(part), "{part} in {sentence}");
    }
    assert_eq!(kv.ok(&["keys", "b"]).text(), "good\n");
    let ran = kv.ok(&["import", "b", &file, "--format", "lines", "--skip-bad", "--resume", "1", "--json"]);
    assert_eq!(ran.json(), json!({"acknowledged": 5, "stored": 2, "bad": 2, "expired": 0}));
    assert!(ran.err.contains("line 2") && ran.err.contains("line 4: the key is over the limit"), "{}", ran.err);
    let mut keys: Vec<String> = kv.ok(&["keys", "b"]).text().lines().map(str::to_owned).collect();
    keys.sort();
    assert_eq!(keys, ["fine", "good", "last"]);
}

#[test]
fn bad_rows_and_entries_say_what_is_wrong() {
    let kv = Kv::new();
    let rows = kv.file("rows.csv", b"id,n\n1,a\n2\n3,b,c\n\xff,d\n5,e\n");
    let csv = ["import", "b", &rows, "--format", "csv", "--key-column", "id"];
    kv.run(&csv).code(3);
    let ran = kv.ok(&[&csv[..], &["--skip-bad", "--json"]].concat());
    assert_eq!(ran.json(), json!({"acknowledged": 5, "stored": 2, "bad": 3, "expired": 0}));
    for part in ["line 3: the row has 1 fields", "line 4: the row has 3 fields", "line 5: the field id is not UTF-8"] {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
    let entries = kv.file("entries", "{\"key\":\"a\",\"value\":\"1\"}\nnonsense\n{\"key\":\"b\"}\n");
    let ran = kv.ok(&["import", "c", &entries, "--format", "ndjson", "--skip-bad"]);
    for part in ["line 2: it is not an entry", "line 3: it must have exactly one of"] {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
    kv.run(&["import", "c", &entries, "--format", "ndjson", "--resume", "9"]).code(2);
}

#[test]
fn an_open_quote_does_not_fill_the_memory() {
    let kv = Kv::new();
    let mut bytes = b"id,n\n1,a\n2,\"open".to_vec();
    bytes.resize(80 << 20, b'x');
    let file = kv.file("open", bytes);
    let ran = kv.run(&["import", "b", &file, "--format", "csv", "--key-column", "id", "--skip-bad"]).code(3);
    assert!(ran.err.contains("quotation mark") && ran.err.contains("1 records are acknowledged"), "{}", ran.err);
    assert_eq!(kv.ok(&["keys", "b"]).text(), "1\n");
}

#[test]
fn an_import_goes_on_where_it_was() {
    let kv = Kv::new();
    let words = words(3_500);
    let file = kv.file("words", words.join("\n"));
    let ran = kv.ok(&["import", "b", &file, "--format", "lines", "--resume", "3000"]);
    assert!(ran.err.starts_with("acknowledged 3500\n"), "{}", ran.err);
    assert_eq!(kv.ok(&["keys", "b"]).text().lines().count(), 500);
    let ran = kv.ok(&["import", "b", &file, "--format", "lines"]);
    let told: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("acknowledged ")).collect();
    assert_eq!(told, ["acknowledged 1000", "acknowledged 2000", "acknowledged 3000", "acknowledged 3500"]);
    kv.ok(&["import", "b", &file, "--format", "lines", "--resume", "3500"]);
    kv.run(&["import", "b", &file, "--format", "lines", "--resume", "3501"]).code(2);
}

/// Values of the largest size go through, a few at a time.
#[test]
fn large_values_are_exported_one_by_one() {
    let kv = Kv::new();
    let value = vec![b'x'; 40 << 20];
    let file = kv.file("large", &value);
    for key in ["a", "b", "c"] {
        kv.ok(&["set", "large", key, &format!("@{file}")]);
    }
    kv.ok(&["set", "large", "d", "small"]);
    let began = Instant::now();
    let ran = kv.ok(&["export", "large"]);
    assert!(began.elapsed() < Duration::from_secs(60));
    let sizes: Vec<usize> = ran.text().lines().map(str::len).collect();
    assert_eq!(sizes.len(), 4);
    assert!(sizes[..3].iter().all(|size| *size == value.len() + r#"{"key":"a","value":""}"#.len()), "{sizes:?}");
}

/// A value of the largest size and its key are over the limit of a batch.
#[test]
fn a_value_of_the_largest_size_comes_back() {
    let kv = Kv::new();
    let value = vec![b'x'; 64 << 20];
    let file = kv.file("large", &value);
    kv.ok(&["set", "b", "a", "small"]);
    kv.ok(&["set", "b", "large", &format!("@{file}")]);
    kv.ok(&["set", "b", "z", "small"]);
    let exported = kv.file("exported", kv.ok(&["export", "b"]).out);
    let copy = Kv::new();
    let ran = copy.ok(&["import", "b", &exported, "--format", "ndjson"]);
    let told: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("acknowledged ")).collect();
    assert_eq!(told, ["acknowledged 1", "acknowledged 2", "acknowledged 3"]);
    assert!(copy.ok(&["get", "b", "large"]).out == value, "another value came back");
    assert_eq!(copy.ok(&["keys", "b"]).text().lines().count(), 3);
}
