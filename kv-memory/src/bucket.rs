use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::{cursor, is_due, units_due};
use kv_core::{
    Atomic, Batch, Begun, Cache, Error, IncomingValue, Page, PageRequest, ProviderBucket, ReadWrite, Result, Watch,
};

use tokio::task::coop::consume_budget;

use crate::data::{Data, now};
use crate::engine::{BULK_BYTES, BULK_ENTRIES, Engine, Step, off_runtime};

/// How cursors name this provider (LST-2).
const PROVIDER: &str = "memory";

/// Expired entries that a page passes over before it ends early, so that its cost is bounded (LST-3).
const PAGE_EXPIRED: usize = 1_024;

/// A bucket: its name and the store that holds it. Nothing else, so opening costs nothing (BKT-1).
pub(crate) struct MemoryBucket {
    pub(crate) engine: Arc<Engine>,
    pub(crate) name: Arc<str>,
}

impl MemoryBucket {
    pub(crate) fn new(engine: &Arc<Engine>, name: &str) -> Self {
        Self { engine: Arc::clone(engine), name: name.into() }
    }

    /// Reads a value under the lock.
    fn look(&self, data: &Data, key: &str) -> Option<IncomingValue> {
        data.live_now(&self.name, key).map(|entry| entry.value.clone().into())
    }

    /// Runs a batch as one step, off the runtime where it is long (BAT-4).
    async fn batch(&self, entries: usize, bytes: usize, work: impl FnOnce(&mut Step) + Send + 'static) -> Result<()> {
        let mut step = self.engine.write().await?;
        let work = move || work(&mut step);
        if entries > BULK_ENTRIES || bytes > BULK_BYTES {
            return off_runtime(work).await;
        }
        work();
        Ok(())
    }
}

impl ProviderBucket for MemoryBucket {
    fn atomic(&self) -> Option<&dyn Atomic> {
        Some(self)
    }

    fn cache(&self) -> Option<&dyn Cache> {
        Some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

#[async_trait]
impl ReadWrite for MemoryBucket {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        Ok(self.look(&*self.engine.read().await?, key))
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        self.engine.write().await?.store(&self.name, key, value, None);
        Ok(())
    }

    fn begin_get<'a>(&'a self, key: &'a str) -> Begun<'a, Option<IncomingValue>> {
        // Nobody waits here: a call for which time is due uses up the task's budget, and one that finds the lock taken waits for it.
        if is_due() {
            return Begun::Pending(Box::pin(async move {
                for _ in 0..units_due() {
                    consume_budget().await;
                }
                self.get(key).await
            }));
        }
        match self.engine.try_read() {
            Some(data) => Begun::Done(data.map(|data| self.look(&data, key))),
            None => Begun::Pending(self.get(key)),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.engine.write().await?.remove(&self.name, key);
        Ok(())
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.engine.read().await?.live(&self.name, key, now()).is_some())
    }
}

#[async_trait]
impl Batch for MemoryBucket {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let data = self.engine.read().await?;
        if keys.len() <= BULK_ENTRIES {
            return get_many(&data, &self.name, keys, budget);
        }
        let name = Arc::clone(&self.name);
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        off_runtime(move || get_many(&data, &name, &keys, budget)).await?
    }

    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()> {
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        let name = Arc::clone(&self.name);
        let entries: Vec<(String, Bytes)> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        self.batch(entries.len(), bytes, move |step| {
            for (key, value) in entries {
                step.store(&name, &key, value, None);
            }
        })
        .await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        let name = Arc::clone(&self.name);
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.batch(keys.len(), 0, move |step| {
            for key in keys {
                step.remove(&name, &key);
            }
        })
        .await
    }

    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        let after = match request.cursor {
            Some(text) => Some(cursor::decode(PROVIDER, &self.name, text)?),
            None => None,
        };
        let data = self.engine.read().await?;
        let (name, prefix) = (Arc::clone(&self.name), request.prefix.to_owned());
        let (limit, budget) = (request.limit, request.budget);
        let list = move || page(&data, &name, &prefix, after.as_deref(), limit, budget);
        if limit > BULK_ENTRIES { off_runtime(list).await } else { Ok(list()) }
    }
}

fn get_many<K: AsRef<str>>(data: &Data, bucket: &str, keys: &[K], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
    let now = now();
    let mut left = budget;
    keys.iter()
        .map(|key| match data.live(bucket, key.as_ref(), now) {
            None => Ok(None),
            Some(entry) => {
                left = left.checked_sub(entry.value.len()).ok_or_else(|| Error::reply_limit(budget))?;
                Ok(Some(entry.value.clone().into()))
            }
        })
        .collect()
}

/// Seeks to where the page begins and reads on: its cost does not grow with its depth (LST-2).
fn page(data: &Data, bucket: &str, prefix: &str, after: Option<&str>, limit: usize, budget: usize) -> Page {
    let start = match after {
        // A cursor from a listing of another prefix may lie before this one.
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let Some(entries) = data.range(bucket, start) else { return Page::default() };
    let now = now();
    let (mut keys, mut bytes, mut passed) = (Vec::new(), 0_usize, 0_usize);
    let mut last: Option<&str> = None;
    for (key, entry) in entries.take_while(|(key, _)| key.starts_with(prefix)) {
        let is_full = keys.len() == limit || (bytes + key.len() > budget && !keys.is_empty()) || passed == PAGE_EXPIRED;
        if is_full {
            return Page { keys, cursor: last.map(|last| cursor::encode(PROVIDER, bucket, last)) };
        }
        last = Some(key);
        if entry.is_live(now) {
            bytes += key.len();
            keys.push(key.to_string());
        } else {
            passed += 1;
        }
    }
    Page { keys, cursor: None }
}
