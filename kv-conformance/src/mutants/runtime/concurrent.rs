use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{IncomingValue, Result};
use tokio::task::yield_now;

use crate::mutants::{Fault, Under};

/// The values before the current ones, by bucket and key.
#[derive(Default)]
struct Before(Mutex<HashMap<String, IncomingValue>>);

impl Before {
    async fn keep(&self, under: &Under, key: &str) -> Result<()> {
        if let Some(value) = under.bucket.get(key).await? {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{}/{key}", under.name), value);
        }
        Ok(())
    }

    fn of(&self, under: &Under, key: &str) -> Option<IncomingValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&format!("{}/{key}", under.name)).cloned()
    }
}

#[derive(Default)]
pub(super) struct StaleRead {
    before: Before,
    reads: AtomicU64,
}

#[async_trait]
impl Fault for StaleRead {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        self.before.keep(under, key).await?;
        under.bucket.set(key, value).await
    }

    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let found = under.bucket.get(key).await?;
        let is_stale = self.reads.fetch_add(1, Ordering::Relaxed) % 500 == 499;
        Ok(if is_stale { self.before.of(under, key).or(found) } else { found })
    }
}

/// Acknowledges first and writes later.
pub(super) struct WriteBehind;

#[async_trait]
impl Fault for WriteBehind {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let (under, key) = (under.clone(), key.to_owned());
        tokio::spawn(async move {
            yield_now().await;
            // Nobody is there to be told of an error.
            let _ = under.bucket.set(&key, value).await;
        });
        Ok(())
    }
}

/// Reads batches from a replica that is one write behind.
#[derive(Default)]
pub(super) struct ReplicaReads(Before);

#[async_trait]
impl Fault for ReplicaReads {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        self.0.keep(under, key).await?;
        under.bucket.set(key, value).await
    }

    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let mut found = under.bucket.get_many(keys, budget).await?;
        for (key, value) in keys.iter().zip(&mut found).filter(|(_, value)| value.is_some()) {
            *value = self.0.of(under, key).or(value.take());
        }
        Ok(found)
    }
}

/// Gives now and then what the last caller asked for.
#[derive(Default)]
pub(super) struct RepliesExchanged {
    last: Mutex<Option<IncomingValue>>,
    reads: AtomicU64,
}

#[async_trait]
impl Fault for RepliesExchanged {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let found = under.bucket.get(key).await?;
        let last = std::mem::replace(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner), found.clone());
        let is_exchanged = self.reads.fetch_add(1, Ordering::Relaxed) % 300 == 299;
        Ok(if is_exchanged { last } else { found })
    }
}

/// Reads the first half of the new value and the second half of the old one, now and then.
#[derive(Default)]
pub(super) struct TornRead {
    before: Before,
    reads: AtomicU64,
}

#[async_trait]
impl Fault for TornRead {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        self.before.keep(under, key).await?;
        under.bucket.set(key, value).await
    }

    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let found = under.bucket.get(key).await?;
        let (Some(new), Some(old)) = (&found, self.before.of(under, key)) else { return Ok(found) };
        if self.reads.fetch_add(1, Ordering::Relaxed) % 50 != 49 {
            return Ok(found);
        }
        let (head, _) = new.split_at(new.len() / 2);
        let (_, tail) = old.split_at(old.len() / 2);
        Ok(Some(Bytes::from([head, tail].concat()).into()))
    }
}

/// Writes a large value piece by piece, as it comes.
pub(super) struct TwoSteps;

#[async_trait]
impl Fault for TwoSteps {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        const PIECE: usize = 64 << 10;
        if value.len() > PIECE {
            under.bucket.set(key, value.slice(..PIECE)).await?;
            yield_now().await;
        }
        under.bucket.set(key, value).await
    }
}

/// Clears the place before it writes, unless it is cut off in between.
pub(super) struct CutOffLeavesHalf;

#[async_trait]
impl Fault for CutOffLeavesHalf {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if value.len() < 1_000 {
            return under.bucket.set(key, value).await;
        }
        under.bucket.delete(key).await?;
        yield_now().await;
        under.bucket.set(key, value).await
    }
}
