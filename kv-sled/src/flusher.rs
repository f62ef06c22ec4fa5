//! One thread that flushes for all who wait: sled's own flush deadlocks when two threads call it at once.
//!
//! A writer does its write, then waits for a flush that began after it. All who wait when a flush begins are served
//! by it. A flush costs as much for one as for many, so it is held back for a moment while others are on their way.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kv_core::{Durability, Effect, ErrorKind, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::{Fault, io_kind, unsynced};

/// How often writes that nobody waits for are flushed (`durability=relaxed`): what a crash may take from them.
const RELAXED_EVERY: Duration = Duration::from_millis(500);

/// A flush is held back at most for this part of what the last one took.
const HOLD_PART: u32 = 2;

/// And never for longer than this, however slow the disk.
const HOLD_AT_MOST: Duration = Duration::from_millis(1);

/// Why a flush failed.
type Failure = Arc<(ErrorKind, String)>;

pub(crate) struct Flusher {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    durability: Durability,
    state: Mutex<State>,
    wake: Condvar,
    /// Whether there are writes that nobody waits for.
    dirty: AtomicBool,
    flushes: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<oneshot::Sender<Result<(), Failure>>>,
    /// How many waited for the last flush. Most of them do their next write as soon as they are served, so as many
    /// will wait for the next one.
    expected: usize,
    stop: bool,
    /// How the last flush ended. Who asks after it did its write before, for closing keeps later ones out.
    ended: Option<Result<(), Failure>>,
}

impl Flusher {
    pub(crate) fn start(engine: Arc<Engine>, durability: Durability, folder: &Path) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            durability,
            state: Mutex::default(),
            wake: Condvar::new(),
            dirty: AtomicBool::new(false),
            flushes: AtomicU64::new(0),
        });
        let disk = Disk::open(folder)?;
        let thread = std::thread::Builder::new().name("kv-sled flusher".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(&engine, &disk)
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until the writes that the caller did are as durable as the store promises (DUR-1). Dropped, it takes
    /// nothing back.
    pub(crate) async fn acknowledge(&self) -> Result<()> {
        if self.shared.durability == Durability::Volatile {
            self.note();
            return Ok(());
        }
        let (sender, receiver) = oneshot::channel();
        let is_awaited = {
            let mut state = self.shared.state.lock();
            if let Some(ended) = &state.ended {
                return ended.clone().map_err(|failure| unsynced(failure.0, &failure.1));
            }
            state.waiting.push(sender);
            state.waiting.len() == 1 || state.waiting.len() == state.expected
        };
        if is_awaited {
            self.shared.wake.notify_one();
        }
        match receiver.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(unsynced(failure.0, &failure.1)),
            Err(cause) => Err(unsynced(ErrorKind::Unavailable, &cause.to_string())),
        }
    }

    /// Has writes flushed soon without waiting for it.
    pub(crate) fn note(&self) {
        if !self.shared.dirty.load(Ordering::Relaxed) && !self.shared.dirty.swap(true, Ordering::Release) {
            // Not between the thread's last look and its sleep, or it would sleep on.
            drop(self.shared.state.lock());
            self.shared.wake.notify_one();
        }
    }

    /// How many flushes there were.
    pub(crate) fn flushes(&self) -> u64 {
        self.shared.flushes.load(Ordering::Relaxed)
    }

    /// Has the thread flush once more and end, without waiting for it.
    pub(crate) fn stop(&self) {
        self.shared.state.lock().stop = true;
        self.shared.wake.notify_one();
    }

    /// Stops and waits, blocking the thread.
    pub(crate) fn join(&self) {
        self.stop();
        if let Some(thread) = self.thread.lock().take() {
            // It catches the engine's panics and has none of its own.
            let _ = thread.join();
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, engine: &Engine, disk: &Disk) {
        let mut took = Duration::ZERO;
        loop {
            let (waiting, stop) = self.next((took / HOLD_PART).min(HOLD_AT_MOST));
            self.dirty.store(false, Ordering::Relaxed);
            let begun = Instant::now();
            // The last flush is an orderly end of the store, whatever the class.
            let power = stop || self.durability == Durability::Power;
            let done = self.flush(engine, if power { Some(disk) } else { None });
            took = begun.elapsed();
            let late = if stop { self.end(&done) } else { Vec::new() };
            for sender in waiting.into_iter().chain(late) {
                // One whose future was dropped does not listen.
                let _ = sender.send(done.clone());
            }
            if stop {
                return;
            }
        }
    }

    /// Notes how the last flush ended, and takes those who began to wait during it: it covers their writes.
    fn end(&self, done: &Result<(), Failure>) -> Vec<oneshot::Sender<Result<(), Failure>>> {
        let mut state = self.state.lock();
        state.ended = Some(done.clone());
        std::mem::take(&mut state.waiting)
    }

    /// Waits for somebody to serve, and then at most for `hold` until as many wait as last time.
    fn next(&self, hold: Duration) -> (Vec<oneshot::Sender<Result<(), Failure>>>, bool) {
        let mut state = self.state.lock();
        loop {
            if !state.waiting.is_empty() || state.stop {
                self.hold(&mut state, hold);
                state.expected = state.waiting.len();
                return (std::mem::take(&mut state.waiting), state.stop);
            }
            if !self.dirty.load(Ordering::Acquire) {
                self.wake.wait(&mut state);
            } else if self.wake.wait_for(&mut state, RELAXED_EVERY).timed_out() {
                return (std::mem::take(&mut state.waiting), state.stop);
            }
        }
    }

    fn hold(&self, state: &mut MutexGuard<'_, State>, longest: Duration) {
        let until = Instant::now() + longest;
        while state.waiting.len() < state.expected && !state.stop {
            if self.wake.wait_until(state, until).timed_out() {
                return;
            }
        }
    }

    fn flush(&self, engine: &Engine, disk: Option<&Disk>) -> Result<(), Failure> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        engine
            .write("making writes durable", |trees| {
                trees.db.flush()?;
                disk.map_or(Ok(()), |disk| disk.sync().map_err(Fault::from))
            })
            .map_err(|error| Arc::new((error.kind(), error.trace())))
    }
}

