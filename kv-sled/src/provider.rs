//! The provider: opening, buckets, drops, closing.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use kv_core::{
    Batches, Consistency, Declared, Durability, Effect, Error, ErrorKind, ProviderBucket, Result, Store, StoreUrl,
    Watching,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use crate::config::Config;
use crate::engine::Trees;
use crate::error::Fault;
use crate::io::offload;
use crate::layout::bucket_range;
use crate::marker::{Mark, Marker};
use crate::open::{self, CLOSED, Opened, closings, wait_unlocked};
use crate::record::Record;
use crate::registry::read_id;
use crate::store::{Bucket, Inner, SLICE};
use crate::sweeper::TIDY;

/// What this provider declares with a durability class (contract, section 2).
#[must_use]
pub fn declared(durability: Durability) -> Declared {
    Declared {
        engine: "sled 0.34.7".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Every),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability,
        exclusive: true,
    }
}

/// Opens what a `sled:` URL names; see [`Config::from_url`].
///
/// # Errors
///
/// What [`Config::from_url`] and [`Provider::open`] give.
pub async fn open_url(url: &StoreUrl) -> Result<Store> {
    Ok(Store::new(Provider::open(Config::from_url(url)?).await?))
}

/// A store in a folder, on sled.
///
/// Dropped without [`close`](kv_core::Provider::close) it flushes and lets go of the folder in the background.
pub struct Provider {
    inner: Arc<Inner>,
    closing: Mutex<Closing>,
}

/// How far closing has come.
enum Closing {
    /// Open, with the sweeper's thread.
    Not(Option<JoinHandle<bool>>),
    /// Under way or done; gives the result once it is known.
    Begun(watch::Receiver<Option<Result<(), ClosingFailed>>>),
}

/// Why closing failed, for each of those who asked for it.
type ClosingFailed = Arc<Error>;

impl Provider {
    /// Opens the store in a folder, on the runtime's blocking pool.
    ///
    /// Repairs what a crash left under way. Cost: reads the log written since sled's last snapshot, which it takes
    /// at each opening.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a file where a folder should be, for a folder with
    /// another program's database, for a store in another version's layout, and for a folder without a store if none is
    /// to be made;
    /// [`AccessDenied`](ErrorKind::AccessDenied); [`Locked`](ErrorKind::Locked) if the store is open anywhere
    /// (DUR-4); [`Corrupt`](ErrorKind::Corrupt) (DUR-3); [`ResourceExhausted`](ErrorKind::ResourceExhausted).
    pub async fn open(config: Config) -> Result<Self> {
        let Opened { inner, sweeper } = offload(move || open::open(config)).await??;
        Ok(Self { inner, closing: Mutex::new(Closing::Not(Some(sweeper))) })
    }

    #[cfg(test)]
    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> &crate::engine::Engine {
        &self.inner.engine
    }

    /// Begins to close, once; gives where the result will be.
    fn begin_closing(&self) -> Result<watch::Receiver<Option<Result<(), ClosingFailed>>>> {
        let mut closing = self.closing.lock();
        let sweeper = match &mut *closing {
            Closing::Begun(result) => return Ok(result.clone()),
            Closing::Not(sweeper) => sweeper.take(),
        };
        let (sender, receiver) = watch::channel(None);
        let inner = Arc::clone(&self.inner);
        // A thread, not a task: it must end whatever becomes of the runtime.
        let closer = std::thread::Builder::new().name("kv-sled closer".to_owned());
        let begun = closer.spawn(move || {
            // Nobody may be listening any more.
            let _ = sender.send(Some(close(&inner, sweeper).map_err(Arc::new)));
        });
        if let Err(cause) = begun {
            let text = "closing the store: no thread could be started";
            return Err(Error::new(ErrorKind::ResourceExhausted, Effect::None, text).with_source(cause));
        }
        *closing = Closing::Begun(receiver.clone());
        Ok(receiver)
    }
}

/// Closes the store. Blocks the thread.
fn close(inner: &Inner, sweeper: Option<JoinHandle<bool>>) -> Result<()> {
    inner.bell.stop();
    let is_swept = sweeper.is_some_and(|sweeper| sweeper.join().unwrap_or(false));
    let alone = inner.gate.alone_blocking();
    let is_tidy = is_swept && !inner.overflows.has_loose();
    let times = inner.engine.write("closing the store", |trees| note_closing(trees, is_tidy));
    inner.flusher.join();
    let done = times.and_then(|times| inner.engine.check_writable().map(|()| times));
    inner.engine.close();
    inner.hub.close();
    let done = done
        .and_then(|times| Marker::write(&inner.config.path, Mark::Closed(times)).map_err(crate::flusher::sync_failed));
    wait_unlocked(&inner.config.path);
    drop(alone);
    done
}

