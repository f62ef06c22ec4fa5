use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    Atomic, Batch, Cache, Declared, Events, Fill, Guard, IncomingValue, Page, PageRequest, Provider, ProviderBucket,
    ReadWrite, Result, Swap, Ttl, Watch,
};

use super::{Fault, Under};

/// The provider below with a fault in front of it.
pub(crate) struct Mutated {
    below: Arc<dyn Provider>,
    fault: Arc<dyn Fault>,
}

impl Mutated {
    pub(crate) async fn open(medium: &kv_memory::Medium, fault: Arc<dyn Fault>) -> Result<Self> {
        let below = fault.open(medium).await?;
        fault.opened(&below).await?;
        Ok(Self { below, fault })
    }
}

#[async_trait]
impl Provider for Mutated {
    fn declared(&self) -> Declared {
        self.fault.declared(self.below.declared())
    }

    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let bucket = self.fault.open_bucket(&self.below, name).await?;
        let under = Under { name: name.to_owned(), bucket, provider: Arc::clone(&self.below) };
        Ok(Arc::new(MutatedBucket { under, fault: Arc::clone(&self.fault) }))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        self.fault.buckets(&self.below).await
    }

    async fn drop_bucket(&self, name: &str) -> Result<()> {
        self.fault.drop_bucket(&self.below, name).await
    }

    async fn close(&self) -> Result<()> {
        self.fault.close(&self.below).await
    }

    async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        self.fault.info(&self.below).await
    }

    fn reindex(&self) -> Option<&dyn kv_core::Reindex> {
        self.below.reindex()
    }

    fn checkpoint(&self) -> Option<&dyn kv_core::Checkpoint> {
        self.below.checkpoint()
    }
}

struct MutatedBucket {
    under: Under,
    fault: Arc<dyn Fault>,
}

impl ProviderBucket for MutatedBucket {
    fn atomic(&self) -> Option<&dyn Atomic> {
        self.fault.has_atomic().then_some(self)
    }

    fn cache(&self) -> Option<&dyn Cache> {
        self.fault.has_cache().then_some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.fault.has_watch().then_some(self)
    }
}

#[async_trait]
impl ReadWrite for MutatedBucket {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        self.fault.get(&self.under, key).await
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        self.fault.set(&self.under, key, value).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.fault.delete(&self.under, key).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.fault.exists(&self.under, key).await
    }
}

#[async_trait]
impl Batch for MutatedBucket {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        self.fault.get_many(&self.under, keys, budget).await
    }

    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()> {
        self.fault.set_many(&self.under, entries).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.fault.delete_many(&self.under, keys).await
    }

    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        self.fault.keys(&self.under, request).await
    }
}

#[async_trait]
impl Atomic for MutatedBucket {
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        self.fault.increment(&self.under, key, delta).await
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap> {
        self.fault.compare_and_swap(&self.under, key, expected, new).await
    }

    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>> {
        self.fault.cas(&self.under, key).await
    }
}

#[async_trait]
impl Cache for MutatedBucket {
    async fn set_with_ttl(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        self.fault.set_with_ttl(&self.under, key, value, ttl).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.fault.ttl(&self.under, key).await
    }

    async fn fill(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        self.fault.fill(&self.under, key, value, ttl).await
    }
}

#[async_trait]
impl Watch for MutatedBucket {
    async fn watch(&self, prefix: &str) -> Result<Events> {
        self.fault.watch(&self.under, prefix).await
    }
}
