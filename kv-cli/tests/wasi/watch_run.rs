//! `watch-run`.

use crate::guest;
use crate::run::Kv;

/// An embedded store is open in one process at a time, so the events are expiries of what was there before.
#[test]
fn a_program_hears_of_expiries_in_order() {
    for name in ["watcher-draft2", "watcher-0.1.0"] {
        let kv = Kv::new();
        // Compiled once, so that the program is there well before the entries expire.
        kv.ok(&["inspect", &guest(name)]);
        for key in ["a", "b", "other"] {
            kv.ok(&["set", "watched", key, "v", "--ttl", "8s"]);
        }
        let count = ["--count", "2"];
        let args = ["watch-run", &guest(name), "--bucket", "watched"];
        let ran = kv.ok(&[&args[..], &count[..]].concat());
        assert!(ran.err.contains("watching \"watched\""), "{ran:?}");
        let keys = kv.ok(&["keys", "seen"]);
        assert_eq!(keys.text().lines().count(), 2, "{ran:?}");
        for key in keys.text().lines() {
            assert!(kv.ok(&["get", "seen", key]).text().starts_with("delete "));
        }
    }
}

#[test]
fn a_program_that_traps_goes_on_behind_that_event() {
    let kv = Kv::new();
    kv.ok(&["inspect", &guest("watcher-draft2")]);
    kv.ok(&["set", "watched", "trap", "v", "--ttl", "8s"]);
    kv.ok(&["set", "watched", "z", "v", "--ttl", "11s"]);
    let ran = kv.ok(&["watch-run", &guest("watcher-draft2"), "--bucket", "watched", "--count", "2"]);
    assert!(ran.err.contains("the program trapped: ") && ran.err.contains("this event is skipped"), "{ran:?}");
    let keys = kv.ok(&["keys", "seen"]);
    let seen: Vec<String> = keys.text().lines().map(|key| kv.ok(&["get", "seen", key]).text().to_owned()).collect();
    assert_eq!(seen, ["delete z"]);
}
