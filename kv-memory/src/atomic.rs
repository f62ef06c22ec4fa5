use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::{Version, counter};
use kv_core::{Atomic, Guard, GuardSwap, IncomingValue, Result, Swap};

use crate::bucket::MemoryBucket;
use crate::engine::{Engine, Step};

#[async_trait]
impl Atomic for MemoryBucket {
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        let mut step = self.engine.write().await?;
        let old = step.live(&self.name, key);
        let deadline = old.and_then(|entry| entry.deadline);
        let new = counter::add(old.map(|entry| &*entry.value), delta)?;
        step.store(&self.name, key, new.to_string().into(), deadline);
        Ok(new)
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap> {
        let mut step = self.engine.write().await?;
        let found = step.live(&self.name, key).map(|entry| &entry.value);
        if found.map(|value| &**value) != expected {
            return Ok(Swap::Found(found.cloned().map(IncomingValue::from)));
        }
        match new {
            Some(value) => step.store(&self.name, key, value, None),
            None => step.remove(&self.name, key),
        }
        Ok(Swap::Swapped)
    }

    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>> {
        let step = self.engine.write().await?;
        Ok(Box::new(MemoryGuard::take(&step, &self.engine, &self.name, key)))
    }
}

/// One key as it was in one step.
struct MemoryGuard {
    engine: Arc<Engine>,
    bucket: Arc<str>,
    key: Box<str>,
    current: Option<IncomingValue>,
    version: Version,
    /// When the entry seen expires, which counts as a write (CAS-2).
    deadline: Option<u64>,
}

impl MemoryGuard {
    fn take(step: &Step, engine: &Arc<Engine>, bucket: &Arc<str>, key: &str) -> Self {
        let entry = step.live(bucket, key);
        Self {
            engine: Arc::clone(engine),
            bucket: Arc::clone(bucket),
            key: key.into(),
            current: entry.map(|entry| entry.value.clone().into()),
            version: step.version(bucket, key),
            deadline: entry.and_then(|entry| entry.deadline),
        }
    }
}

#[async_trait]
impl Guard for MemoryGuard {
    fn current(&self) -> Option<&IncomingValue> {
        self.current.as_ref()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let mut step = self.engine.write().await?;
        let expired = self.deadline.is_some_and(|deadline| deadline <= step.now);
        if expired || !self.version.is_fresh() {
            let fresh = Self::take(&step, &self.engine, &self.bucket, &self.key);
            return Ok(GuardSwap::Lost(Box::new(fresh)));
        }
        step.store(&self.bucket, &self.key, value, None);
        Ok(GuardSwap::Swapped)
    }
}
