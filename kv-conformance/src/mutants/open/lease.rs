use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    Atomic, Batch, Cache, Effect, Error, ErrorKind, IncomingValue, Page, PageRequest, Provider, ProviderBucket,
    ReadWrite, Result, Watch,
};

use crate::mutants::Fault;

/// The handles on a name share a connection, and the first that goes closes it.
#[derive(Default)]
pub(super) struct OneDropEndsAll(Mutex<HashMap<String, Arc<AtomicBool>>>);

#[async_trait]
impl Fault for OneDropEndsAll {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let below = below.open_bucket(name).await?;
        let mut connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.entry(name.to_owned()).or_default();
        if connection.load(Ordering::Acquire) {
            *connection = Arc::default();
        }
        Ok(Arc::new(Lease { below, is_closed: Arc::clone(connection) }))
    }
}

struct Lease {
    below: Arc<dyn ProviderBucket>,
    is_closed: Arc<AtomicBool>,
}

impl Lease {
    fn below(&self) -> Result<&Arc<dyn ProviderBucket>> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::None, "the bucket's connection was closed"));
        }
        Ok(&self.below)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

#[async_trait]
impl ReadWrite for Lease {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        self.below()?.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        self.below()?.set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.below()?.delete(key).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.below()?.exists(key).await
    }
}

#[async_trait]
impl Batch for Lease {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        self.below()?.get_many(keys, budget).await
    }

    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()> {
        self.below()?.set_many(entries).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.below()?.delete_many(keys).await
    }

    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        self.below()?.keys(request).await
    }
}

impl ProviderBucket for Lease {
    fn atomic(&self) -> Option<&dyn Atomic> {
        self.below.atomic()
    }

    fn cache(&self) -> Option<&dyn Cache> {
        self.below.cache()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.below.watch()
    }
}
