//! The provider: opening, buckets, drops, closing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kv_core::{
    Batches, Consistency, Declared, Durability, Effect, Error, ErrorKind, ProviderBucket, Result, Store, StoreUrl,
    Watching,
};
use redis::Value;

use crate::config::Config;
use crate::connection::Links;
use crate::error::{Call, odd};
use crate::layout::unescape;
use crate::script;
use crate::store::{Bucket, Inner, bytes};
use crate::sweep;

/// Buckets that one step of listing them looks at.
const BUCKETS_AT_ONCE: usize = 100;

/// Entries that one step looks at, for buckets whose entries have expired.
const LOOKS_AT_ONCE: usize = 5_000;

/// What this provider declares with what the server is set to (contract, section 2).
#[must_use]
pub fn declared(durability: Durability) -> Declared {
    Declared {
        engine: "redis".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Latest),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability,
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
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for certificates that can't be read.
    pub fn new(config: Config) -> Result<Self> {
        Ok(Self { inner: Arc::new(Inner::new(Links::new(config)?)) })
    }
}

#[async_trait]
impl kv_core::Provider for Provider {
    fn declared(&self) -> Declared {
        declared(self.inner.links.config().durability)
    }

    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        self.inner.links.check_open()?;
        Ok(Arc::new(Bucket::new(Arc::clone(&self.inner), name)))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        const DOING: &str = "listing buckets";
        let namespace = &self.inner.namespace;
        let (mut found, mut from) = (Vec::new(), b"-".to_vec());
        loop {
            let live = self.inner.here().await?;
            let answer = script::run(&live, DOING, Call::Read, &script::BUCKETS, |command| {
                command.arg(1).arg(namespace.registry()).arg(&from).arg(BUCKETS_AT_ONCE);
                command.arg(namespace.kind('g')).arg(namespace.kind('i')).arg(namespace.kind('e'));
                command.arg(LOOKS_AT_ONCE);
            });
            let Value::Array(answer) = answer.await? else { return Err(odd(DOING, Call::Read)) };
            let mut answer = answer.into_iter();
            let (Some(Value::Int(more)), Some(last)) = (answer.next(), answer.next()) else {
                return Err(odd(DOING, Call::Read));
            };
            for name in answer {
                let name = bytes(DOING, name)?.and_then(|name| unescape(&name));
                found.push(name.ok_or_else(|| {
                    let text = format!("{DOING}: the registry of buckets holds what is no bucket's name");
                    Error::new(ErrorKind::Corrupt, Effect::None, text)
                })?);
            }
            if more == 0 {
                return Ok(found);
            }
            // The step may have looked at expired entries only, and goes on with them then.
            if let Some(last) = bytes(DOING, last)? {
                from = [b"(", last.as_slice()].concat();
            }
        }
    }

    async fn drop_bucket(&self, name: &str) -> Result<()> {
        const DOING: &str = "dropping a bucket";
        let namespace = &self.inner.namespace;
        let keys = namespace.bucket(name);
        let live = self.inner.here().await?;
        let answer = script::run(&live, DOING, Call::Write, &script::DROP, |command| {
            command.arg(3).arg(&*keys.generation).arg(&*keys.registry).arg(&*keys.trash);
            command.arg(&*keys.bucket).arg(format!("{}{}:", namespace.kind('i'), keys.bucket));
        });
        if answer.await? == Value::Int(1) {
            sweep::start(&self.inner);
        }
        Ok(())
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
        let live = self.inner.here().await?;
        let text = match live.call(DOING, Call::Read, &redis::cmd("INFO")).await? {
            Value::VerbatimString { text, .. } => text,
            value => String::from_utf8_lossy(&bytes(DOING, value)?.unwrap_or_default()).into_owned(),
        };
        let fact = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or("unknown").trim().to_owned()
        };
        Ok(vec![
            ("engine", format!("redis {}", fact("redis_version"))),
            ("server", config.place()),
            ("namespace", config.namespace.clone()),
            ("durability", config.durability.as_str().to_owned()),
            ("memory", fact("used_memory_human")),
            ("clients", fact("connected_clients")),
        ])
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("kv_redis::Provider").field("config", self.inner.links.config()).finish_non_exhaustive()
    }
}