/// The files of a store, for syncing: sled's own flush uses `sync_file_range`, which a power cut undoes.
struct Disk {
    db: File,
    blobs: PathBuf,
}

impl Disk {
    fn open(folder: &Path) -> std::io::Result<Self> {
        Ok(Self { db: File::open(folder.join("db"))?, blobs: folder.join("blobs") })
    }

    /// Makes what was flushed survive a power cut.
    fn sync(&self) -> std::io::Result<()> {
        // No record of ours is large enough for a blob file (see `layout`). Should one appear it must be on disk
        // before the log that refers to it.
        let mut found = false;
        for blob in fs::read_dir(&self.blobs)? {
            File::open(blob?.path())?.sync_all()?;
            found = true;
        }
        if found {
            File::open(&self.blobs)?.sync_all()?;
        }
        self.db.sync_all()
    }
}

/// Syncs every file of a store, its folders, and the folder that it stands in.
pub(crate) fn sync_store(folder: &Path) -> std::io::Result<()> {
    for place in [folder.join("blobs"), folder.to_owned()] {
        for file in fs::read_dir(&place)? {
            let file = file?;
            if file.file_type()?.is_file() {
                File::open(file.path())?.sync_all()?;
            }
        }
        File::open(&place)?.sync_all()?;
    }
    match folder.canonicalize()?.parent() {
        // One that may be passed but not read can't be synced; nor did this process make the store's folder in it.
        Some(parent) => match File::open(parent) {
            Err(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
            parent => parent?.sync_all(),
        },
        None => Ok(()),
    }
}

/// The error of a failed sync outside the flusher.
pub(crate) fn sync_failed(cause: std::io::Error) -> kv_core::Error {
    let kind = io_kind(&cause);
    kv_core::Error::new(kind, Effect::Unknown, "syncing the store's files failed").with_source(cause)
}

#[cfg(test)]
#[path = "flusher_tests.rs"]
mod tests;
