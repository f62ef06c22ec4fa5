use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use kv_core::{Effect, Error, ErrorKind, Event, Events, Result};

use crate::mutants::{Fault, Under};

async fn events(under: &Under, prefix: &str) -> Result<Events> {
    under.watch()?.watch(prefix).await
}

/// Holds back half of what it should.
pub(super) struct LagsEarly;

#[async_trait]
impl Fault for LagsEarly {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        // The stream below gives up to 128 events in a row.
        const MOST: usize = 100;
        let chunks = events(under, prefix).await?.ready_chunks(1_024);
        Ok(Events::new(chunks.flat_map(|mut chunk| {
            let over = chunk.len().saturating_sub(MOST);
            if over > 0 {
                chunk.splice(..over, [Event::Lagged(over as u64)]);
            }
            stream::iter(chunk)
        })))
    }
}

pub(super) struct SilentLag;

#[async_trait]
impl Fault for SilentLag {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let kept = |event: &Event| future::ready(!matches!(event, Event::Lagged(_)));
        Ok(Events::new(events(under, prefix).await?.filter(kept)))
    }
}

pub(super) struct MiscountedLag;

#[async_trait]
impl Fault for MiscountedLag {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        Ok(Events::new(events(under, prefix).await?.map(|event| match event {
            Event::Lagged(_) => Event::Lagged(1),
            other => other,
        })))
    }
}

pub(super) struct LagEnds;

#[async_trait]
impl Fault for LagEnds {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let kept = |event: &Event| future::ready(!matches!(event, Event::Lagged(_)));
        Ok(Events::new(events(under, prefix).await?.take_while(kept)))
    }
}

/// Events that each live stream has not read yet.
#[derive(Default)]
struct Unread(Mutex<Vec<Weak<AtomicU64>>>);

impl Unread {
    const MOST: u64 = 1_024;

    fn stream(&self) -> Arc<AtomicU64> {
        let own = Arc::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&own));
        own
    }

    fn written(&self, count: usize) {
        for stream in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade) {
            stream.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    fn is_over(&self) -> bool {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().filter_map(Weak::upgrade).any(|stream| stream.load(Ordering::Relaxed) > Self::MOST)
    }
}

/// Has writers wait for the slowest reader; here they are told so at once, which takes less of the suite's time.
#[derive(Default)]
pub(super) struct StopsWriters(Unread);

#[async_trait]
impl Fault for StopsWriters {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if self.0.is_over() {
            return Err(Error::new(ErrorKind::ResourceExhausted, Effect::None, "a watcher's queue is full"));
        }
        self.0.written(1);
        under.bucket.set(key, value).await
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        self.0.written(entries.len());
        under.bucket.set_many(entries).await
    }

    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let own = self.0.stream();
        Ok(Events::new(events(under, prefix).await?.inspect(move |_| own.store(0, Ordering::Relaxed))))
    }
}

/// Keeps one queue for all: who is behind makes everybody miss.
#[derive(Default)]
pub(super) struct SharedQueue(Arc<Unread>);

#[async_trait]
impl Fault for SharedQueue {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        self.0.written(entries.len());
        under.bucket.set_many(entries).await
    }

    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let (own, all) = (self.0.stream(), Arc::clone(&self.0));
        Ok(Events::new(events(under, prefix).await?.flat_map(move |event| {
            let is_own_fault = own.swap(0, Ordering::Relaxed) > Unread::MOST;
            let lagged = (!is_own_fault && all.is_over()).then_some(Event::Lagged(1));
            stream::iter(lagged.into_iter().chain([event]))
        })))
    }
}

/// Takes no notice of a stream's end.
#[derive(Default)]
pub(super) struct KeepsStreams(Mutex<Vec<Events>>);

#[async_trait]
impl Fault for KeepsStreams {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let kept = events(under, prefix).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        events(under, prefix).await
    }
}

pub(super) struct OutlivesStore;

#[async_trait]
impl Fault for OutlivesStore {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        Ok(Events::new(events(under, prefix).await?.chain(stream::pending())))
    }
}

/// Takes an event off the queue in one poll and hands it over in the next, which a new read does not know of.
pub(super) struct AbandonedReadLoses;

#[async_trait]
impl Fault for AbandonedReadLoses {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        Ok(Events::new(Forgetful { below: events(under, prefix).await?, pending: 0 }))
    }
}

struct Forgetful {
    below: Events,
    /// Polls in a row that found nothing.
    pending: u32,
}

impl Stream for Forgetful {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let polled = self.below.poll_next_unpin(cx);
        if polled.is_pending() {
            self.pending += 1;
            return polled;
        }
        // A read that waits is polled again once there is something; more polls than that were other reads.
        if std::mem::take(&mut self.pending) > 1 {
            return self.below.poll_next_unpin(cx);
        }
        polled
    }
}
