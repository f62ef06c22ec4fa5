use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use kv_core::local::{Hub, KeyLocks, Version};
use kv_core::{Effect, Error, ErrorKind, Event, IncomingValue, Result};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::data::{Data, Entries, Entry, now};
use crate::medium::{Hold, Medium};
use crate::sweeper::Bell;

/// Entries over which a call works off the runtime: BAT-4 names the number, and below it a call stays well under
/// a millisecond (RUN-2).
pub(crate) const BULK_ENTRIES: usize = 1_024;

/// Bytes over which a batch is applied off the runtime (BAT-4): 1 MiB.
pub(crate) const BULK_BYTES: usize = 1 << 20;

/// Rows that one step of background work looks at, so that a caller's wait stays short.
pub(crate) const SWEEP_ROWS: usize = 256;

/// An open store, shared by its handles.
///
/// One lock over everything: each call is one step under it, so that it is linearizable and a batch is atomic
/// (RW-5, BAT-4). The lock is tokio's: callers wait as futures, in order, and use up the cooperative budget
/// (RUN-2).
pub(crate) struct Engine {
    data: Arc<RwLock<Data>>,
    pub(crate) versions: KeyLocks,
    pub(crate) hub: Arc<Hub>,
    pub(crate) bell: Arc<Bell>,
    hold: Hold,
    closed: AtomicBool,
}

impl Engine {
    pub(crate) fn open(medium: &Medium) -> Result<Arc<Self>> {
        let hold = medium.take()?;
        let engine = Arc::new(Self {
            data: Arc::clone(&medium.data),
            versions: KeyLocks::default(),
            hub: Arc::default(),
            bell: Arc::default(),
            hold,
            closed: AtomicBool::new(false),
        });
        engine.ring_for_what_is_there();
        Ok(engine)
    }

    /// Tells the sweeper of the deadlines that the medium brings along: nobody may ever write another (TTL-2).
    fn ring_for_what_is_there(self: &Arc<Self>) {
        let next = match self.data.try_read() {
            Ok(data) => data.next_deadline(),
            // The sweeper of the store before may still be at its last look; ours then finds out for itself.
            Err(_) => Some(0),
        };
        if let Some(next) = next {
            self.bell.ring(self, next);
        }
    }

    /// Waits for a look at the data.
    pub(crate) async fn read(&self) -> Result<OwnedRwLockReadGuard<Data>> {
        let data = Arc::clone(&self.data).read_owned().await;
        self.check_open()?;
        Ok(data)
    }

    /// The same without waiting; `None` while somebody changes it.
    pub(crate) fn try_read(&self) -> Option<Result<RwLockReadGuard<'_, Data>>> {
        let data = self.data.try_read().ok()?;
        Some(self.check_open().map(|()| data))
    }

    /// Waits for the right to change the data in one step.
    pub(crate) async fn write(self: &Arc<Self>) -> Result<Step> {
        let data = Arc::clone(&self.data).write_owned().await;
        self.check_open()?;
        Ok(Step { data, engine: Arc::clone(self), now: now() })
    }

    /// The same for the sweeper's thread, which no runtime owns; `None` once the store is closed.
    pub(crate) fn write_blocking(self: &Arc<Self>) -> Option<Step<RwLockWriteGuard<'_, Data>>> {
        let data = self.data.blocking_write();
        self.check_open().ok()?;
        Some(Step { data, engine: Arc::clone(self), now: now() })
    }

    /// Lets the entries of a dropped bucket go, a few at a time where the store's lock is needed for it.
    pub(crate) fn forget_dropped(self: &Arc<Self>, bucket: &str, entries: Entries) {
        let mut rows = entries.into_iter().filter_map(|(key, entry)| Some((key, entry.deadline?))).peekable();
        while rows.peek().is_some() {
            let Some(mut step) = self.write_blocking() else { return };
            for (key, deadline) in rows.by_ref().take(SWEEP_ROWS) {
                step.data.forget(bucket, &key, deadline);
            }
        }
    }

    /// Lets the medium go; every later call is refused.
    pub(crate) async fn close(&self) {
        // Under the lock, so that no call is half way.
        let data = self.data.write().await;
        self.end();
        drop(data);
    }

    fn end(&self) {
        self.hold.release(&self.closed);
        self.bell.stop();
        self.hub.close();
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                Effect::None,
                "the memory store was closed; open it again and take new handles",
            )
            .not_retryable());
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs long work where it holds up no task. Outside a runtime there is none to hold up.
pub(crate) async fn off_runtime<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|cause| {
            Error::new(ErrorKind::Unavailable, Effect::Unknown, "the runtime ended while a call was at work on it")
                .with_source(cause)
        }),
        Err(_) => Ok(work()),
    }
}

/// One step under the store's lock: every change goes through here, so that versions and watchers learn of each.
pub(crate) struct Step<D = OwnedRwLockWriteGuard<Data>> {
    pub(crate) data: D,
    engine: Arc<Engine>,
    /// The one instant at which this step judges deadlines.
    pub(crate) now: u64,
}

impl<D: DerefMut<Target = Data>> Step<D> {
    /// The entry, unless it is absent or expired.
    pub(crate) fn live(&self, bucket: &str, key: &str) -> Option<&Entry> {
        self.data.live(bucket, key, self.now)
    }

    /// Stores an entry.
    pub(crate) fn store(&mut self, bucket: &str, key: &str, value: Bytes, deadline: Option<u64>) {
        let old = self.data.put(bucket, key, Entry { value: value.clone(), deadline });
        if old.is_some_and(|old| !old.is_live(self.now)) {
            self.publish_expired(bucket, key);
        }
        self.engine.versions.lock(bucket, key).written();
        self.engine
            .hub
            .publish(bucket, key, || Event::Set { key: key.to_owned(), value: IncomingValue::from(value.clone()) });
        if let Some(deadline) = deadline {
            self.engine.bell.ring(&self.engine, deadline);
        }
    }

    /// Removes an entry; one that has expired was absent already, and its removal is no write (CAS-2).
    pub(crate) fn remove(&mut self, bucket: &str, key: &str) {
        match self.data.remove(bucket, key) {
            None => {}
            Some(old) if !old.is_live(self.now) => self.publish_expired(bucket, key),
            Some(_) => {
                self.engine.versions.lock(bucket, key).written();
                self.engine.hub.publish(bucket, key, || Event::Deleted { key: key.to_owned() });
            }
        }
    }

    /// Takes the key's version as it is in this step (CAS-2).
    pub(crate) fn version(&self, bucket: &str, key: &str) -> Version {
        self.engine.versions.lock(bucket, key).version()
    }

    /// Takes a bucket out whole (BKT-3); the entries are for the caller to let go where that holds nobody up.
    pub(crate) fn drop_bucket(&mut self, bucket: &str) -> Entries {
        let entries = self.data.drop_bucket(bucket);
        self.engine.versions.bucket_dropped(bucket);
        if !entries.is_empty() {
            self.engine.hub.publish_dropped(bucket);
        }
        entries
    }

    /// Removes at most `most` expired entries and gives how many rows it looked at (TTL-2).
    pub(crate) fn sweep(&mut self, most: usize) -> usize {
        for looked_at in 0..most {
            let Some((deadline, bucket, key)) = self.data.take_due(self.now) else { return looked_at };
            if self.data.has_deadline(&bucket, &key, deadline) {
                self.remove(&bucket, &key);
            }
        }
        most
    }

    fn publish_expired(&self, bucket: &str, key: &str) {
        self.engine.hub.publish(bucket, key, || Event::Expired { key: key.to_owned() });
    }
}
