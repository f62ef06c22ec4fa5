use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Effect, Error, ErrorKind, IncomingValue, PageRequest, Result};

use crate::mutants::{Fault, Under};

type Values = Vec<Option<IncomingValue>>;

pub(super) struct DropsMissing;

#[async_trait]
impl Fault for DropsMissing {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        Ok(under.bucket.get_many(keys, budget).await?.into_iter().filter(Option::is_some).collect())
    }
}

/// Asks for each key once, and answers each once.
pub(super) struct MergesRepeats;

#[async_trait]
impl Fault for MergesRepeats {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let mut seen = BTreeSet::new();
        let distinct: Vec<&str> = keys.iter().copied().filter(|key| seen.insert(*key)).collect();
        under.bucket.get_many(&distinct, budget).await
    }
}

/// Answers in the engine's order.
pub(super) struct Sorts;

#[async_trait]
impl Fault for Sorts {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        under.bucket.get_many(&sorted, budget).await
    }
}

pub(super) struct MissingIsEmpty;

#[async_trait]
impl Fault for MissingIsEmpty {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let found = under.bucket.get_many(keys, budget).await?;
        Ok(found.into_iter().map(|value| Some(value.unwrap_or_default())).collect())
    }
}

pub(super) struct EmptyIsMissing;

#[async_trait]
impl Fault for EmptyIsMissing {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let found = under.bucket.get_many(keys, budget).await?;
        Ok(found.into_iter().map(|value| value.filter(|value| !value.is_empty())).collect())
    }
}

pub(super) struct CutsLargeValues;

#[async_trait]
impl Fault for CutsLargeValues {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        const MOST: usize = 64 << 10;
        let cut = |value: IncomingValue| {
            let bytes = value.into_bytes();
            IncomingValue::from(bytes.slice(..bytes.len().min(MOST)))
        };
        Ok(under.bucket.get_many(keys, budget).await?.into_iter().map(|value| value.map(cut)).collect())
    }
}

/// Serves batches from a cache that only `set_many` fills and only `set` and `delete` empty.
#[derive(Default)]
pub(super) struct Stale(Mutex<BTreeMap<String, IncomingValue>>);

#[async_trait]
impl Fault for Stale {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        under.bucket.set_many(entries).await?;
        let entries = entries.iter().map(|(key, value)| (format!("{} {key}", under.name), value.clone().into()));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(entries);
        Ok(())
    }

    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let mut found = under.bucket.get_many(keys, budget).await?;
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in keys.iter().zip(&mut found) {
            *value = cached.get(&format!("{} {key}", under.name)).cloned().or(value.take());
        }
        Ok(found)
    }
}

/// Puts the replies of two halves together the wrong way round.
pub(super) struct MixesLongBatches;

#[async_trait]
impl Fault for MixesLongBatches {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let mut found = under.bucket.get_many(keys, budget).await?;
        if keys.len() > 4_096 {
            found.rotate_left(4_096);
        }
        Ok(found)
    }
}

pub(super) struct FirstStays;

#[async_trait]
impl Fault for FirstStays {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let reversed: Vec<_> = entries.iter().rev().cloned().collect();
        under.bucket.set_many(&reversed).await
    }
}

/// The way of long batches has another order.
pub(super) struct LongBatchKeepsFirst;

#[async_trait]
impl Fault for LongBatchKeepsFirst {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let mut entries = entries.to_vec();
        if entries.len() > 1_024 {
            entries.reverse();
        }
        under.bucket.set_many(&entries).await
    }
}

fn not_found() -> Error {
    Error::new(ErrorKind::Other, Effect::None, "the key was not found")
}

pub(super) struct DeleteAbsentFails;

#[async_trait]
impl Fault for DeleteAbsentFails {
    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        for key in keys {
            if !under.bucket.exists(key).await? {
                return Err(not_found());
            }
        }
        under.bucket.delete_many(keys).await
    }
}

pub(super) struct DeleteStops;

#[async_trait]
impl Fault for DeleteStops {
    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        for key in keys {
            if !under.bucket.exists(key).await? {
                break;
            }
            under.bucket.delete(key).await?;
        }
        Ok(())
    }
}

pub(super) struct DeleteByPrefix;

