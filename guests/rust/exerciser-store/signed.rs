//! What sets draft2 and Spin's form of it apart: text for cursors, signed counters. They differ in the entries of a batch, whose
//! value each of them finds by its own `value`.

use crate::wasi::keyvalue::store::{Bucket, Error};
use crate::wasi::keyvalue::{atomics, batch};

pub(crate) const DELTAS: &[(&str, i64)] = &[
    ("-7", -7),
    ("the least, beyond the least", i64::MIN),
    ("2^63-1", i64::MAX),
    ("the most, beyond the most", i64::MAX),
];

pub(crate) fn made_up_cursor() -> String {
    "made up".to_owned()
}

pub(crate) fn list(bucket: &Bucket, cursor: Option<String>) -> Result<(Vec<String>, Option<String>), Error> {
    bucket.list_keys(cursor.as_deref()).map(|page| (page.keys, page.cursor))
}

pub(crate) fn get_many(bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    Ok(batch::get_many(bucket, keys)?.into_iter().map(crate::value).collect())
}

pub(crate) fn increment(bucket: &Bucket, key: &str, delta: i64) -> Result<i64, Error> {
    atomics::increment(bucket, key, delta)
}
