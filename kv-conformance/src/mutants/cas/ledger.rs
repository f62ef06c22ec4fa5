//! A provider that keeps versions beside its entries, as an engine without guards must, and forgets one kind of write,
//! or counts one thing too many.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Fill, Guard, GuardSwap, IncomingValue, Provider, Result, Swap};
use tokio::sync::Mutex;

use crate::mutants::{Fault, Under};

/// The write that is not counted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Blind {
    SameBytes,
    Set,
    Delete,
    Creation,
    Increment,
    IncrementByZero,
    SetMany,
    DeleteMany,
    CompareAndSwap,
    SetWithTtl,
    Fill,
    Expiry,
    DropBucket,
    Swap,
}

/// What is counted although it is no write.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Touchy {
    DeleteOfAbsent,
    FailedSwap,
    FailedIncrement,
    Get,
    Taking,
    RemovalOfExpired,
    Neighbours,
    OtherSwaps,
}

/// The provider with versions. One lock makes each write and its count one step.
pub(super) struct Ledger {
    blind: Option<Blind>,
    touchy: Option<Touchy>,
    versions: Arc<Mutex<Versions>>,
}

type Name = (String, String);

#[derive(Default)]
struct Versions {
    of: HashMap<Name, u64>,
    /// Keys that have had a deadline.
    expiring: HashSet<Name>,
    swaps: u64,
}

impl Versions {
    fn bump(&mut self, under: &Under, key: &str) {
        *self.of.entry((under.name.clone(), key.to_owned())).or_default() += 1;
    }
}

impl Ledger {
    pub(super) fn blind(blind: Blind) -> Self {
        Self { blind: Some(blind), touchy: None, versions: Arc::default() }
    }

    pub(super) fn touchy(touchy: Touchy) -> Self {
        Self { blind: None, touchy: Some(touchy), versions: Arc::default() }
    }

    fn is(&self, blind: Blind) -> bool {
        self.blind == Some(blind)
    }

    fn counts(&self, touchy: Touchy) -> bool {
        self.touchy == Some(touchy)
    }

    /// The keys whose version stands for this one's.
    fn versioned<'a>(&self, key: &'a str) -> &'a str {
        if self.counts(Touchy::Neighbours) { key.get(..1).unwrap_or_default() } else { key }
    }
}

