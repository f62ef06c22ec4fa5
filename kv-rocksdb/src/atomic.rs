//! Counters, compare-and-swap, and versioned guards.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::{Version, counter, now};
use kv_core::{Atomic, Guard, GuardSwap, IncomingValue, Result, Swap};

use crate::entry::Entry;
use crate::error::Fault;
use crate::record::Value;
use crate::store::Bucket;

#[async_trait]
impl Atomic for Bucket {
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        let sum = self
            .write(key, move |entry| {
                let (sum, deadline) = entry.look(|record| {
                    // What is large is longer than any number.
                    let old = record.map(|record| match record.value {
                        Value::Inline(value) => value,
                        Value::Large(_) => &[],
                    });
                    Ok((counter::add(old, delta)?, record.and_then(|record| record.deadline)))
                })?;
                entry.store(&Bytes::from(sum.to_string()), deadline)?;
                Ok(sum)
            })
            .await?;
        self.inner.acknowledge().await?;
        Ok(sum)
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap> {
        let expected = expected.map(Bytes::copy_from_slice);
        let swap = self
            .write(key, move |entry| {
                let found = entry.load()?;
                if found != expected {
                    return Ok(Swap::Found(found.map(IncomingValue::from)));
                }
                match &new {
                    Some(new) => entry.store(new, None)?,
                    None => entry.remove()?,
                }
                Ok(Swap::Swapped)
            })
            .await?;
        if let Swap::Swapped = swap {
            self.inner.acknowledge().await?;
        }
        Ok(swap)
    }

    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>> {
        let taken = self.write(key, Taken::new).await?;
        Ok(Box::new(self.guard(key.to_owned(), taken)))
    }
}

/// A key at one instant.
struct Taken {
    version: Version,
    /// Passing it counts as a write.
    deadline: Option<u64>,
    current: Option<IncomingValue>,
}

impl Taken {
    fn new(entry: &mut Entry<'_>) -> Result<Self, Fault> {
        // One look for both: the deadline may pass at any time.
        let current = entry.load()?.map(IncomingValue::from);
        Ok(Self { version: entry.version(), deadline: entry.deadline(), current })
    }
}

impl Bucket {
    fn guard(&self, key: String, taken: Taken) -> KeyGuard {
        KeyGuard { bucket: self.clone(), key, taken }
    }
}

/// A versioned guard (CAS-2). Its version lives in memory: nobody else can write while this process has the store.
struct KeyGuard {
    bucket: Bucket,
    key: String,
    taken: Taken,
}

#[async_trait]
impl Guard for KeyGuard {
    fn current(&self) -> Option<&IncomingValue> {
        self.taken.current.as_ref()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let Self { bucket, key, taken: Taken { version, deadline, current: _ } } = *self;
        let lost = bucket
            .write(&key, move |entry| {
                let expired = deadline.is_some_and(|deadline| deadline <= now());
                if !version.is_fresh() || expired {
                    return Taken::new(entry).map(Some);
                }
                entry.store(&value, None)?;
                Ok(None)
            })
            .await?;
        match lost {
            Some(taken) => Ok(GuardSwap::Lost(Box::new(bucket.guard(key, taken)))),
            None => {
                bucket.inner.acknowledge().await?;
                Ok(GuardSwap::Swapped)
            }
        }
    }
}
