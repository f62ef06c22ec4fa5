use transcript::{Shape, Show, Transcript, batches, counters, singles};

use crate::calls::pages;
use crate::exports::kv::guests::tour::Guest;
use crate::wasi::keyvalue::batch;
use crate::wasi::keyvalue::store::{self, Bucket, Error};
use crate::{Exerciser, cas, shape};

/// More than two pages of the host's.
const KEYS: usize = 2_500;

impl Guest for Exerciser {
    fn run(bucket: String) -> Vec<String> {
        let mut lines = Transcript::default();
        let opened = store::open(&bucket);
        lines.note("open", &opened.as_ref().map(drop));
        if let Ok(bucket) = opened {
            singles(&mut lines, &bucket);
            batches(&mut lines, &bucket);
            listing(&mut lines, &bucket);
            counters(&mut lines, &bucket, shape::DELTAS);
            cas::tour(&mut lines, &bucket);
            lines.note("list", &bucket.keys());
        }
        lines.into_lines()
    }
}

fn listing(lines: &mut Transcript, bucket: &Bucket) {
    let entries: Vec<(String, Vec<u8>)> = (0..KEYS).map(|n| (format!("key-{n:04}"), vec![b'v'; n % 10])).collect();
    let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    lines
        .note("list from a cursor that was never given", &shape::list(bucket, Some(shape::made_up_cursor())).map(drop));
    lines.note(&format!("set-many of {KEYS} keys"), &batch::set_many(bucket, &entries));
    let pages = pages(bucket);
    let sizes = pages.as_ref().map(|pages| pages.iter().map(Vec::len).collect::<Vec<_>>());
    lines.note("keys in each page", &sizes);
    let exact = pages.as_ref().map(|pages| {
        let mut listed = pages.concat();
        listed.sort();
        listed == keys
    });
    lines.note("each key was listed once", &exact);
    let found = shape::get_many(bucket, &keys)
        .map(|values| values.into_iter().eq(entries.into_iter().map(|(_, value)| Some(value))));
    lines.note(&format!("get-many of {KEYS} keys gives their values"), &found);
    lines.note(&format!("delete-many of {KEYS} keys"), &batch::delete_many(bucket, &keys));
    lines.note("list", &bucket.keys());
}

impl Shape for Bucket {
    fn get(&self, key: &str) -> impl Show {
        Bucket::get(self, key)
    }

    fn set(&self, key: &str, value: &[u8]) -> impl Show {
        Bucket::set(self, key, value)
    }

    fn delete(&self, key: &str) -> impl Show {
        Bucket::delete(self, key)
    }

    fn exists(&self, key: &str) -> impl Show {
        Bucket::exists(self, key)
    }

    fn keys(&self) -> impl Show {
        pages(self).map(|pages| {
            let mut keys = pages.concat();
            keys.sort();
            keys
        })
    }

    fn get_many(&self, keys: &[String]) -> impl Show {
        batch::get_many(self, keys)
    }

    fn set_many(&self, entries: &[(String, Vec<u8>)]) -> impl Show {
        batch::set_many(self, entries)
    }

    fn delete_many(&self, keys: &[String]) -> impl Show {
        batch::delete_many(self, keys)
    }

    fn increment(&self, key: &str, delta: i64) -> impl Show {
        shape::increment(self, key, delta)
    }
}

impl Show for Error {
    fn show(&self) -> String {
        match self {
            Error::NoSuchStore => "no-such-store".to_owned(),
            Error::AccessDenied => "access-denied".to_owned(),
            // Its text may name the provider.
            Error::Other(_) => "error".to_owned(),
        }
    }
}
