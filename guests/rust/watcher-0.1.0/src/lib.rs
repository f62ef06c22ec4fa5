//! Is told of changes by 0.1.0's `handle-watch`, and writes what it was told into the bucket `seen`. At the key `mine` it sets
//! `own` by the handle that it was handed, and writes what came of it.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-0.2.3.wit", "../../wit/keyvalue/0.1.0.wit"],
    inline: "
        package kv:watcher;
        world watcher {
          import wasi:keyvalue/eventual@0.1.0;
          export wasi:keyvalue/handle-watch@0.1.0;
        }
    ",
    world: "kv:watcher/watcher",
    generate_all,
});

use std::sync::atomic::{AtomicU32, Ordering};

use exports::wasi::keyvalue::handle_watch::Guest;
use wasi::keyvalue::eventual;
use wasi::keyvalue::types::{Bucket, IncomingValue, OutgoingValue};
use wasi::keyvalue::wasi_keyvalue_error::Error;

/// How many events this instance was told.
static TOLD: AtomicU32 = AtomicU32::new(0);

struct Watcher;

impl Guest for Watcher {
    fn on_set(bucket: Bucket, key: String, value: &IncomingValue) {
        let bytes = sure(value.incoming_value_size());
        note(&key, &format!("set {key} {bytes}"));
        if key == "mine" {
            let outcome = eventual::set(&bucket, "own", &outgoing(b"own")).map_err(|error| error.trace());
            note(&key, &format!("own: {outcome:?}"));
        }
    }

    fn on_delete(_: Bucket, key: String) {
        note(&key, &format!("delete {key}"));
    }
}

fn note(key: &str, event: &str) {
    assert_ne!(key, "trap", "asked to trap");
    let number = TOLD.fetch_add(1, Ordering::Relaxed);
    sure(eventual::set(&sure(Bucket::open_bucket("seen")), &format!("{number:08}"), &outgoing(event.as_bytes())));
}

fn outgoing(bytes: &[u8]) -> OutgoingValue {
    let value = OutgoingValue::new_outgoing_value();
    sure(value.outgoing_value_write_body_sync(bytes));
    value
}

fn sure<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{}", error.trace()))
}

export!(Watcher);
