//! Who is at work: many writers at once, or one step that wants to be alone.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::sync::{Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard};

use crate::places::Places;

/// Shared by each write. Held alone by what may take long, so that nobody waits for that on the engine's own locks.
///
/// A fair lock, and a way past it for steps that are one call without an await: they are counted at their thread's own place. One
/// lock for all of them would cost two threads a tenth of a write.
pub(crate) struct Gate {
    lock: Arc<RwLock<()>>,
    /// Steps that went past the lock and are under way.
    passing: Places<AtomicUsize>,
    /// Whether somebody holds the lock alone, if only to wait for those who passed: nobody else may go past it.
    is_held: AtomicBool,
    /// Told by each step that ends meanwhile.
    passed: Notify,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            lock: Arc::default(),
            passing: Places::new(AtomicUsize::default),
            is_held: AtomicBool::new(false),
            passed: Notify::new(),
        }
    }
}

impl Gate {
    /// Shares the gate without waiting, for one synchronous step; `None` while somebody is alone, or waits for steps to end.
    #[inline]
    pub(crate) fn pass(&self) -> Option<Passing<'_>> {
        let place = self.passing.own();
        // The count first, then the flag; whoever wants to be alone does it the other way round. One of the two sees the
        // other, in the single order that all `SeqCst` steps have.
        place.fetch_add(1, Ordering::SeqCst);
        let passing = Passing { gate: self, place };
        if self.is_held.load(Ordering::SeqCst) { None } else { Some(passing) }
    }

    /// Shares the gate, in its turn.
    pub(crate) async fn share(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().await
    }

    /// The same, for what outlives the borrow.
    pub(crate) fn share_owned(&self) -> impl Future<Output = OwnedRwLockReadGuard<()>> + Send + use<> {
        Arc::clone(&self.lock).read_owned()
    }

    /// Waits until nobody else is at work; nobody is while the result lives.
    pub(crate) async fn alone(self: &Arc<Self>) -> Alone {
        let alone = self.hold(Arc::clone(&self.lock).write_owned().await);
        while !self.is_empty() {
            self.passed.notified().await;
        }
        alone
    }

    /// The same, blocking the thread. In its turn too: where large writes follow one another nobody who only looks finds the
    /// gate free.
    pub(crate) fn alone_blocking(self: &Arc<Self>) -> Alone {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut alone = pin!(self.alone());
        loop {
            if let Poll::Ready(alone) = alone.as_mut().poll(&mut Context::from_waker(&waker)) {
                return alone;
            }
            thread::park();
        }
    }

    fn hold(self: &Arc<Self>, held: OwnedRwLockWriteGuard<()>) -> Alone {
        self.is_held.store(true, Ordering::SeqCst);
        Alone { gate: Arc::clone(self), _held: held }
    }

    fn is_empty(&self) -> bool {
        self.passing.iter().all(|place| place.load(Ordering::SeqCst) == 0)
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// One step that shares the gate.
pub(crate) struct Passing<'a> {
    gate: &'a Gate,
    place: &'a AtomicUsize,
}

impl Drop for Passing<'_> {
    #[inline]
    fn drop(&mut self) {
        self.place.fetch_sub(1, Ordering::SeqCst);
        if self.gate.is_held.load(Ordering::SeqCst) {
            self.gate.passed.notify_one();
        }
    }
}

/// Holds the gate alone.
pub(crate) struct Alone {
    gate: Arc<Gate>,
    /// Let go of after the flag, or the next to be alone would lose its own.
    _held: OwnedRwLockWriteGuard<()>,
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.gate.is_held.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_is_at_work_beside_one_who_is_alone() {
        let gate = Arc::new(Gate::default());
        let (steps, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let (gate, steps, seen) = (Arc::clone(&gate), Arc::clone(&steps), Arc::clone(&seen));
                tokio::spawn(async move {
                    for turn in 0..5_000 {
                        if (n + turn) % 100 == 0 {
                            let _alone = gate.alone().await;
                            let before = steps.load(Ordering::Relaxed);
                            tokio::task::yield_now().await;
                            assert_eq!(steps.load(Ordering::Relaxed), before, "a step ran beside one that was alone");
                            seen.fetch_add(1, Ordering::Relaxed);
                        } else if let Some(_passing) = gate.pass() {
                            steps.fetch_add(1, Ordering::Relaxed);
                        } else {
                            let _shared = gate.share().await;
                            steps.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((steps.load(Ordering::Relaxed), seen.load(Ordering::Relaxed)), (8 * 4_950, 8 * 50));
        assert!(gate.is_empty() && gate.pass().is_some());
    }

    /// Others who want to be alone follow one another without a gap.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_thread_has_its_turn_beside_tasks_that_take_all_turns() {
        let gate = Arc::new(Gate::default());
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let gate = Arc::clone(&gate);
                tokio::spawn(async move {
                    loop {
                        let _alone = gate.alone().await;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            let gate = Arc::clone(&gate);
            tokio::task::spawn_blocking(move || drop(gate.alone_blocking())).await.unwrap();
        }
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_the_gate_open() {
        let gate = Arc::new(Gate::default());
        let passing = gate.pass().unwrap();
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { drop(gate.alone().await) }
        });
        while gate.pass().is_some() {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert!(gate.pass().is_some());
        drop(passing);
        drop(gate.alone().await);
    }
}
