use kv::Store;
use kv_wasi::{Access, Delivered, Host};

use crate::process::PATIENCE;
use crate::program::{self, Program};
use crate::run::Kv;
use crate::{block_on, component};

/// What the guests are told of, and what they note.
const CHANGES: [(&str, Option<&str>); 4] =
    [("user-1", Some("abc")), ("other", Some("x")), ("user-2", Some("abcd")), ("user-1", None)];
const NOTES: [&str; 3] = ["set user-1 3", "set user-2 4", "delete user-1"];

/// Both forms, beside what changes the store: an embedded one is open in one process at a time.
pub(crate) fn all(url: &str) {
    block_on(async {
        let store = kv::open(url).await.unwrap();
        for name in ["watcher-draft2", "watcher-0.1.0"] {
            assert_eq!(heard(name, &store).await, NOTES, "{name}");
        }
        store.close().await.unwrap();
    });
}

/// Changes a bucket, and gives what the guest noted of it.
async fn heard(name: &str, store: &Store) -> Vec<String> {
    let access = Access::all_of(store);
    let watched = access.watched("watched").await.unwrap();
    let mut events = watched.events("user-").await.unwrap();
    let program = Program::load(&program::path(name), &Host::new(access));
    let mut running = program.start().await;
    let watcher = program.guest.watcher(&mut running.store, &running.instance).unwrap();

    let [changed, seen] = [store.open_bucket("watched").await.unwrap(), store.open_bucket("seen").await.unwrap()];
    let mut notes = Vec::new();
    for (key, value) in CHANGES {
        match value {
            Some(value) => changed.set(key, value).await.unwrap(),
            None => changed.delete(key).await.unwrap(),
        }
        if !key.starts_with("user-") {
            continue;
        }
        // One at a time: some stores tell of what is there last.
        let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("it is told").unwrap();
        assert_eq!(watcher.deliver(&mut running.store, &watched, event).await.unwrap(), Delivered::Called);
        let note = seen.get(&format!("{:08}", notes.len())).await.unwrap().expect("it is noted");
        notes.push(String::from_utf8(note.to_vec()).unwrap());
    }
    drop(events);
    for bucket in ["watched", "seen"] {
        store.drop_bucket(bucket).await.unwrap();
    }
    notes
}

/// `kv watch-run` calls the program at what others change, in their order, and ends after as many calls as were wanted.
pub(crate) fn elsewhere(url: &str) {
    let (kv, watcher) = (Kv::at(url), component("watcher-draft2"));
    let (mut watching, mut lines) =
        kv.start(&["watch-run", &watcher, "--bucket", "watched", "--prefix", "user-", "--count", "3"]);
    assert_eq!(lines.next().unwrap().unwrap(), "kv: watching \"watched\"");
    for (key, value) in CHANGES {
        match value {
            Some(value) => kv.ok(&["set", "watched", key, value]),
            None => kv.ok(&["delete", "watched", key]),
        };
    }
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(watching.wait().unwrap().success() && said.is_empty(), "{said:?}");
    for (number, note) in NOTES.iter().enumerate() {
        assert_eq!(kv.ok(&["get", "seen", &format!("{number:08}")]).text(), *note);
    }
}
