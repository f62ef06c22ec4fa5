//! What all handles on a store share, and how it ends with the last of them.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread::JoinHandle;

use kv_core::local::{Bell, Committer, Hub, KeyLocks};
use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;

use crate::config::Config;
use crate::engine::Engine;
use crate::gate::Gate;
use crate::places::Tally;
use crate::registry::{BucketState, Registry};
use crate::trust::Trust;

/// A store, without its threads.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) engine: Arc<Engine>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) locks: KeyLocks,
    pub(crate) hub: Arc<Hub>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) committer: Option<Committer>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) counts: Counts,
    pub(crate) trust: Trust,
    /// The same for reads of many keys.
    pub(crate) trust_many: Trust,
    /// Keeps everybody else out of the folder while the engine is open.
    pub(crate) lock: Mutex<Option<FolderLock>>,
}

/// What happened so far, for people.
#[derive(Default)]
pub(crate) struct Counts {
    /// Reads that memory could answer, and those that went to the pool.
    pub(crate) hits: Tally,
    pub(crate) misses: Tally,
    /// Reads that memory could not answer or was not asked for, and that ran on the task all the same.
    pub(crate) trusted: Tally,
    /// Writes that the engine would have made wait.
    pub(crate) stalls: AtomicU64,
    /// Batches that were begun, and those that are over.
    pub(crate) begun: AtomicU64,
    pub(crate) ended: AtomicU64,
}

impl Counts {
    /// How many batches there were; `None` while one is under way.
    pub(crate) fn batches(&self) -> Option<u64> {
        // What was read before must have been read before this looks.
        fence(Ordering::Acquire);
        let ended = self.ended.load(Ordering::SeqCst);
        (self.begun.load(Ordering::SeqCst) == ended).then_some(ended)
    }
}

/// What all handles on a store hold: it ends with the last of them. The store's own threads do not hold it.
pub(crate) struct Handle {
    pub(crate) inner: Arc<Inner>,
    sweeper: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(crate) fn new(inner: Arc<Inner>, sweeper: JoinHandle<()>) -> Self {
        Self { inner, sweeper: Mutex::new(Some(sweeper)) }
    }

    /// Takes over what has to be ended.
    pub(crate) fn end(&self) -> End {
        End { inner: Arc::clone(&self.inner), sweeper: self.sweeper.lock().take() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let end = self.end();
        // Letting go of the engine waits for the disk, and this may be a task. On the pool, for which a runtime waits when it
        // ends: a program that ends while the engine is being closed is stopped by the engine's own globals.
        match Runtime::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(end))),
            Err(_) => drop(end),
        }
    }
}

/// Ends a store when it is dropped: its threads, then the engine, then the lock on the folder. Blocks the thread.
pub(crate) struct End {
    inner: Arc<Inner>,
    sweeper: Option<JoinHandle<()>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let inner = &*self.inner;
        inner.bell.stop();
        // Or a compaction of the sweeper's would have to come to its end first.
        let _ = inner.engine.wait("ending the store", |view| {
            view.db.db.cancel_all_background_work(false);
            Ok(())
        });
        // Neither thread has panics of its own.
        if let Some(sweeper) = self.sweeper.take() {
            let _ = sweeper.join();
        }
        if let Some(committer) = &inner.committer {
            committer.join();
        }
        inner.engine.close();
        inner.hub.close();
        drop(inner.lock.lock().take());
    }
}

/// Keeps everybody else out of a folder, until it is dropped.
pub(crate) struct FolderLock(pub(crate) File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // By closing the file alone it would go on where another thread is starting a process: that has all files open for
        // a moment.
        let _ = self.0.unlock();
    }
}

/// An open bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) inner: Arc<Inner>,
    pub(crate) state: Arc<BucketState>,
    /// Keeps the store open.
    _handle: Arc<Handle>,
}

impl Bucket {
    pub(crate) fn new(handle: &Arc<Handle>, state: Arc<BucketState>) -> Self {
        Self { inner: Arc::clone(&handle.inner), state, _handle: Arc::clone(handle) }
    }
}
