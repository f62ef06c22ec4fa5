//! The stream of changes. sled's own subscribers block writers who are too far ahead of them; ours never do.

use async_trait::async_trait;
use kv_core::{Events, Result, Watch};

use crate::store::Bucket;

#[async_trait]
impl Watch for Bucket {
    async fn watch(&self, prefix: &str) -> Result<Events> {
        self.inner.engine.read("watching a bucket", |_| Ok(self.inner.hub.watch(&self.state.name, prefix)))
    }
}
