//! Reads and writes of single entries.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Atomic, Cache, IncomingValue, ProviderBucket, ReadWrite, Result, Watch};

use crate::entry::{load, look};
use crate::record::Value;
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

/// A value as a read in passing finds it.
enum Seen {
    Absent,
    Here(Bytes),
    /// Under a key of its own.
    Elsewhere,
}

#[async_trait]
impl ReadWrite for Bucket {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        let seen = self.read(key, |view, state, key| {
            look(view, state, key, |record| {
                Ok(match record.map(|record| record.value) {
                    None => Seen::Absent,
                    Some(Value::Inline(value)) => Seen::Here(Bytes::copy_from_slice(value)),
                    Some(Value::Large(_)) => Seen::Elsewhere,
                })
            })
        });
        match seen.await? {
            Seen::Absent => Ok(None),
            Seen::Here(value) => Ok(Some(value.into())),
            // It may have been replaced meanwhile, so all of it is read again.
            Seen::Elsewhere => Ok(Box::pin(self.read_on_pool(key, load)).await?.map(IncomingValue::from)),
        }
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        self.write(key, move |entry| entry.store(&value, None)).await?;
        self.inner.acknowledge().await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.write(key, |entry| entry.remove()).await?;
        // Also where the key was absent: whoever removed it may not have synced yet.
        self.inner.acknowledge().await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.read(key, |view, state, key| look(view, state, key, |record| Ok(record.is_some()))).await
    }
}
