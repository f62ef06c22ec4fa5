//! Lets a batch or a drop be one step for everybody else (BAT-4, BKT-3), at next to no cost while there is none.
//!
//! Writers share the gate; a batch holds it alone. Readers take nothing: they look at a counter before and after,
//! which is odd while a batch is being applied, and share the gate only if it moved. Whoever has to wait does so as
//! a future, in the order of arrival.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[derive(Default)]
pub(crate) struct Gate {
    lock: Arc<RwLock<()>>,
    /// Odd while a batch is being applied.
    steps: AtomicU64,
}

impl Gate {
    /// Runs a read, or gives `None` where it may have seen part of a batch.
    pub(crate) fn glimpse<T>(&self, read: impl FnOnce() -> T) -> Option<T> {
        let before = self.steps.load(Ordering::Acquire);
        if !before.is_multiple_of(2) {
            return None;
        }
        let seen = read();
        fence(Ordering::Acquire);
        (self.steps.load(Ordering::Relaxed) == before).then_some(seen)
    }

    /// Where readers stand now, for a read in several steps; `None` during a batch.
    pub(crate) fn mark(&self) -> Option<u64> {
        let now = self.steps.load(Ordering::Acquire);
        now.is_multiple_of(2).then_some(now)
    }

    /// Whether no batch came since `mark`.
    pub(crate) fn unmoved(&self, mark: u64) -> bool {
        fence(Ordering::Acquire);
        self.steps.load(Ordering::Relaxed) == mark
    }

    /// Shares the gate: no batch is applied while the result lives.
    pub(crate) async fn share(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().await
    }

    /// As [`share`](Self::share), where that needs no waiting.
    pub(crate) fn try_share(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.lock.try_read().ok()
    }

    /// As [`share`](Self::share), for work that outlives the future that began it.
    pub(crate) async fn share_owned(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.lock).read_owned().await
    }

    /// As [`share`](Self::share), for our own threads.
    pub(crate) fn share_blocking(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.blocking_read()
    }

    /// Takes the gate alone: no writer is at work while the result lives.
    pub(crate) async fn alone(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.lock).write_owned().await
    }

    /// As [`alone`](Self::alone), for our own threads.
    pub(crate) fn alone_blocking(&self) -> RwLockWriteGuard<'_, ()> {
        self.lock.blocking_write()
    }

    /// Applies a batch: readers see all of it or nothing. `_alone` proves that nobody else is at it.
    pub(crate) fn apply<T>(&self, _alone: &OwnedRwLockWriteGuard<()>, step: impl FnOnce() -> T) -> T {
        struct Applying<'a>(&'a AtomicU64);
        impl Drop for Applying<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.steps.fetch_add(1, Ordering::SeqCst);
        let _applying = Applying(&self.steps);
        step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_meets_a_batch_is_not_believed() {
        let gate = Gate::default();
        assert_eq!(gate.glimpse(|| 1), Some(1));
        let alone = gate.alone().await;
        let mark = gate.mark().unwrap();
        gate.apply(&alone, || assert_eq!(gate.glimpse(|| 1), None));
        assert!(!gate.unmoved(mark));
        assert_eq!(gate.glimpse(|| gate.apply(&alone, || ())), None);
        assert_eq!(gate.glimpse(|| 2), Some(2));
    }

    #[tokio::test]
    async fn a_waiting_batch_is_not_overtaken() {
        let gate = Gate::default();
        let shared = gate.share().await;
        let mut alone = Box::pin(gate.alone());
        assert!(futures_pending(&mut alone).await);
        let mut late = Box::pin(gate.share());
        assert!(futures_pending(&mut late).await);
        drop(shared);
        let alone = alone.await;
        assert!(futures_pending(&mut late).await);
        drop(alone);
        drop(late.await);
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
    }
}
