//! What more than one test program uses.
#![allow(dead_code, reason = "several test programs use this, each some of it")]

use std::time::Duration;

use crate::run::Kv;

/// Words that differ.
pub(crate) fn words(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("word-{:x}-{n}", n.wrapping_mul(0x9e37_79b9) % 0xffff)).collect()
}

/// The tour in a store in use, repeated: as promised, and what was there stays.
pub(crate) fn tour(kv: &Kv) {
    kv.ok(&["set", "mine", "k", "v"]);
    for _ in 0..2 {
        let ran = kv.ok(&["tour", "--json"]);
        assert_eq!(ran.json()["as_promised"], true);
        assert!(ran.json()["steps"].as_array().unwrap().len() > 30);
    }
    assert_eq!(kv.ok(&["buckets"]).text(), "mine\n");
    assert_eq!(kv.ok(&["get", "mine", "k"]).out, b"v");
}

/// Imports a file and kills the process, some time after it has said that so many lines are acknowledged. Gives what it
/// said last, or `None` if it ended before.
pub(crate) fn import_until_killed(kv: &Kv, bucket: &str, file: &str, lines: usize, then: Duration) -> Option<usize> {
    let (mut child, told) = kv.start(&["import", bucket, file, "--format", "lines"]);
    let mut numbers =
        told.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<usize>().ok());
    let before = if lines > 0 { numbers.find(|number| *number >= lines) } else { None };
    // Not a wait for something: the kill is meant to come at any time.
    std::thread::sleep(then);
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    let acknowledged = numbers.last().or(before).unwrap_or(0);
    // No exit code means that the kill came before the end.
    ended.code().is_none().then_some(acknowledged)
}
