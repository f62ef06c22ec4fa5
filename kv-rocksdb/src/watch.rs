//! The stream of changes.

use async_trait::async_trait;
use kv_core::{Events, Result, Watch};

use crate::engine::Way;
use crate::store::Bucket;

#[async_trait]
impl Watch for Bucket {
    async fn watch(&self, prefix: &str) -> Result<Events> {
        let watching = self.inner.engine.run(Way::Quick, |_| Ok(self.inner.hub.watch(&self.state.name, prefix)));
        watching.map_err(|fault| fault.into_error("watching a bucket"))
    }
}
