//! `watch-run`. An embedded store is open in one process at a time, so the events are expiries of what was there before.

use std::io::{BufReader, Lines};
use std::process::{Child, ChildStderr, Command};
use std::time::{Duration, Instant};

use crate::run::Kv;
use crate::{components, guest};

/// The command, while it watches: its store, its process, and the lines that it says.
type Watching = (Kv, Child, Lines<BufReader<ChildStderr>>);

/// Begins to watch for two events. These entries expire then, one second after the other. If it began too late, it is tried
/// again with entries that live longer.
fn watch(component: impl Fn(&Kv) -> String, keys: &[&str]) -> Watching {
    for seconds in [2, 5, 15, 45] {
        let kv = Kv::new();
        let component = component(&kv);
        // Compiled before, so that the program begins at once.
        kv.ok(&["inspect", &component]);
        let begun = Instant::now();
        for (n, key) in keys.iter().enumerate() {
            kv.ok(&["set", "watched", key, "v", "--ttl", &format!("{}s", seconds + n)]);
        }
        let (mut child, mut lines) = kv.start(&["watch-run", &component, "--bucket", "watched", "--count", "2"]);
        assert_eq!(lines.next().unwrap().unwrap(), "kv: watching \"watched\"");
        if begun.elapsed() < Duration::from_secs(seconds as u64) {
            return (kv, child, lines);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("it took 45 seconds to begin");
}

/// Lets these entries expire; gives what the program noted, and what the command said.
fn hear(name: &str, keys: &[&str]) -> (Vec<String>, Vec<String>) {
    let (kv, mut child, lines) = watch(|_| guest(name), keys);
    let said = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    let noted = kv.ok(&["keys", "seen"]);
    let noted = noted.text().lines().map(|key| kv.ok(&["get", "seen", key]).text().to_owned()).collect();
    (noted, said)
}

fn ask_to_end(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_program_hears_of_expiries_in_order() {
    for name in ["watcher-draft2", "watcher-0.1.0"] {
        let (mut noted, said) = hear(name, &["b", "a", "other"]);
        noted.sort();
        assert_eq!((noted.as_slice(), said.as_slice()), (&["delete a".to_owned(), "delete b".to_owned()][..], &[][..]));
    }
}

#[test]
fn a_program_that_traps_goes_on_behind_that_event() {
    let (noted, said) = hear("watcher-draft2", &["trap", "z"]);
    assert_eq!(noted, ["delete z"]);
    assert!(said.len() == 1 && said[0].starts_with("kv: the program trapped: "), "{said:?}");
    assert!(said[0].ends_with("; this event is skipped"), "{said:?}");
}

#[test]
fn it_ends_when_it_is_asked() {
    let (_kv, mut child, mut lines) = watch(|_| guest("watcher-draft2"), &[]);
    ask_to_end(&child);
    assert!(lines.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn a_call_without_end_is_ended_when_it_is_asked_twice() {
    let component = |kv: &Kv| components::file(kv, "spin", &components::watcher(components::SPIN));
    let (kv, mut child, mut lines) = watch(component, &["k"]);
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    ask_to_end(&child);
    assert!(lines.next().unwrap().unwrap().starts_with("kv: stopping: waiting for the call that runs"));
    ask_to_end(&child);
    assert!(lines.next().is_none() && child.wait().unwrap().success());
    // The store was closed.
    kv.ok(&["set", "b", "k", "v"]);
}
