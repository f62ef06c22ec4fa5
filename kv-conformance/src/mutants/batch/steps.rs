use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::counter;
use kv_core::{Effect, Error, ErrorKind, IncomingValue, Result};
use tokio::task::yield_now;

use crate::mutants::{Fault, Under};

/// Between the steps of a batch: long enough for readers to be scheduled.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Applies a batch in two steps.
pub(super) struct Halves;

#[async_trait]
impl Fault for Halves {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let (first, second) = entries.split_at(entries.len() / 2);
        under.bucket.set_many(first).await?;
        pause().await;
        under.bucket.set_many(second).await
    }
}

/// Applies only long batches in several steps.
pub(super) struct Chunks;

#[async_trait]
impl Fault for Chunks {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        for chunk in entries.chunks(512) {
            under.bucket.set_many(chunk).await?;
            pause().await;
        }
        Ok(())
    }
}

pub(super) struct DeletesOneByOne;

#[async_trait]
impl Fault for DeletesOneByOne {
    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        for (n, key) in keys.iter().enumerate() {
            under.bucket.delete(key).await?;
            if n == keys.len() / 2 {
                pause().await;
            }
        }
        Ok(())
    }
}

pub(super) struct ReadsOneByOne;

#[async_trait]
impl Fault for ReadsOneByOne {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let (mut found, mut left) = (Vec::new(), budget);
        for key in keys {
            let value = under.bucket.get(key).await?;
            let bytes = value.as_ref().map_or(0, |value| value.len());
            left = left.checked_sub(bytes).ok_or_else(|| Error::reply_limit(budget))?;
            found.push(value);
            yield_now().await;
        }
        Ok(found)
    }
}

/// Takes each key's lock in the order of the batch; where two batches wait for one another, one is told so.
#[derive(Default)]
pub(super) struct LocksInOrder(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

#[async_trait]
impl Fault for LocksInOrder {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        // Long enough for a lock that is only taken, too short for one that never comes free.
        const TRIES: usize = 2_000;
        let mut held = BTreeMap::new();
        for (key, _) in entries.iter().take(100) {
            if held.contains_key(key) {
                continue;
            }
            let lock =
                Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((*key).to_owned()).or_default());
            let mut tries = 0;
            let guard = loop {
                if let Ok(guard) = Arc::clone(&lock).try_lock_owned() {
                    break guard;
                }
                tries += 1;
                if tries == TRIES {
                    return Err(Error::new(ErrorKind::Timeout, Effect::None, "a deadlock was found"));
                }
                yield_now().await;
            };
            held.insert(*key, guard);
            yield_now().await;
        }
        under.bucket.set_many(entries).await
    }
}

/// Waits for a long batch on the thread that polls it.
pub(super) struct BlocksThread;

#[async_trait]
impl Fault for BlocksThread {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|cause| {
                Error::new(ErrorKind::ResourceExhausted, Effect::None, "no runtime could be started").with_source(cause)
            })?;
            runtime.block_on(under.bucket.set_many(entries))
        };
        let gone = || Error::new(ErrorKind::Other, Effect::Unknown, "the thread of a batch panicked");
        thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|_| Err(gone())))
    }
}

/// Reads, and then writes.
pub(super) struct IncrementInTwoSteps;

#[async_trait]
impl Fault for IncrementInTwoSteps {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let stored = under.bucket.get(key).await?;
        let new = counter::add(stored.as_deref(), delta)?;
        yield_now().await;
        under.bucket.set(key, new.to_string().into()).await?;
        Ok(new)
    }
}
