//! Is told of changes by draft2's `watcher`, and writes what it was told into the bucket `seen`. At the key `mine` it sets `own`
//! by the handle that it was handed, and writes what came of it.

wit_bindgen::generate!({
    path: ["../../wit/keyvalue/0.2.0-draft2.wit"],
    inline: "
        package kv:watcher;
        world watcher {
          import wasi:keyvalue/store@0.2.0-draft2;
          export wasi:keyvalue/watcher@0.2.0-draft2;
        }
    ",
    world: "kv:watcher/watcher",
    generate_all,
});

use std::sync::atomic::{AtomicU32, Ordering};

use exports::wasi::keyvalue::watcher::Guest;
use wasi::keyvalue::store::{self, Bucket};

/// How many events this instance was told.
static TOLD: AtomicU32 = AtomicU32::new(0);

struct Watcher;

impl Guest for Watcher {
    fn on_set(bucket: Bucket, key: String, value: Vec<u8>) {
        note(&key, &format!("set {key} {}", value.len()));
        if key == "mine" {
            note(&key, &format!("own: {:?}", bucket.set("own", b"own")));
        }
    }

    fn on_delete(_: Bucket, key: String) {
        note(&key, &format!("delete {key}"));
    }
}

fn note(key: &str, event: &str) {
    assert_ne!(key, "trap", "asked to trap");
    let number = TOLD.fetch_add(1, Ordering::Relaxed);
    let set = store::open("seen").and_then(|bucket| bucket.set(&format!("{number:08}"), event.as_bytes()));
    set.unwrap_or_else(|error| panic!("{error:?}"));
}

export!(Watcher);
