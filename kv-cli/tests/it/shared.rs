//! What more than one test program uses.
#![allow(dead_code, reason = "two test programs use this, each some of it")]

use std::time::Duration;

use crate::run::Kv;

/// Words that differ.
pub(crate) fn words(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("word-{:x}-{n}", n.wrapping_mul(0x9e37_79b9) % 0xffff)).collect()
}

/// Imports a file and kills the process after a while. Gives what it said was acknowledged, or `None` if it ended
/// before.
pub(crate) fn import_until_killed(kv: &Kv, bucket: &str, file: &str, after: Duration) -> Option<usize> {
    let (mut child, lines) = kv.start(&["import", bucket, file, "--format", "lines"]);
    let reader = std::thread::spawn(move || {
        let numbers = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
        numbers.last().unwrap_or(0)
    });
    // Not a wait for something: the kill is meant to come at any time.
    std::thread::sleep(after);
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    let acknowledged = reader.join().unwrap();
    // No exit code means that the kill came before the end.
    ended.code().is_none().then_some(acknowledged)
}
