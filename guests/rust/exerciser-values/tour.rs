use transcript::{COUNTED, Shape, Show, Transcript, batches, counters, singles};

use crate::bodies::{outgoing, whole};
use crate::exports::kv::guests::tour::Guest;
use crate::shape::{batch, single};
use crate::wasi::keyvalue::atomic;
use crate::wasi::keyvalue::types::{Bucket, Error, IncomingValue};
use crate::{Exerciser, cache, shape, streaming};

/// As many as a list of keys has to hold without pages.
const KEYS: usize = 2_500;

/// `increment` takes them as unsigned numbers: all but the last two are more than a counter can hold.
const DELTAS: &[(&str, i64)] = &[
    ("2^64-1", -1),
    ("2^63", i64::MIN),
    ("2^63-1, beyond the most", i64::MAX),
    ("2^63-6, up to the most", i64::MAX - 5),
    ("1, beyond the most", 1),
];

impl Guest for Exerciser {
    fn run(bucket: String) -> Vec<String> {
        let mut lines = Transcript::default();
        let opened = Bucket::open_bucket(&bucket);
        lines.note("open", &opened.as_ref().map(drop));
        if let Ok(bucket) = opened {
            singles(&mut lines, &bucket);
            streaming::tour(&mut lines, &bucket);
            batches(&mut lines, &bucket);
            listing(&mut lines, &bucket);
            counters(&mut lines, &bucket, DELTAS);
            swaps(&mut lines, &bucket);
            cache::tour(&mut lines);
            lines.note("list", &bucket.keys());
        }
        lines.into_lines()
    }
}

fn listing(lines: &mut Transcript, bucket: &Bucket) {
    let keys: Vec<String> = (0..KEYS).map(|n| format!("key-{n:04}")).collect();
    match outgoing(b"of all") {
        // One value under all keys.
        Ok(value) => {
            let entries: Vec<_> = keys.iter().map(|key| (key.clone(), &value)).collect();
            lines.note(&format!("set-many of {KEYS} keys"), &batch::set_many(bucket, &entries));
        }
        Err(error) => lines.note("new value", &error),
    }
    let listed = shape::keys(bucket).map(|mut listed| {
        listed.sort();
        listed == keys
    });
    lines.note("each key was listed once", &listed);
    let found = shape::get_many(bucket, &keys).map(|values| {
        values.iter().flatten().filter(|value| whole(value).is_ok_and(|value| value == b"of all")).count()
    });
    lines.note(&format!("values that get-many of {KEYS} keys gives"), &found);
    lines.note(&format!("delete-many of {KEYS} keys"), &batch::delete_many(bucket, &keys));
    lines.note("list", &bucket.keys());
}

fn swaps(lines: &mut Transcript, bucket: &Bucket) {
    let swap = |lines: &mut Transcript, old, new| {
        let swapped = atomic::compare_and_swap(bucket, COUNTED, old, new);
        lines.note(&format!("compare-and-swap {old} {new}"), &swapped);
        lines.note("get counter", &bucket.get(COUNTED));
    };
    swap(lines, 1, 2);
    swap(lines, 0, 2);
    lines.note("set counter to \"2\"", &Shape::set(bucket, COUNTED, b"2"));
    swap(lines, 2, 30);
    swap(lines, 2, 31);
    swap(lines, 30, 30);
    swap(lines, 30, u64::MAX);
    swap(lines, u64::MAX, 4);
    lines.note("set counter to \"abc\"", &Shape::set(bucket, COUNTED, b"abc"));
    swap(lines, 0, 5);
    lines.note("delete counter", &Shape::delete(bucket, COUNTED));
}

impl Shape for Bucket {
    fn get(&self, key: &str) -> impl Show {
        single::get(self, key)
    }

    fn set(&self, key: &str, value: &[u8]) -> impl Show {
        outgoing(value).and_then(|value| single::set(self, key, &value))
    }

    fn delete(&self, key: &str) -> impl Show {
        single::delete(self, key)
    }

    fn exists(&self, key: &str) -> impl Show {
        single::exists(self, key)
    }

    fn keys(&self) -> impl Show {
        shape::keys(self).map(|mut keys| {
            keys.sort();
            keys
        })
    }

    fn get_many(&self, keys: &[String]) -> impl Show {
        batch::get_many(self, keys)
    }

    fn set_many(&self, entries: &[(String, Vec<u8>)]) -> impl Show {
        shape::set_many(self, entries)
    }

    fn delete_many(&self, keys: &[String]) -> impl Show {
        batch::delete_many(self, keys)
    }

    fn increment(&self, key: &str, delta: i64) -> impl Show {
        atomic::increment(self, key, delta as u64)
    }
}

/// Shown as what it holds, which uses it up.
impl Show for IncomingValue {
    fn show(&self) -> String {
        whole(self).show()
    }
}

impl Show for Error {
    fn show(&self) -> String {
        // Other traces may name the provider.
        match self.trace().as_str() {
            trace @ "Key not found" => format!("error {trace}"),
            _ => "error".to_owned(),
        }
    }
}
