//! Expired entries that one operation still sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Fill, Guard, GuardSwap, IncomingValue, Page, PageRequest, Provider, Result, Swap, Ttl};

use crate::mutants::{Fault, Under};

/// The operation that sees them.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Seen {
    Get,
    Exists,
    Ttl,
    GetMany,
    Keys,
    Buckets,
    Increment,
    CompareAndSwap,
    Cas,
    Fill,
}

type Entries = BTreeMap<(String, String), Bytes>;

/// Remembers what was written with a deadline until it is written again or deleted.
pub(super) struct Ghosts {
    to: Seen,
    entries: Mutex<Entries>,
}

impl Ghosts {
    pub(super) fn to(to: Seen) -> Self {
        Self { to, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, under: &Under, key: &str) {
        self.entries().remove(&(under.name.clone(), key.to_owned()));
    }

    /// The value that has expired, for the operation that sees it.
    async fn ghost(&self, to: Seen, under: &Under, key: &str) -> Result<Option<Bytes>> {
        if self.to != to || under.bucket.exists(key).await? {
            return Ok(None);
        }
        Ok(self.entries().get(&(under.name.clone(), key.to_owned())).cloned())
    }
}

/// A handle that saw an expired entry.
struct SawGhost(IncomingValue, Box<dyn Guard>);

#[async_trait]
impl Guard for SawGhost {
    fn current(&self) -> Option<&IncomingValue> {
        Some(&self.0)
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        self.1.swap(value).await
    }
}

#[async_trait]
impl Fault for Ghosts {
    async fn buckets(&self, below: &Arc<dyn Provider>) -> Result<Vec<String>> {
        let mut names = below.buckets().await?;
        if self.to == Seen::Buckets {
            names.extend(self.entries().keys().map(|(bucket, _)| bucket.clone()));
            names.sort_unstable();
            names.dedup();
        }
        Ok(names)
    }

    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        self.entries().retain(|(bucket, _), _| bucket != name);
        below.drop_bucket(name).await
    }

    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        match self.ghost(Seen::Get, under, key).await? {
            Some(ghost) => Ok(Some(ghost.into())),
            None => under.bucket.get(key).await,
        }
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        self.forget(under, key);
        under.bucket.set(key, value).await
    }

    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        self.forget(under, key);
        under.bucket.delete(key).await
    }

    async fn exists(&self, under: &Under, key: &str) -> Result<bool> {
        Ok(self.ghost(Seen::Exists, under, key).await?.is_some() || under.bucket.exists(key).await?)
    }

    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let mut found = under.bucket.get_many(keys, budget).await?;
        for (key, found) in keys.iter().zip(&mut found) {
            if let Some(ghost) = self.ghost(Seen::GetMany, under, key).await? {
                *found = Some(ghost.into());
            }
        }
        Ok(found)
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        entries.iter().for_each(|(key, _)| self.forget(under, key));
        under.bucket.set_many(entries).await
    }

    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        keys.iter().for_each(|key| self.forget(under, key));
        under.bucket.delete_many(keys).await
    }

    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        if self.to == Seen::Keys && page.cursor.is_none() {
            let ghosts: Vec<String> =
                self.entries().keys().filter(|(bucket, _)| *bucket == under.name).map(|(_, key)| key.clone()).collect();
            for key in ghosts.into_iter().filter(|key| key.starts_with(request.prefix)) {
                if self.ghost(Seen::Keys, under, &key).await?.is_some() {
                    page.keys.push(key);
                }
            }
        }
        Ok(page)
    }

    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        if let Some(ghost) = self.ghost(Seen::Increment, under, key).await? {
            under.bucket.set(key, ghost).await?;
        }
        under.atomic()?.increment(key, delta).await
    }

    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        if let Some(ghost) = self.ghost(Seen::CompareAndSwap, under, key).await? {
            under.bucket.set(key, ghost).await?;
        }
        under.atomic()?.compare_and_swap(key, expected, new).await
    }

    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let below = under.atomic()?.cas(key).await?;
        Ok(match self.ghost(Seen::Cas, under, key).await? {
            Some(ghost) => Box::new(SawGhost(ghost.into(), below)),
            None => below,
        })
    }

    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        self.entries().insert((under.name.clone(), key.to_owned()), value.clone());
        under.cache()?.set_with_ttl(key, value, ttl).await
    }

    async fn ttl(&self, under: &Under, key: &str) -> Result<Ttl> {
        match self.ghost(Seen::Ttl, under, key).await? {
            Some(_) => Ok(Ttl::Left(Duration::from_millis(1))),
            None => under.cache()?.ttl(key).await,
        }
    }

    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        match self.ghost(Seen::Fill, under, key).await? {
            Some(ghost) => Ok(Fill::Found(ghost.into())),
            None => under.cache()?.fill(key, value, ttl).await,
        }
    }
}
