//! What sets this shape apart: numbers for cursors, unsigned counters.

use crate::wasi::keyvalue::store::{Bucket, Error};
use crate::wasi::keyvalue::{atomics, batch};

/// `increment` takes them as unsigned numbers: all but the last are more than a counter can hold.
pub(crate) const DELTAS: &[(&str, i64)] = &[
    ("2^64-1", -1),
    ("2^63", i64::MIN),
    ("2^63-1, beyond the most", i64::MAX),
    ("2^63-6, up to the most", i64::MAX - 5),
    ("1, beyond the most", 1),
];

pub(crate) fn made_up_cursor() -> u64 {
    u64::MAX
}

pub(crate) fn list(bucket: &Bucket, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), Error> {
    bucket.list_keys(cursor).map(|page| (page.keys, page.cursor))
}

pub(crate) fn get_many(bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    Ok(batch::get_many(bucket, keys)?.into_iter().map(|entry| entry.map(|(_, value)| value)).collect())
}

pub(crate) fn increment(bucket: &Bucket, key: &str, delta: i64) -> Result<i64, Error> {
    atomics::increment(bucket, key, delta as u64).map(|value| value as i64)
}
