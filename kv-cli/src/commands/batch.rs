//! Records on their way into a bucket, a batch at a time.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use kv::{Bucket, Result};

use crate::deadline::{self, Restored};
use crate::record::Record;

/// Records of a batch. Larger batches leave the runtime (BAT-4), and are no faster.
const MOST_RECORDS: u64 = 1_000;

/// Bytes of keys and values of a batch, for the same reason: 1 MiB. A record that has more is a batch of its own, and
/// no batch to the store: a value of the largest size and its key are over the limit of one (LIM-1).
const MOST_BYTES: usize = 1 << 20;

/// Entries with a deadline that are stored at once. The contract has no batch of those, but an engine that waits for
/// the disk serves all that wait.
const AT_ONCE: usize = 64;

/// What becomes of the entry under a key.
struct Entry {
    value: Bytes,
    expires_at_ms: Option<u64>,
}

/// A batch that is being gathered.
pub(super) struct Batch {
    bucket: Bucket,
    is_local: bool,
    entries: HashMap<String, Entry>,
    records: u64,
    bytes: usize,
}

/// What was stored.
pub(super) struct Stored {
    pub(super) stored: u64,
    /// Records whose deadline has passed, which were left out.
    pub(super) expired: u64,
}

impl Batch {
    pub(super) fn new(bucket: Bucket, is_local: bool) -> Self {
        Self { bucket, is_local, entries: HashMap::new(), records: 0, bytes: 0 }
    }

    /// Adds a record; of a repeated key the last counts, as in one `set_many`.
    pub(super) fn push(&mut self, record: Record) {
        self.records += 1;
        self.bytes += bytes(&record);
        self.entries.insert(record.key, Entry { value: record.value, expires_at_ms: record.expires_at_ms });
    }

    /// How many records it holds, repeated ones included.
    pub(super) fn len(&self) -> u64 {
        self.records
    }

    /// Whether the record has to wait until what was gathered is stored.
    pub(super) fn is_too_full_for(&self, record: &Record) -> bool {
        self.records > 0 && self.bytes + bytes(record) > MOST_BYTES
    }

    pub(super) fn is_full(&self) -> bool {
        self.records >= MOST_RECORDS || self.bytes >= MOST_BYTES
    }

    /// Stores what was gathered and empties the batch. Once this returns, the entries are acknowledged.
    pub(super) async fn store(&mut self) -> Result<Stored> {
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        let mut plain = Vec::new();
        let mut timed = Vec::new();
        for (key, entry) in self.entries.drain() {
            match entry.expires_at_ms {
                None => plain.push((key, entry.value)),
                Some(at) => timed.push((key, entry.value, at)),
            }
        }
        match plain.as_slice() {
            [(key, value)] => self.bucket.set(key, value.clone()).await?,
            _ => self.bucket.set_many(plain).await?,
        }
        let (bucket, is_local) = (&self.bucket, self.is_local);
        let expired: u64 = stream::iter(timed)
            .map(async |(key, value, at)| {
                let restored = deadline::write(bucket, &key, &value, at, is_local).await?;
                Ok::<_, kv::Error>(u64::from(restored == Restored::Passed))
            })
            .buffer_unordered(AT_ONCE)
            .try_fold(0, async |sum, one| Ok(sum + one))
            .await?;
        Ok(Stored { stored: records - expired, expired })
    }
}

fn bytes(record: &Record) -> usize {
    record.key.len() + record.value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, bytes: usize) -> Record {
        Record { key: key.to_owned(), value: vec![0; bytes].into(), expires_at_ms: None }
    }

    #[tokio::test]
    async fn a_large_record_is_alone() {
        let store = kv::open("memory:a_large_record_is_alone").await.unwrap();
        let bucket = store.open_bucket("b").await.unwrap();
        let mut batch = Batch::new(bucket.clone(), true);
        let largest = store.limits().value_bytes;
        assert!(!batch.is_too_full_for(&record("large", largest)), "an empty batch takes any record");
        batch.push(record("a", MOST_BYTES - 3));
        assert!(!batch.is_full() && !batch.is_too_full_for(&record("b", 1)));
        assert!(batch.is_too_full_for(&record("b", 2)));
        assert_eq!(batch.store().await.unwrap().stored, 1);
        batch.push(record("large", largest));
        assert!(batch.is_full() && batch.is_too_full_for(&record("", 0)));
        assert_eq!(batch.store().await.unwrap().stored, 1);
        assert_eq!(bucket.get("large").await.unwrap().unwrap().len(), largest);
        assert_eq!(batch.store().await.unwrap().stored, 0);
        store.close().await.unwrap();
    }
}