#[async_trait]
impl Fault for Ledger {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        let mut versions = self.versions.lock().await;
        below.drop_bucket(name).await?;
        if !self.is(Blind::DropBucket) {
            versions.of.iter_mut().filter(|((bucket, _), _)| bucket == name).for_each(|(_, version)| *version += 1);
        }
        Ok(())
    }

    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        if self.counts(Touchy::Get) {
            self.versions.lock().await.bump(under, key);
        }
        under.bucket.get(key).await
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let mut versions = self.versions.lock().await;
        let old = under.bucket.get(key).await?;
        under.bucket.set(key, value.clone()).await?;
        let is_missed = match self.blind {
            Some(Blind::Set) => old.is_some(),
            Some(Blind::SameBytes) => old.as_deref() == Some(&*value),
            Some(Blind::Creation) => old.is_none(),
            _ => false,
        };
        if !is_missed {
            versions.bump(under, self.versioned(key));
        }
        Ok(())
    }

    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        let mut versions = self.versions.lock().await;
        let is_there = under.bucket.exists(key).await?;
        under.bucket.delete(key).await?;
        if (is_there || self.counts(Touchy::DeleteOfAbsent)) && !self.is(Blind::Delete) {
            versions.bump(under, self.versioned(key));
        }
        Ok(())
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let mut versions = self.versions.lock().await;
        under.bucket.set_many(entries).await?;
        if !self.is(Blind::SetMany) {
            entries.iter().for_each(|(key, _)| versions.bump(under, self.versioned(key)));
        }
        Ok(())
    }

    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        let mut versions = self.versions.lock().await;
        let found = under.bucket.get_many(keys, usize::MAX).await?;
        under.bucket.delete_many(keys).await?;
        if !self.is(Blind::DeleteMany) {
            for (key, _) in keys.iter().zip(found).filter(|(_, found)| found.is_some()) {
                versions.bump(under, self.versioned(key));
            }
        }
        Ok(())
    }

    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let mut versions = self.versions.lock().await;
        let ended = under.atomic()?.increment(key, delta).await;
        let is_counted = match &ended {
            Ok(_) => !(self.is(Blind::Increment) || self.is(Blind::IncrementByZero) && delta == 0),
            Err(_) => self.counts(Touchy::FailedIncrement),
        };
        if is_counted {
            versions.bump(under, self.versioned(key));
        }
        ended
    }

    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let mut versions = self.versions.lock().await;
        let is_nothing = expected.is_none() && new.is_none();
        let ended = under.atomic()?.compare_and_swap(key, expected, new).await?;
        let is_counted = match ended {
            Swap::Swapped => !is_nothing && !self.is(Blind::CompareAndSwap),
            Swap::Found(_) => self.counts(Touchy::FailedSwap),
        };
        if is_counted {
            versions.bump(under, self.versioned(key));
        }
        Ok(ended)
    }

    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        let mut versions = self.versions.lock().await;
        under.cache()?.set_with_ttl(key, value, ttl).await?;
        versions.expiring.insert((under.name.clone(), key.to_owned()));
        if !self.is(Blind::SetWithTtl) {
            versions.bump(under, self.versioned(key));
        }
        Ok(())
    }

    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        let mut versions = self.versions.lock().await;
        let ended = under.cache()?.fill(key, value, ttl).await?;
        if ended == Fill::Stored && !self.is(Blind::Fill) {
            versions.bump(under, self.versioned(key));
        }
        Ok(ended)
    }

    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let mut versions = self.versions.lock().await;
        if self.counts(Touchy::Taking) {
            versions.bump(under, key);
        }
        let current = under.bucket.get(key).await?;
        let name = (under.name.clone(), self.versioned(key).to_owned());
        let version = *versions.of.entry(name.clone()).or_default();
        let will_be_removed = current.is_none() && versions.expiring.contains(&(under.name.clone(), key.to_owned()));
        Ok(Box::new(Versioned {
            blind: self.blind,
            touchy: self.touchy,
            versions: Arc::clone(&self.versions),
            under: under.clone(),
            key: key.to_owned(),
            name,
            version,
            swaps: versions.swaps,
            will_be_removed,
            current,
        }))
    }
}

/// A key's version and value at one instant.
struct Versioned {
    blind: Option<Blind>,
    touchy: Option<Touchy>,
    versions: Arc<Mutex<Versions>>,
    under: Under,
    key: String,
    name: Name,
    version: u64,
    swaps: u64,
    will_be_removed: bool,
    current: Option<IncomingValue>,
}

#[async_trait]
impl Guard for Versioned {
    fn current(&self) -> Option<&IncomingValue> {
        self.current.as_ref()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let mut versions = self.versions.lock().await;
        let version = versions.of.get(&self.name).copied().unwrap_or_default();
        let found = self.under.bucket.get(&self.key).await?;
        let has_expired = self.current.is_some() && found.is_none() && self.blind != Some(Blind::Expiry);
        let is_dropped = has_expired && self.blind == Some(Blind::DropBucket);
        let is_touched = match self.touchy {
            Some(Touchy::RemovalOfExpired) => self.will_be_removed,
            Some(Touchy::OtherSwaps) => versions.swaps != self.swaps,
            _ => false,
        };
        let has_expired =
            has_expired && !is_dropped && self.blind != Some(Blind::Delete) && self.blind != Some(Blind::DeleteMany);
        if version != self.version || has_expired || is_touched {
            if self.touchy == Some(Touchy::FailedSwap) {
                versions.bump(&self.under, &self.key);
            }
            let version = versions.of.get(&self.name).copied().unwrap_or_default();
            let swaps = versions.swaps;
            drop(versions);
            return Ok(GuardSwap::Lost(Box::new(Self {
                version,
                swaps,
                will_be_removed: false,
                current: found,
                ..*self
            })));
        }
        self.under.bucket.set(&self.key, value).await?;
        versions.swaps += 1;
        if self.blind != Some(Blind::Swap) {
            *versions.of.entry(self.name.clone()).or_default() += 1;
        }
        Ok(GuardSwap::Swapped)
    }
}