fn note_closing(trees: &Trees, is_tidy: bool) -> Result<u64, Fault> {
    let times = closings(trees)?.wrapping_add(1);
    trees.meta.insert(CLOSED, &times.to_be_bytes())?;
    if is_tidy {
        trees.meta.insert(TIDY, b"")?;
    }
    Ok(times)
}

#[async_trait]
impl kv_core::Provider for Provider {
    fn declared(&self) -> Declared {
        declared(self.inner.config.durability)
    }

    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        consume_budget().await;
        let inner = &self.inner;
        let state = inner.engine.read("opening a bucket", |trees| inner.registry.state(trees, name))?;
        Ok(Arc::new(Bucket { inner: Arc::clone(inner), state }))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        consume_budget().await;
        let inner = &self.inner;
        if let Some(mark) = inner.gate.mark() {
            let found = list(inner).await?;
            if inner.gate.unmoved(mark) {
                return Ok(found);
            }
        }
        let _shared = inner.gate.share().await;
        list(inner).await
    }

    async fn drop_bucket(&self, name: &str) -> Result<()> {
        consume_budget().await;
        let inner = &self.inner;
        let alone = inner.gate.alone().await;
        inner.engine.write("dropping a bucket", |trees| {
            inner.gate.apply(&alone, || {
                let held = match crate::registry::stored_id(trees, name)? {
                    Some(id) => is_live(trees, id)?,
                    None => false,
                };
                inner.registry.drop_bucket(trees, name)?;
                if held {
                    inner.hub.publish_dropped(name);
                }
                Ok(())
            })
        })?;
        inner.locks.bucket_dropped(name);
        drop(alone);
        inner.bell.ring();
        inner.acknowledge().await
    }

    async fn close(&self) -> Result<()> {
        let mut result = self.begin_closing()?;
        let done = result.wait_for(Option::is_some).await.map(|done| done.clone());
        match done {
            Ok(Some(Err(failed))) => {
                Err(Error::new(failed.kind(), Effect::Unknown, "closing the store failed").with_source(failed))
            }
            Ok(_) => Ok(()),
            Err(cause) => {
                let text =
                    "closing the store: the thread that closed it ended early; open the store again to have it checked";
                Err(Error::new(ErrorKind::Other, Effect::Unknown, text).with_source(cause))
            }
        }
    }

    async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        let inner = Arc::clone(&self.inner);
        let bytes = offload(move || inner.engine.read("measuring the store", |trees| Ok(trees.db.size_on_disk()?)));
        let bytes = bytes.await??;
        let config = &self.inner.config;
        Ok(vec![
            ("engine", self.declared().engine),
            ("folder", config.path.display().to_string()),
            ("durability", config.durability.as_str().to_owned()),
            ("io", config.io.as_str().to_owned()),
            ("cache", format!("{} MiB", config.cache_mb)),
            ("bytes on disk", bytes.to_string()),
            ("flushes", self.inner.flusher.rounds().to_string()),
            ("slow calls", self.inner.io.slow_calls().to_string()),
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
        f.debug_struct("kv_sled::Provider").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

/// Lists the buckets with an entry, in slices.
async fn list(inner: &Arc<Inner>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut after = None;
    if inner.io.is_inline() {
        while !inner.io.slice(SLICE, || list_some(inner, &mut after, &mut found))? {
            yield_now().await;
        }
        return Ok(found);
    }
    let inner = Arc::clone(inner);
    offload(move || {
        while !list_some(&inner, &mut after, &mut found)? {}
        Ok(found)
    })
    .await?
}

/// Lists buckets for about a slice; tells whether all are listed.
fn list_some(inner: &Inner, after: &mut Option<sled::IVec>, found: &mut Vec<String>) -> Result<bool> {
    use std::ops::Bound::{Excluded, Unbounded};
    let begun = std::time::Instant::now();
    inner.engine.read("listing buckets", |trees| {
        let start = after.clone().map_or(Unbounded, Excluded);
        for bucket in trees.buckets.range((start, Unbounded)) {
            let (name, id) = bucket?;
            if is_live(trees, read_id(&id)?)? {
                match std::str::from_utf8(&name) {
                    Ok(name) => found.push(name.to_owned()),
                    Err(_) => return Err(Fault::damaged("a bucket's name is not UTF-8")),
                }
            }
            *after = Some(name);
            if begun.elapsed() > SLICE {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Whether the bucket holds an entry. Expired ones are passed over; the sweeper keeps them few.
fn is_live(trees: &Trees, id: u64) -> Result<bool, Fault> {
    for record in trees.entries.range(bucket_range(id)).values() {
        if Record::read(record?)?.is_live() {
            return Ok(true);
        }
    }
    Ok(false)
}
