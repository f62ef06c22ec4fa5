//! The provider: opening, buckets, drops, closing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kv_core::{Batches, Consistency, Declared, ProviderBucket, Reindex, Result, Store, StoreUrl, Watching};

use crate::config::{Config, Reads};
use crate::driver::Target;
use crate::error::Call;
use crate::links::{Links, fact, info};
use crate::store::{Bucket, Inner};

/// What this provider declares with a configuration (contract, section 2).
#[must_use]
pub fn declared(config: &Config) -> Declared {
    Declared {
        engine: "redis".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Latest),
        consistency: match (config.reads, config.address.may_move()) {
            (Reads::Replica, _) => Consistency::Eventual,
            // What a failover loses was seen before.
            (Reads::Primary, true) => Consistency::ReadYourWrites,
            (Reads::Primary, false) => Consistency::LinearizablePerKey,
        },
        batches: if config.address.is_cluster() { Batches::PerKey } else { Batches::Atomic },
        durability: config.durability,
        exclusive: false,
    }
}

/// Opens what a URL names; see [`Config::from_url`]. Connects with the first call.
///
/// # Errors
///
/// What [`Config::from_url`] and [`Provider::new`] give.
pub async fn open_url(url: &StoreUrl) -> Result<Store> {
    Ok(Store::new(Provider::new(Config::from_url(url)?)?))
}

/// A store on a Redis server.
///
/// Connects with the first call, and again by itself after the connection was lost.
pub struct Provider {
    inner: Arc<Inner>,
}

impl Provider {
    /// Makes the store, without connecting.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](kv_core::ErrorKind::InvalidArgument) for certificates that can't be read.
    pub fn new(config: Config) -> Result<Self> {
        Ok(Self { inner: Arc::new(Inner::new(Links::new(config)?)) })
    }
}

#[async_trait]
impl kv_core::Provider for Provider {
    fn declared(&self) -> Declared {
        declared(self.inner.links.config())
    }

    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        self.inner.links.check_open()?;
        Ok(Arc::new(Bucket::new(Arc::clone(&self.inner), name)))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        self.inner.buckets().await
    }

    async fn drop_bucket(&self, name: &str) -> Result<()> {
        self.inner.drop_bucket(name).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.links.close();
        self.inner.hub.close();
        self.inner.background.stop();
        Ok(())
    }

    async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        const DOING: &str = "asking the server about itself";
        let config = self.inner.links.config();
        let text = info(DOING, self.inner.one(0, DOING, Call::Read, redis::cmd("INFO")).await?)?;
        let mut facts = vec![
            ("engine", format!("redis {}", fact(&text, "redis_version"))),
            ("server", config.place()),
            ("namespace", config.namespace.clone()),
            ("durability", config.durability.as_str().to_owned()),
            ("memory", fact(&text, "used_memory_human")),
            ("clients", fact(&text, "connected_clients")),
        ];
        if config.address.may_move() {
            let primaries = self.inner.links.topology.primaries();
            let shown = primaries.iter().map(Target::to_string).collect::<Vec<_>>().join(", ");
            facts.insert(2, ("primaries", shown));
        }
        Ok(facts)
    }

    fn reindex(&self) -> Option<&dyn Reindex> {
        Some(self)
    }

    fn checkpoint(&self) -> Option<&dyn kv_core::Checkpoint> {
        None
    }
}

#[async_trait]
impl Reindex for Provider {
    async fn reindex(&self, bucket: &str) -> Result<u64> {
        Bucket::new(Arc::clone(&self.inner), bucket).reindex().await
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("kv_redis::Provider").field("config", self.inner.links.config()).finish_non_exhaustive()
    }
}
