//! Counters, compare-and-swap, and versioned guards.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::{Version, counter, now};
use kv_core::{Atomic, Guard, GuardSwap, IncomingValue, Result, Swap};

use crate::entry::{Content, Entry, Seen, is_cut, seen};
use crate::error::Fault;
use crate::record::Record;
use crate::store::Bucket;

#[async_trait]
impl Atomic for Bucket {
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        // The value is known under the lock only; what is prepared here are the pieces of a long key.
        let mut content = self.prepare(key, Bytes::new()).await?;
        let sum = self
            .write(key, move |entry| {
                let old = entry.load()?;
                // What is cut into pieces is longer than any number, and its record holds no digits.
                let sum = counter::add(old.as_ref().map(Record::inline), delta)?;
                content.value = Bytes::from(sum.to_string());
                entry.store(content, old.and_then(|old| old.head.deadline))?;
                Ok(sum)
            })
            .await?;
        self.acknowledge().await?;
        Ok(sum)
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap> {
        let mut content = match new {
            Some(new) => Some(self.prepare(key, new).await?),
            None => None,
        };
        let mut equal = None;
        loop {
            // Large values are compared outside the lock; the step then makes sure that it was this very one.
            let wanted = expected.map(Bytes::copy_from_slice);
            match self.write(key, move |entry| compare(entry, wanted.as_deref(), content, equal)).await? {
                Compared::Swapped => {
                    self.acknowledge().await?;
                    return Ok(Swap::Swapped);
                }
                Compared::Other(None) => return Ok(Swap::Found(None)),
                Compared::Other(Some(seen)) => return Ok(Swap::Found(Some(self.load(seen).await?.into()))),
                Compared::Unknown(unknown) => {
                    let (seen, record, back) = *unknown;
                    let found = self.load(seen).await?;
                    if expected != Some(&*found) {
                        return Ok(Swap::Found(Some(found.into())));
                    }
                    content = back;
                    equal = Some(record);
                }
            }
        }
    }

    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>> {
        let taken = self.write(key, Taken::new).await?;
        Ok(Box::new(self.guard(key.to_owned(), taken).await?))
    }
}

/// How a comparison under the lock ended.
enum Compared {
    Swapped,
    /// The value is another one.
    Other(Option<Seen>),
    /// The value is cut into pieces and must be compared outside the lock.
    Unknown(Box<(Seen, Record, Option<Content>)>),
}

fn compare(
    entry: &mut Entry<'_>,
    expected: Option<&[u8]>,
    new: Option<Content>,
    equal: Option<Record>,
) -> Result<Compared, Fault> {
    let pin = entry.pin();
    match (entry.load()?, expected) {
        (None, None) => {}
        (None, Some(_)) => return Ok(Compared::Other(None)),
        (Some(found), Some(expected)) if is_cut(&found) && found.value_bytes() == expected.len() => {
            if !equal.is_some_and(|equal| equal.same(&found)) {
                return Ok(Compared::Unknown(Box::new((seen(pin, found.clone()), found, new))));
            }
        }
        (Some(found), Some(expected)) if !is_cut(&found) && found.inline() == expected => {}
        (Some(found), _) => return Ok(Compared::Other(Some(seen(pin, found)))),
    }
    match new {
        Some(new) => entry.store(new, None)?,
        None => entry.remove()?,
    }
    Ok(Compared::Swapped)
}

/// A key at one instant.
struct Taken {
    version: Version,
    /// Passing it counts as a write.
    deadline: Option<u64>,
    seen: Option<Seen>,
}

impl Taken {
    fn new(entry: &mut Entry<'_>) -> Result<Self, Fault> {
        let version = entry.version();
        let pin = entry.pin();
        let record = entry.load()?;
        let deadline = record.as_ref().and_then(|record| record.head.deadline);
        Ok(Self { version, deadline, seen: record.map(|record| seen(pin, record)) })
    }
}

impl Bucket {
    async fn guard(&self, key: String, taken: Taken) -> Result<KeyGuard> {
        let current = match taken.seen {
            Some(seen) => Some(IncomingValue::from(self.load(seen).await?)),
            None => None,
        };
        Ok(KeyGuard { bucket: self.clone(), key, version: taken.version, deadline: taken.deadline, current })
    }
}

/// A versioned guard (CAS-2). Its version lives in memory: nobody else can write while this process has the store.
struct KeyGuard {
    bucket: Bucket,
    key: String,
    version: Version,
    deadline: Option<u64>,
    current: Option<IncomingValue>,
}

#[async_trait]
impl Guard for KeyGuard {
    fn current(&self) -> Option<&IncomingValue> {
        self.current.as_ref()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let Self { bucket, key, version, deadline, current: _ } = *self;
        let content = bucket.prepare(&key, value).await?;
        let lost = bucket
            .write(&key, move |entry| {
                let expired = deadline.is_some_and(|deadline| deadline <= now());
                if !version.is_fresh() || expired {
                    return Taken::new(entry).map(Some);
                }
                entry.store(content, None)?;
                Ok(None)
            })
            .await?;
        match lost {
            Some(taken) => Ok(GuardSwap::Lost(Box::new(bucket.guard(key, taken).await?))),
            None => {
                bucket.acknowledge().await?;
                Ok(GuardSwap::Swapped)
            }
        }
    }
}
