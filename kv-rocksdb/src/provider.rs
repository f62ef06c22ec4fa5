//! The provider: opening, buckets, drops, closing.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use kv_core::local::errors::io_kind;
use kv_core::{
    Batches, Consistency, Declared, Durability, Effect, Error, ErrorKind, ProviderBucket, Result, Store, StoreUrl,
    Watching,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use crate::call::SLICE;
use crate::config::Config;
use crate::engine::{View, Way};
use crate::engine_version::VERSION_HERE;
use crate::error::Fault;
use crate::info;
use crate::io::offload;
use crate::layout::{CLOSED, REGISTRY, bucket_ranges, kind_range, registry_key};
use crate::list::iterate;
use crate::marker::{Mark, Marker};
use crate::open;
use crate::record::Record;
use crate::registry::{self, BucketState, Owner, read_number};
use crate::store::{Bucket, Handle, Inner};

/// What this provider declares with a durability class (contract, section 2).
#[must_use]
pub fn declared(durability: Durability) -> Declared {
    Declared {
        engine: format!("RocksDB {VERSION_HERE}"),
        atomic: true,
        cache: true,
        watch: Some(Watching::Every),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability,
        exclusive: true,
    }
}

/// Opens what a `rocksdb:` URL names; see [`Config::from_url`].
///
/// # Errors
///
/// What [`Config::from_url`] and [`Provider::open`] give.
pub async fn open_url(url: &StoreUrl) -> Result<Store> {
    Ok(Store::new(Provider::open(Config::from_url(url)?).await?))
}

/// A store in a folder, on RocksDB.
///
/// Dropped without [`close`](kv_core::Provider::close) it lets go of the folder on the runtime's blocking pool.
pub struct Provider {
    handle: Arc<Handle>,
    closing: Mutex<Closing>,
}

/// How far closing has come.
enum Closing {
    Not,
    /// Under way or done; gives the result once it is known.
    Begun(watch::Receiver<Option<Result<(), ClosingFailed>>>),
}

/// Why closing failed, for each of those who asked for it.
type ClosingFailed = Arc<Error>;

impl Provider {
    /// Opens the store in a folder, on the runtime's blocking pool.
    ///
    /// Repairs what a crash left under way. Cost: reads the log written since the memtables were last written out, at
    /// most about 128 MiB, and opens the store's files.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a file where a folder should be, for a folder with
    /// another program's database, for a store in another version's layout, and for a folder without a store if none is
    /// to be made;
    /// [`AccessDenied`](ErrorKind::AccessDenied); [`Locked`](ErrorKind::Locked) if the store is open anywhere
    /// (DUR-4); [`Corrupt`](ErrorKind::Corrupt) (DUR-3); [`ResourceExhausted`](ErrorKind::ResourceExhausted).
    pub async fn open(config: Config) -> Result<Self> {
        let handle = offload(move || open::open(config)).await??;
        Ok(Self { handle: Arc::new(handle), closing: Mutex::new(Closing::Not) })
    }

    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.handle.inner)
    }

    /// Begins to close, once; gives where the result will be.
    fn begin_closing(&self) -> Result<watch::Receiver<Option<Result<(), ClosingFailed>>>> {
        let mut closing = self.closing.lock();
        if let Closing::Begun(result) = &*closing {
            return Ok(result.clone());
        }
        let (sender, receiver) = watch::channel(None);
        let handle = Arc::clone(&self.handle);
        // A thread, not a task: it must end whatever becomes of the runtime.
        let closer = std::thread::Builder::new().name("kv-rocksdb closer".to_owned());
        let begun = closer.spawn(move || {
            // Nobody may be listening any more.
            let _ = sender.send(Some(close(&handle).map_err(Arc::new)));
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
fn close(handle: &Handle) -> Result<()> {
    const DOING: &str = "closing the store";
    let inner = &*handle.inner;
    inner.bell.stop();
    let alone = inner.gate.alone_blocking();
    let writable = inner.engine.check_writable();
    let times = writable.and_then(|()| inner.run_patiently(write_out).map_err(|fault| fault.into_error(DOING)));
    if let Some(committer) = &inner.committer {
        committer.join();
    }
    let done = times.and_then(|times| inner.engine.check_writable().map(|()| times));
    // Taken first, so that the folder is locked until all is noted.
    let lock = inner.lock.lock().take();
    drop(handle.end());
    let done = done.and_then(|times| {
        Marker::write(&inner.config.path, Mark::Closed(times)).map_err(|cause| {
            let text = "closing the store: noting that it is closed failed; what it holds is kept";
            Error::new(io_kind(&cause), Effect::Unknown, text).with_source(cause)
        })
    });
    drop(lock);
    drop(alone);
    done
}

/// Writes out what is in memory, whatever the class: tables tell damage that the log's end does not.
fn write_out(view: View<'_>) -> Result<u64, Fault> {
    let times = view.get(CLOSED)?.map_or(Ok(0), |times| read_number(&times))?.wrapping_add(1);
    view.put(CLOSED, times.to_be_bytes())?;
    view.db.db.flush().map_err(Fault::Write)?;
    Ok(times)
}

#[async_trait]
impl kv_core::Provider for Provider {
    fn declared(&self) -> Declared {
        declared(self.handle.inner.config.durability)
    }

    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        consume_budget().await;
        let inner = &self.handle.inner;
        // In memory, whatever the policy: nothing is waited for.
        let state = match inner.engine.run(Way::Quick, |view| inner.registry.state(view, name)) {
            Err(Fault::Cold) => Box::pin(self.find_bucket(name)).await?,
            state => state.map_err(|fault| fault.into_error(OPENING))?,
        };
        Ok(Arc::new(Bucket::new(&self.handle, state)))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        consume_budget().await;
        let inner = &self.handle.inner;
        let mut names = Names::default();
        if let Some(way) = inner.config.io.inline() {
            loop {
                match inner.engine.run(way, |view| names.step(view, Some(Instant::now()))) {
                    Ok(true) => return Ok(names.found),
                    Ok(false) => yield_now().await,
                    Err(Fault::Cold) => break,
                    Err(fault) => return Err(fault.into_error(LISTING)),
                }
            }
        }
        let inner = Arc::clone(inner);
        offload(move || {
            inner.engine.wait(LISTING, |view| names.step(view, None))?;
            Ok(names.found)
        })
        .await?
    }

    async fn drop_bucket(&self, name: &str) -> Result<()> {
        consume_budget().await;
        let inner = &self.handle.inner;
        let name = name.to_owned();
        let dropped = inner.run_alone("dropping a bucket", move |inner, view| {
            let Some(owner) = registry::stored(view, &name)? else { return Ok(()) };
            let was_live = inner.hub.is_watched() && may_be_live(view, owner)?;
            inner.registry.drop_bucket(view, &name, owner)?;
            inner.locks.bucket_dropped(&name);
            if was_live {
                inner.hub.publish_dropped(&name);
            }
            inner.bell.ring();
            Ok(())
        });
        dropped.await?;
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
        let inner = self.inner();
        offload(move || info::info(&inner)).await?
    }

    fn reindex(&self) -> Option<&dyn kv_core::Reindex> {
        None
    }

    fn checkpoint(&self) -> Option<&dyn kv_core::Checkpoint> {
        Some(self)
    }
}

/// What calls were doing when they failed.
const OPENING: &str = "opening a bucket";
const LISTING: &str = "listing buckets";

impl Provider {
    /// Opens a bucket whose row is not in memory.
    async fn find_bucket(&self, name: &str) -> Result<Arc<BucketState>> {
        let inner = &self.handle.inner;
        inner.warm(registry_key(name)).await?;
        match inner.engine.run(Way::Quick, |view| inner.registry.state(view, name)) {
            Err(Fault::Cold) => {}
            state => return state.map_err(|fault| fault.into_error(OPENING)),
        }
        // With the gate held alone there is no first write and no drop between looking and noting.
        let alone = inner.gate.alone().await;
        let (inner, name) = (Arc::clone(inner), name.to_owned());
        offload(move || {
            let state = inner.engine.run(Way::Alone, |view| inner.registry.state(view, &name));
            drop(alone);
            state.map_err(|fault| fault.into_error(OPENING))
        })
        .await?
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("kv_rocksdb::Provider").field("config", &self.handle.inner.config).finish_non_exhaustive()
    }
}

/// The names of buckets with an entry, being found in slices.
#[derive(Default)]
struct Names {
    found: Vec<String>,
    /// The name that was looked at last.
    after: Option<String>,
}

impl Names {
    /// Looks until all are found, or for about a slice; tells whether all are.
    fn step(&mut self, view: View<'_>, begun: Option<Instant>) -> Result<bool, Fault> {
        let rows = kind_range(REGISTRY);
        let start = self.after.as_ref().map_or(rows.start.to_vec(), |after| [&registry_key(after)[..], &[0]].concat());
        let mut iterator = iterate(view, start..rows.end.to_vec());
        while let Some((row, owner)) = iterator.item() {
            let Some(name) = row.get(1..).and_then(|name| std::str::from_utf8(name).ok()) else {
                return Err(Fault::damaged("a bucket's name is not UTF-8"));
            };
            if is_live(view, Owner::read(owner)?)? {
                self.found.push(name.to_owned());
            }
            self.after = Some(name.to_owned());
            if begun.is_some_and(|begun| begun.elapsed() > SLICE) {
                return Ok(false);
            }
            iterator.next();
        }
        iterator.status().map_err(Fault::read)?;
        Ok(true)
    }
}

/// Expired entries that are passed over in one step on a task, and in one for which all writers wait.
const PASSED_OVER: usize = 256;
const PASSED_OVER_ALONE: usize = 4_096;

/// Whether the bucket holds an entry. Expired ones are passed over.
fn is_live(view: View<'_>, owner: Owner) -> Result<bool, Fault> {
    let [entries, _] = bucket_ranges(owner.id);
    let most = match view.way {
        Way::Quick => PASSED_OVER,
        Way::Alone => PASSED_OVER_ALONE,
        Way::Shared => usize::MAX,
    };
    let mut iterator = iterate(view, entries);
    let mut passed = 0;
    while let Some(raw) = iterator.value() {
        if Record::read(raw)?.is_live() {
            return Ok(true);
        }
        passed += 1;
        if passed == most {
            return Err(Fault::Cold);
        }
        iterator.next();
    }
    iterator.status().map_err(Fault::read)?;
    Ok(false)
}

/// Whether watchers are told that a bucket was dropped, where others wait for the answer: also if it was empty, and that would
/// take long to find out.
fn may_be_live(view: View<'_>, owner: Owner) -> Result<bool, Fault> {
    match is_live(view, owner) {
        Err(Fault::Cold) => Ok(true),
        known => known,
    }
}

#[cfg(test)]
mod tests {
    use kv_core::Provider as _;

    use super::*;

    #[tokio::test]
    async fn a_drop_looks_no_longer_for_an_entry_than_others_may_wait() {
        const KEYS: usize = 3_000;
        let folder = tempfile::tempdir().unwrap();
        let provider = Provider::open(Config::new(folder.path())).await.unwrap();
        let bucket = provider.open_bucket("b").await.unwrap();
        bucket.set("first", "v".into()).await.unwrap();
        let is_live = |way| {
            provider.inner().engine.run(way, |view| {
                let owner = registry::stored(view, "b")?.unwrap();
                if way == Way::Alone { may_be_live(view, owner) } else { is_live(view, owner) }
            })
        };
        assert!(is_live(Way::Alone).unwrap());
        bucket.delete("first").await.unwrap();
        assert!(!is_live(Way::Alone).unwrap());
        for n in 0..KEYS {
            let key = n.to_string();
            bucket.set(&key, "v".into()).await.unwrap();
            bucket.delete(&key).await.unwrap();
        }
        // Nobody knows so soon, and telling too much is no harm.
        assert!(is_live(Way::Alone).unwrap());
        assert!(!is_live(Way::Shared).unwrap());
        provider.close().await.unwrap();
    }
}
