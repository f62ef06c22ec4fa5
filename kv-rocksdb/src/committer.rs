//! One thread that syncs the log for all who wait (`durability=power`).
//!
//! A writer does its write, then waits for a sync that began after it. All who wait when a sync begins are served
//! by it. A sync costs as much for one as for many, so it is held back for a moment while others are on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kv_core::{ErrorKind, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::engine::{Engine, Way};
use crate::error::{Fault, unsynced};

/// A sync is held back at most for this part of what the last one took.
const HOLD_PART: u32 = 2;

/// And never for longer than this, however slow the disk.
const HOLD_AT_MOST: Duration = Duration::from_millis(1);

/// Why a sync failed.
type Failure = Arc<(ErrorKind, String)>;

pub(crate) struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    syncs: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<oneshot::Sender<Result<(), Failure>>>,
    /// How many waited for the last sync. Most of them do their next write as soon as they are served, so as many
    /// will wait for the next one.
    expected: usize,
    stop: bool,
    /// How the last sync ended. Who asks after it did its write before, for closing keeps later ones out.
    ended: Option<Result<(), Failure>>,
}

impl Committer {
    pub(crate) fn start(engine: Arc<Engine>) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let thread = std::thread::Builder::new().name("kv-rocksdb committer".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(&engine)
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until the writes that the caller did are on the disk. Dropped, it takes nothing back.
    pub(crate) async fn acknowledge(&self) -> Result<()> {
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

    /// How many syncs there were.
    pub(crate) fn syncs(&self) -> u64 {
        self.shared.syncs.load(Ordering::Relaxed)
    }

    /// Has the thread sync once more and end, without waiting for it.
    pub(crate) fn stop(&self) {
        self.shared.state.lock().stop = true;
        self.shared.wake.notify_one();
    }

    /// Stops and waits, blocking the thread.
    pub(crate) fn join(&self) {
        self.stop();
        if let Some(thread) = self.thread.lock().take() {
            // It has no panics of its own.
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, engine: &Engine) {
        let mut took = Duration::ZERO;
        loop {
            let (waiting, stop) = self.next((took / HOLD_PART).min(HOLD_AT_MOST));
            let begun = Instant::now();
            let done = self.sync(engine);
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

    /// Notes how the last sync ended, and takes those who began to wait during it: it covers their writes.
    fn end(&self, done: &Result<(), Failure>) -> Vec<oneshot::Sender<Result<(), Failure>>> {
        let mut state = self.state.lock();
        state.ended = Some(done.clone());
        std::mem::take(&mut state.waiting)
    }

    /// Waits for somebody to serve, and then at most for `hold` until as many wait as last time.
    fn next(&self, hold: Duration) -> (Vec<oneshot::Sender<Result<(), Failure>>>, bool) {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.stop {
            self.wake.wait(&mut state);
        }
        self.hold(&mut state, hold);
        state.expected = state.waiting.len();
        (std::mem::take(&mut state.waiting), state.stop)
    }

    fn hold(&self, state: &mut MutexGuard<'_, State>, longest: Duration) {
        let until = Instant::now() + longest;
        while state.waiting.len() < state.expected && !state.stop {
            if self.wake.wait_until(state, until).timed_out() {
                return;
            }
        }
    }

    fn sync(&self, engine: &Engine) -> Result<(), Failure> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let done = engine.run(Way::Shared, |view| {
            // What was written since another sync failed may be lost, and a later one that succeeds says nothing of it.
            engine.check_writable()?;
            view.db.db.flush_wal(true).map_err(Fault::Write)
        });
        done.map_err(|fault| {
            let error = fault.into_error("making writes durable");
            Arc::new((error.kind(), error.trace()))
        })
    }
}
