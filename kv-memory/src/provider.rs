use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kv_core::{Batches, Consistency, Declared, Durability, ProviderBucket, Result, Store, Watching};

use crate::bucket::MemoryBucket;
use crate::data::now;
use crate::engine::{BULK_ENTRIES, Engine, off_runtime};
use crate::medium::Medium;

/// What this provider declares: every power, and data that lives as long as its medium.
#[must_use]
pub fn declared() -> Declared {
    Declared {
        engine: concat!("kv-memory ", env!("CARGO_PKG_VERSION")).to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Every),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability: Durability::Volatile,
        exclusive: true,
    }
}

/// Opens what `memory:NAME` stands for: a medium that lives as long as the process, or a new one where the name is
/// empty.
///
/// # Errors
///
/// [`Locked`](kv_core::ErrorKind::Locked) if the named store is open (DUR-4).
pub fn open_named(name: &str) -> Result<Store> {
    let medium = if name.is_empty() { Medium::new() } else { Medium::named(name) };
    Ok(Store::new(Provider::open(&medium)?))
}

/// A store in memory.
pub struct Provider {
    engine: Arc<Engine>,
}

impl Provider {
    /// Opens the store that the medium holds.
    ///
    /// # Errors
    ///
    /// [`Locked`](kv_core::ErrorKind::Locked) if it is open already (DUR-4).
    pub fn open(medium: &Medium) -> Result<Self> {
        Ok(Self { engine: Engine::open(medium)? })
    }
}

#[async_trait]
impl kv_core::Provider for Provider {
    fn declared(&self) -> Declared {
        declared()
    }

    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        // A look that changes nothing: a closed store must not hand out buckets.
        drop(self.engine.read().await?);
        Ok(Arc::new(MemoryBucket::new(&self.engine, name)))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        let data = self.engine.read().await?;
        let is_long = data.bucket_count() > BULK_ENTRIES;
        let list = move || data.live_buckets(now());
        if is_long { off_runtime(list).await } else { Ok(list()) }
    }

    async fn drop_bucket(&self, name: &str) -> Result<()> {
        let entries = self.engine.write().await?.drop_bucket(name);
        // The bucket is gone. What follows gives its space back, which takes long for many entries.
        let (engine, name) = (Arc::clone(&self.engine), name.to_owned());
        let free = move || engine.forget_dropped(&name, entries);
        off_runtime(free).await
    }

    async fn close(&self) -> Result<()> {
        self.engine.close().await;
        Ok(())
    }

    async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        let data = self.engine.read().await?;
        Ok(vec![
            ("engine", declared().engine),
            ("buckets", data.bucket_count().to_string()),
            ("entries", data.entry_count().to_string()),
        ])
    }

    fn reindex(&self) -> Option<&dyn kv_core::Reindex> {
        None
    }

    fn checkpoint(&self) -> Option<&dyn kv_core::Checkpoint> {
        None
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kv_memory::Provider")
    }
}
