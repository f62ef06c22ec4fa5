use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    Effect, Error, ErrorKind, Guard, GuardSwap, IncomingValue, PageRequest, Provider, ProviderBucket, Result,
};
use tokio::sync::RwLock;

use crate::mutants::{Fault, Under};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn all_keys(bucket: &Arc<dyn ProviderBucket>) -> Result<Vec<String>> {
    let request = PageRequest { prefix: "", cursor: None, limit: usize::MAX, budget: usize::MAX };
    Ok(bucket.keys(request).await?.keys)
}

/// The list of buckets only grows: by each write, or only by those with a deadline.
#[derive(Default)]
pub(super) struct BucketsOnceWritten {
    by_ttl: bool,
    names: Mutex<BTreeSet<String>>,
}

impl BucketsOnceWritten {
    pub(super) fn by_ttl() -> Self {
        Self { by_ttl: true, names: Mutex::default() }
    }
}

#[async_trait]
impl Fault for BucketsOnceWritten {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if !self.by_ttl {
            lock(&self.names).insert(under.name.clone());
        }
        under.bucket.set(key, value).await
    }

    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        lock(&self.names).insert(under.name.clone());
        under.cache()?.set_with_ttl(key, value, ttl).await
    }

    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        lock(&self.names).remove(name);
        below.drop_bucket(name).await
    }

    async fn buckets(&self, below: &Arc<dyn Provider>) -> Result<Vec<String>> {
        let mut names: BTreeSet<String> = below.buckets().await?.into_iter().collect();
        names.extend(lock(&self.names).iter().cloned());
        Ok(names.into_iter().collect())
    }
}

pub(super) struct BucketsCapped;

#[async_trait]
impl Fault for BucketsCapped {
    async fn buckets(&self, below: &Arc<dyn Provider>) -> Result<Vec<String>> {
        let mut names = below.buckets().await?;
        names.truncate(256);
        Ok(names)
    }
}

/// A bucket is listed for each entry that it holds.
pub(super) struct BucketsRepeated;

#[async_trait]
impl Fault for BucketsRepeated {
    async fn buckets(&self, below: &Arc<dyn Provider>) -> Result<Vec<String>> {
        let mut repeated = Vec::new();
        for name in below.buckets().await? {
            let keys = all_keys(&below.open_bucket(&name).await?).await?;
            repeated.extend(keys.iter().map(|_| name.clone()));
        }
        Ok(repeated)
    }
}

pub(super) struct DropAbsentFails;

#[async_trait]
impl Fault for DropAbsentFails {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        if !below.buckets().await?.iter().any(|known| known == name) {
            return Err(Error::new(ErrorKind::NoSuchBucket, Effect::None, "there is no such bucket"));
        }
        below.drop_bucket(name).await
    }
}

pub(super) struct DropLeavesLast;

#[async_trait]
impl Fault for DropLeavesLast {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        let bucket = below.open_bucket(name).await?;
        let keys = all_keys(&bucket).await?;
        let all_but_last: Vec<&str> = keys.iter().rev().skip(1).map(String::as_str).collect();
        bucket.delete_many(&all_but_last).await
    }
}

pub(super) struct DropKeyByKey;

#[async_trait]
impl Fault for DropKeyByKey {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        let bucket = below.open_bucket(name).await?;
        for key in all_keys(&bucket).await? {
            bucket.delete(&key).await?;
            tokio::task::yield_now().await;
        }
        below.drop_bucket(name).await
    }
}

/// What becomes of handles whose bucket was dropped.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum AfterDrop {
    Refuse,
    Swallow,
}

/// Handles on a dropped bucket are no good any more, until the bucket is opened anew.
pub(super) struct DropHandles {
    after: AfterDrop,
    dropped: Mutex<HashSet<String>>,
}

impl DropHandles {
    pub(super) fn new(after: AfterDrop) -> Self {
        Self { after, dropped: Mutex::default() }
    }
}

#[async_trait]
impl Fault for DropHandles {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        lock(&self.dropped).remove(name);
        below.open_bucket(name).await
    }

    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        lock(&self.dropped).insert(name.to_owned());
        below.drop_bucket(name).await
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let is_dropped = lock(&self.dropped).contains(&under.name);
        match self.after {
            AfterDrop::Refuse if is_dropped => {
                Err(Error::new(ErrorKind::NoSuchBucket, Effect::None, "the bucket was dropped; open it again"))
            }
            AfterDrop::Swallow if is_dropped => Ok(()),
            _ => under.bucket.set(key, value).await,
        }
    }
}

/// A swap that lost to a drop is made all the same: drops change no versions.
#[derive(Default)]
pub(super) struct DropSparesHandles(Arc<Mutex<HashMap<String, usize>>>);

#[async_trait]
impl Fault for DropSparesHandles {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        *lock(&self.0).entry(name.to_owned()).or_default() += 1;
        below.drop_bucket(name).await
    }

    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let taken_at = lock(&self.0).get(&under.name).copied();
        let guard = under.atomic()?.cas(key).await?;
        Ok(Box::new(Spared { guard, under: under.clone(), key: key.to_owned(), taken_at, drops: Arc::clone(&self.0) }))
    }
}

struct Spared {
    guard: Box<dyn Guard>,
    under: Under,
    key: String,
    taken_at: Option<usize>,
    drops: Arc<Mutex<HashMap<String, usize>>>,
}

#[async_trait]
impl Guard for Spared {
    fn current(&self) -> Option<&IncomingValue> {
        self.guard.current()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let ended = self.guard.swap(value.clone()).await?;
        let was_dropped = lock(&self.drops).get(&self.under.name).copied() != self.taken_at;
        if was_dropped && matches!(ended, GuardSwap::Lost(_)) {
            self.under.bucket.set(&self.key, value).await?;
            return Ok(GuardSwap::Swapped);
        }
        Ok(ended)
    }
}

/// A large drop holds a lock that everybody needs.
#[derive(Default)]
pub(super) struct DropStalls(RwLock<()>);

#[async_trait]
impl Fault for DropStalls {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        let entries = all_keys(&below.open_bucket(name).await?).await?.len();
        let held = self.0.write().await;
        if entries > 10_000 {
            tokio::time::sleep(Duration::from_millis(1_200)).await;
        }
        let ended = below.drop_bucket(name).await;
        drop(held);
        ended
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let _held = self.0.read().await;
        under.bucket.set(key, value).await
    }
}

/// The drop is forgotten by the next opening, for one entry of it.
#[derive(Default)]
pub(super) struct DropComesBack(Mutex<Option<(String, String)>>);

#[async_trait]
impl Fault for DropComesBack {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        let back = lock(&self.0).take();
        match back {
            Some((bucket, key)) => below.open_bucket(&bucket).await?.set(&key, "back".into()).await,
            None => Ok(()),
        }
    }

    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        let first = all_keys(&below.open_bucket(name).await?).await?.into_iter().next();
        *lock(&self.0) = first.map(|key| (name.to_owned(), key));
        below.drop_bucket(name).await
    }
}
