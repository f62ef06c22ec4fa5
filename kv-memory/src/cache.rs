use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Cache, Fill, Result, Ttl};

use crate::bucket::MemoryBucket;
use crate::data::now;

#[async_trait]
impl Cache for MemoryBucket {
    async fn set_with_ttl(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        let mut step = self.engine.write().await?;
        let deadline = after(step.now, ttl);
        step.store(&self.name, key, value, Some(deadline));
        Ok(())
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        let data = self.engine.read().await?;
        let now = now();
        Ok(match data.live(&self.name, key, now).map(|entry| entry.deadline) {
            None => Ttl::Absent,
            Some(None) => Ttl::Forever,
            Some(Some(deadline)) => Ttl::Left(Duration::from_millis(deadline.saturating_sub(now))),
        })
    }

    async fn fill(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        let mut step = self.engine.write().await?;
        if let Some(entry) = step.live(&self.name, key) {
            return Ok(Fill::Found(entry.value.clone().into()));
        }
        let deadline = ttl.map(|ttl| after(step.now, ttl));
        step.store(&self.name, key, value, deadline);
        Ok(Fill::Stored)
    }
}

/// The deadline in milliseconds since 1970.
fn after(now: u64, ttl: Duration) -> u64 {
    now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}