#[async_trait]
impl Fault for DeleteByPrefix {
    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        for prefix in keys {
            let page = PageRequest { prefix, cursor: None, limit: 10_000, budget: usize::MAX };
            let page = under.bucket.keys(page).await?;
            let found: Vec<&str> = page.keys.iter().map(String::as_str).collect();
            under.bucket.delete_many(&found).await?;
        }
        Ok(())
    }
}

/// Sends the command although nothing is left to send in it.
pub(super) struct NothingToDo;

#[async_trait]
impl Fault for NothingToDo {
    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        let found = under.bucket.get_many(keys, usize::MAX).await?;
        if found.iter().all(Option::is_none) {
            return Err(Error::new(ErrorKind::Other, Effect::None, "wrong number of arguments"));
        }
        under.bucket.delete_many(keys).await
    }
}

/// Writes over the old value without cutting it.
pub(super) struct KeepsOldTail;

#[async_trait]
impl Fault for KeepsOldTail {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let mut written = Vec::new();
        for (key, value) in entries {
            let old = under.bucket.get(key).await?.unwrap_or_default();
            let tail = old.get(value.len()..).unwrap_or_default();
            written.push((*key, [value, tail].concat().into()));
        }
        under.bucket.set_many(&written).await
    }
}

/// Inserts, where it should replace.
pub(super) struct KeepsWhatExists;

#[async_trait]
impl Fault for KeepsWhatExists {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let keys: Vec<&str> = entries.iter().map(|(key, _)| *key).collect();
        let old = under.bucket.get_many(&keys, usize::MAX).await?;
        let new: Vec<_> =
            entries.iter().zip(old).filter(|(_, old)| old.is_none()).map(|(entry, _)| entry.clone()).collect();
        under.bucket.set_many(&new).await
    }
}

pub(super) struct CutAtTenThousand;

#[async_trait]
impl Fault for CutAtTenThousand {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        under.bucket.set_many(entries.get(..10_000).unwrap_or(entries)).await
    }
}

/// Has a frame of its own for what it sends.
pub(super) struct Over32Mib;

#[async_trait]
impl Fault for Over32Mib {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > 32 << 20 {
            return Err(Error::new(ErrorKind::Other, Effect::None, "the frame is too large"));
        }
        under.bucket.set_many(entries).await
    }
}

/// Needs a few bytes of a key's length for itself.
pub(super) struct LongestKeyRefused;

#[async_trait]
impl Fault for LongestKeyRefused {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        if entries.iter().any(|(key, _)| key.len() > (32 << 10) - 8) {
            return Err(Error::invalid("the key is too long"));
        }
        under.bucket.set_many(entries).await
    }
}

pub(super) struct IgnoresBudget;

#[async_trait]
impl Fault for IgnoresBudget {
    async fn get_many(&self, under: &Under, keys: &[&str], _: usize) -> Result<Values> {
        under.bucket.get_many(keys, usize::MAX).await
    }
}

/// Reads long batches in slices, and forgets between them how much of the limit is left.
pub(super) struct BudgetOfSlices;

#[async_trait]
impl Fault for BudgetOfSlices {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let mut found = Vec::with_capacity(keys.len());
        for slice in keys.chunks(64) {
            found.extend(under.bucket.get_many(slice, budget).await?);
        }
        Ok(found)
    }
}

/// Refuses a reply of exactly the limit.
pub(super) struct BudgetOneOff;

#[async_trait]
impl Fault for BudgetOneOff {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let found = under.bucket.get_many(keys, budget.saturating_sub(1)).await;
        found.map_err(|error| if error.kind() == ErrorKind::LimitExceeded { Error::reply_limit(budget) } else { error })
    }
}

/// Reads each key once, and then repeats the values as often as asked.
pub(super) struct BudgetOfDistinct;

#[async_trait]
impl Fault for BudgetOfDistinct {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        let distinct: Vec<&str> = keys.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let found = under.bucket.get_many(&distinct, budget).await?;
        let table: BTreeMap<&str, Option<IncomingValue>> = distinct.into_iter().zip(found).collect();
        Ok(keys.iter().map(|key| table.get(key).cloned().flatten()).collect())
    }
}

pub(super) struct OwnWords;

#[async_trait]
impl Fault for OwnWords {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Values> {
        under.bucket.get_many(keys, budget).await.map_err(|error| match error.kind() {
            ErrorKind::LimitExceeded => Error::limit("a reply", budget as u64 + 1, budget as u64, "bytes"),
            _ => error,
        })
    }
}
