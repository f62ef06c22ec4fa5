//! Reads and writes of single entries.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Atomic, Cache, IncomingValue, ProviderBucket, ReadWrite, Result, Watch};

use crate::entry::{lookup, see};
use crate::store::Bucket;

impl ProviderBucket for Bucket {
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
impl ReadWrite for Bucket {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        let seen = self.read(key, |bucket, trees, key| see(&bucket.inner, trees, &bucket.state, key)).await?;
        match seen {
            Some(seen) => Ok(Some(self.load(seen).await?.into())),
            None => Ok(None),
        }
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        let content = self.prepare(key, value).await?;
        self.write(key, |entry| entry.store(content, None)).await?;
        self.acknowledge().await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.write(key, |entry| entry.remove()).await?;
        // Also where the key was absent: whoever removed it may not have synced yet.
        self.acknowledge().await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.read(key, |bucket, trees, key| Ok(lookup(&bucket.inner, trees, &bucket.state, key)?.is_some())).await
    }
}
