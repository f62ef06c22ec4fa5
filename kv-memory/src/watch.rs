use async_trait::async_trait;
use kv_core::{Events, Result, Watch};

use crate::bucket::MemoryBucket;

#[async_trait]
impl Watch for MemoryBucket {
    async fn watch(&self, prefix: &str) -> Result<Events> {
        // Under the lock: no write can begin after this returns and be missed, and none half way is seen.
        let data = self.engine.read().await?;
        let events = self.engine.hub.watch(&self.name, prefix);
        drop(data);
        Ok(events)
    }
}
