//! Entries that expire.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::now;
use kv_core::{Cache, Fill, Result, Ttl};

use crate::entry::lookup;
use crate::store::Bucket;

#[async_trait]
impl Cache for Bucket {
    async fn set_with_ttl(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        let content = self.prepare(key, value).await?;
        self.write(key, move |entry| entry.store(content, Some(deadline(ttl)))).await?;
        self.acknowledge().await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.read(key, |bucket, trees, key| {
            let Some(record) = lookup(&bucket.inner, trees, &bucket.state, key)? else { return Ok(Ttl::Absent) };
            let Some(deadline) = record.head.deadline else { return Ok(Ttl::Forever) };
            Ok(match deadline.saturating_sub(now()) {
                0 => Ttl::Absent,
                left => Ttl::Left(Duration::from_millis(left)),
            })
        })
        .await
    }

    async fn fill(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        let content = self.prepare(key, value).await?;
        let found = self
            .write(key, move |entry| {
                let found = entry.see()?;
                if found.is_none() {
                    entry.store(content, ttl.map(deadline))?;
                }
                Ok(found)
            })
            .await?;
        match found {
            Some(seen) => Ok(Fill::Found(self.load(seen).await?.into())),
            None => {
                self.acknowledge().await?;
                Ok(Fill::Stored)
            }
        }
    }
}

/// The wall clock's milliseconds at which an entry that is stored now expires (TTL-1).
fn deadline(ttl: Duration) -> u64 {
    now().saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}
