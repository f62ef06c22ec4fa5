use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::{Event, Events};

/// Events that a watcher's queue holds before it counts the oldest as missed: a reader less than 1,024 behind
/// never lags (WCH-2).
pub const WATCH_QUEUE_EVENTS: usize = 1_024;

/// Events given in a row after which a reader's task lets others run (RUN-2): as many as tokio's own budget.
const EVENTS_A_TURN: u32 = 128;

/// Fans changes out to watchers, never waiting for one of them (WCH-2).
///
/// Publish inside the step that makes the change, under the key's lock, so that the order of events is the order
/// of writes. Without watchers publishing costs one atomic load. A queue shares the values' bytes and may keep
/// them alive until the reader has caught up.
#[derive(Default)]
pub struct Hub {
    watchers: RwLock<Vec<Weak<Watcher>>>,
    count: AtomicUsize,
}

struct Watcher {
    bucket: Box<str>,
    prefix: Box<str>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    missed: u64,
    waker: Option<Waker>,
    closed: bool,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Begins to watch; every event published after this returns is seen (WCH-1).
    #[must_use]
    pub fn watch(self: &Arc<Self>, bucket: &str, prefix: &str) -> Events {
        let watcher = Arc::new(Watcher { bucket: bucket.into(), prefix: prefix.into(), queue: Mutex::default() });
        let mut watchers = self.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.push(Arc::downgrade(&watcher));
        self.count.store(watchers.len(), Ordering::Release);
        drop(watchers);
        Events::new(Subscription { hub: Arc::clone(self), watcher, given: 0 })
    }

    /// Tells the watchers of `key` in `bucket`; `event` is made for each of them.
    pub fn publish(&self, bucket: &str, key: &str, event: impl Fn() -> Event) {
        self.send(|watcher| *watcher.bucket == *bucket && key.starts_with(&*watcher.prefix), event);
    }

    /// Tells all watchers of `bucket` that it was dropped.
    pub fn publish_dropped(&self, bucket: &str) {
        self.send(|watcher| *watcher.bucket == *bucket, || Event::Dropped);
    }

    /// Tells all watchers of `bucket` that events may be missing (WCH-2).
    pub fn publish_resync(&self, bucket: &str) {
        self.send(|watcher| *watcher.bucket == *bucket, || Event::Resync);
    }

    /// Whether anybody watches, for publishers to whom even finding out what to publish has a cost.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Ends every stream once it has given what is queued.
    pub fn close(&self) {
        for watcher in self.watchers.read().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade) {
            let waker = {
                let mut queue = lock(&watcher.queue);
                queue.closed = true;
                queue.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn send(&self, concerns: impl Fn(&Watcher) -> bool, event: impl Fn() -> Event) {
        if !self.is_watched() {
            return;
        }
        let watchers = self.watchers.read().unwrap_or_else(PoisonError::into_inner);
        for watcher in watchers.iter().filter_map(Weak::upgrade).filter(|watcher| concerns(watcher)) {
            let waker = {
                let mut queue = lock(&watcher.queue);
                if queue.events.len() == WATCH_QUEUE_EVENTS {
                    queue.events.pop_front();
                    queue.missed += 1;
                }
                queue.events.push_back(event());
                queue.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

struct Subscription {
    hub: Arc<Hub>,
    watcher: Arc<Watcher>,
    /// Events given since the reader's task last let others run.
    given: u32,
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.given == EVENTS_A_TURN {
            self.given = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.watcher.poll(cx);
        self.given = if polled.is_ready() { self.given + 1 } else { 0 };
        polled
    }
}

impl Watcher {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut queue = lock(&self.queue);
        if queue.missed > 0 {
            return Poll::Ready(Some(Event::Lagged(std::mem::take(&mut queue.missed))));
        }
        if let Some(event) = queue.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if queue.closed {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let own = Arc::downgrade(&self.watcher);
        let mut watchers = self.hub.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| !watcher.ptr_eq(&own));
        self.hub.count.store(watchers.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn poll(events: &mut Events) -> Poll<Option<Event>> {
        Pin::new(events).poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn deleted(key: &str) -> Event {
        Event::Deleted { key: key.to_owned() }
    }

    #[test]
    fn a_watcher_sees_its_bucket_and_prefix_only() {
        let hub = Arc::new(Hub::default());
        let mut events = hub.watch("b", "x");
        for (bucket, key) in [("b", "x1"), ("b", "y"), ("c", "x2")] {
            hub.publish(bucket, key, || deleted(key));
        }
        hub.publish_dropped("c");
        hub.publish_dropped("b");
        assert_eq!(poll(&mut events), Poll::Ready(Some(deleted("x1"))));
        assert_eq!(poll(&mut events), Poll::Ready(Some(Event::Dropped)));
        assert_eq!(poll(&mut events), Poll::Pending);
        hub.close();
        assert_eq!(poll(&mut events), Poll::Ready(None));
        drop(events);
        assert!(!hub.is_watched());
    }

    #[test]
    fn a_full_queue_counts_what_it_drops_and_goes_on() {
        let hub = Arc::new(Hub::default());
        let mut events = hub.watch("b", "");
        for n in 0..WATCH_QUEUE_EVENTS + 2 {
            hub.publish("b", "k", || deleted(&n.to_string()));
        }
        assert_eq!(poll(&mut events), Poll::Ready(Some(Event::Lagged(2))));
        assert_eq!(poll(&mut events), Poll::Ready(Some(deleted("2"))));
    }
}
