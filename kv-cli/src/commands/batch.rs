//! Records on their way into a bucket, a batch at a time.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use kv::{Bucket, Result};

use crate::deadline::{self, Restored};
use crate::record::Record;

/// Records of a batch. Larger batches leave the runtime (BAT-4), and are no faster.
const MOST_RECORDS: u64 = 1_000;

/// Bytes of keys and values at which a batch is full, for the same reason: 1 MiB. One record may have more.
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
        self.bytes += record.key.len() + record.value.len();
        self.entries.insert(record.key, Entry { value: record.value, expires_at_ms: record.expires_at_ms });
    }

    /// How many records it holds, repeated ones included.
    pub(super) fn len(&self) -> u64 {
        self.records
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
        self.bucket.set_many(plain).await?;
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
