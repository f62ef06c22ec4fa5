//! Entries that expire.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::now;
use kv_core::{Cache, Fill, Result, Ttl};

use crate::entry::look;
use crate::store::Bucket;

#[async_trait]
impl Cache for Bucket {
    async fn set_with_ttl(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        self.write(key, move |entry| entry.store(&value, Some(deadline(ttl)))).await?;
        self.inner.acknowledge().await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.read(key, |view, state, key| {
            look(view, state, key, |record| {
                let Some(record) = record else { return Ok(Ttl::Absent) };
                let Some(deadline) = record.deadline else { return Ok(Ttl::Forever) };
                Ok(match deadline.saturating_sub(now()) {
                    0 => Ttl::Absent,
                    left => Ttl::Left(Duration::from_millis(left)),
                })
            })
        })
        .await
    }

    async fn fill(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        let found = self
            .write(key, move |entry| {
                let found = entry.load()?;
                if found.is_none() {
                    entry.store(&value, ttl.map(deadline))?;
                }
                Ok(found)
            })
            .await?;
        match found {
            Some(found) => Ok(Fill::Found(found.into())),
            None => {
                self.inner.acknowledge().await?;
                Ok(Fill::Stored)
            }
        }
    }
}

/// The wall clock's milliseconds at which an entry that is stored now expires (TTL-1).
fn deadline(ttl: Duration) -> u64 {
    now().saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}
