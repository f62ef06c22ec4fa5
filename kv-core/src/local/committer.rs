use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Effect, Error, ErrorKind, Result};

/// How soon writes that nobody waits for are made durable.
const LAZY: Duration = Duration::from_millis(500);

/// A round is held back at most for this part of what the last one took.
const HOLD_PART: u32 = 2;

/// And never for longer than this, however slow the disk.
const HOLD_AT_MOST: Duration = Duration::from_millis(1);

/// One thread that makes writes durable for all who wait (DUR-1).
///
/// A writer does its write, then waits for a round that began after it. All who wait when a round begins are served by it.
/// A round costs as much for one as for many, so it is held back for a moment while others are on their way: until as many
/// wait as last time, at most for half of what the last round took, and never for over 1 ms.
pub struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// Whether there are writes that nobody waits for.
    dirty: AtomicBool,
    /// Rounds below this one are over.
    over: AtomicU64,
    /// The first round that failed, and why. All later ones fail with it: what it left undone nobody knows (DUR-5).
    failed: OnceLock<(u64, Arc<Error>)>,
}

#[derive(Default)]
struct State {
    /// The round that begins next.
    next: u64,
    /// Who waits for it.
    waiting: Vec<Waker>,
    /// Who waits for the one that has begun.
    begun: Vec<Waker>,
    /// How many waited for the last one. Most of them do their next write as soon as they are served, so as many will
    /// wait for the next one.
    expected: usize,
    stop: bool,
}

/// How a caller's future waits.
enum Place {
    Nowhere,
    /// For this round, as the n-th.
    In(u64, usize),
}

impl Committer {
    /// Starts the thread. `round` makes durable what was written before it is called, and is told whether this is the last
    /// time; it blocks.
    ///
    /// # Errors
    ///
    /// What the system says where it starts no thread.
    pub fn start(name: &str, round: impl FnMut(bool) -> Result<()> + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(round)
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until the writes that the caller did are durable. Dropped, it takes nothing back.
    ///
    /// # Errors
    ///
    /// Why this round, or one before it, failed.
    pub async fn acknowledge(&self) -> Result<(), Arc<Error>> {
        let mut place = Place::Nowhere;
        poll_fn(|cx| self.shared.poll(cx, &mut place)).await
    }

    /// Has writes made durable within half a second, without waiting for it.
    pub fn note(&self) {
        if !self.shared.dirty.load(Ordering::Relaxed) && !self.shared.dirty.swap(true, Ordering::Release) {
            // Not between the thread's last look and its sleep, or it would sleep on.
            drop(self.shared.lock());
            self.shared.wake.notify_one();
        }
    }

    /// How many rounds there were.
    pub fn rounds(&self) -> u64 {
        self.shared.lock().next
    }

    /// Has the thread do one more round and end, without waiting for it. Who asks after that did its write before, and gets
    /// the last round's outcome: closing keeps later writes out.
    pub fn stop(&self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
    }

    /// Stops and waits, blocking the thread.
    pub fn join(&self) {
        self.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has no panics of its own, and catches the round's.
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
    fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            dirty: AtomicBool::new(false),
            over: AtomicU64::new(0),
            failed: OnceLock::new(),
        }
    }

    fn run(&self, mut round: impl FnMut(bool) -> Result<()>) {
        let mut took = Duration::ZERO;
        loop {
            let (this, stop) = self.begin((took / HOLD_PART).min(HOLD_AT_MOST));
            self.dirty.store(false, Ordering::Relaxed);
            let begun = Instant::now();
            // A panic must not leave callers waiting for ever.
            let done = catch_unwind(AssertUnwindSafe(|| round(stop))).unwrap_or_else(|_| {
                let text = "making writes durable: the engine panicked; close the store and open it again";
                Err(Error::new(ErrorKind::Other, Effect::Unknown, text))
            });
            took = begun.elapsed();
            self.end(this, done, stop);
            if stop {
                return;
            }
        }
    }

    /// Waits for somebody to serve, and then at most for `hold` until as many wait as last time. Gives the round that has
    /// begun, and whether it is the last one.
    fn begin(&self, hold: Duration) -> (u64, bool) {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.stop {
            if !self.dirty.load(Ordering::Acquire) {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (woken, timeout) = self.wake.wait_timeout(state, LAZY).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() {
                break;
            }
        }
        if !state.waiting.is_empty() {
            state = self.hold(state, hold);
        }
        let this = state.next;
        state.next += 1;
        state.expected = state.waiting.len();
        // The other list is empty, but has its room already.
        let State { waiting, begun, stop, .. } = &mut *state;
        std::mem::swap(waiting, begun);
        (this, *stop)
    }

    fn hold<'a>(&'a self, mut state: MutexGuard<'a, State>, longest: Duration) -> MutexGuard<'a, State> {
        let until = Instant::now() + longest;
        while state.waiting.len() < state.expected && !state.stop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// Tells how a round ended. The last one also serves those who began to wait during it: it covers their writes.
    fn end(&self, this: u64, done: Result<()>, is_last: bool) {
        if let Err(error) = done {
            // The first failure is the cause of the others.
            let _ = self.failed.set((this, Arc::new(error)));
        }
        let mut state = self.lock();
        self.over.store(if is_last { u64::MAX } else { this + 1 }, Ordering::Release);
        let mut served = std::mem::take(&mut state.begun);
        if is_last {
            served.append(&mut state.waiting);
        }
        drop(state);
        for waker in served.drain(..) {
            waker.wake();
        }
        // For the next round, which would have to grow it again.
        self.lock().begun = served;
    }

    fn poll(&self, cx: &mut Context<'_>, place: &mut Place) -> Poll<Result<(), Arc<Error>>> {
        if let Place::In(round, _) = place
            && let Some(outcome) = self.outcome(*round)
        {
            return Poll::Ready(outcome);
        }
        let mut state = self.lock();
        let next = state.next;
        let slot = match place {
            Place::In(round, nth) if *round == next => state.waiting.get_mut(*nth),
            Place::In(round, nth) => match self.outcome(*round) {
                Some(outcome) => return Poll::Ready(outcome),
                None => state.begun.get_mut(*nth),
            },
            Place::Nowhere => {
                if let Some(outcome) = self.outcome(next) {
                    return Poll::Ready(outcome);
                }
                *place = Place::In(next, state.waiting.len());
                state.waiting.push(cx.waker().clone());
                let is_awaited = state.waiting.len() == 1 || state.waiting.len() == state.expected;
                drop(state);
                if is_awaited {
                    self.wake.notify_one();
                }
                return Poll::Pending;
            }
        };
        if let Some(slot) = slot {
            slot.clone_from(cx.waker());
        }
        Poll::Pending
    }

    /// How a round ended, if it has.
    fn outcome(&self, round: u64) -> Option<Result<(), Arc<Error>>> {
        if self.over.load(Ordering::Acquire) <= round {
            return None;
        }
        Some(match self.failed.get() {
            Some((first, error)) if *first <= round => Err(Arc::clone(error)),
            _ => Ok(()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "committer_tests.rs"]
mod tests;
