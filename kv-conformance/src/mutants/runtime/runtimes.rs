use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use kv_core::{Effect, Error, ErrorKind, Event, Events, IncomingValue, Provider, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{block_in_place, yield_now};

use crate::mutants::{Fault, Under};

/// Blocks in place, which a current-thread runtime does not allow.
pub(super) struct NeedsMultiThread;

#[async_trait]
impl Fault for NeedsMultiThread {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        block_in_place(|| Handle::current().block_on(under.bucket.get(key)))
    }
}

/// Works as tasks of the runtime on which the store was opened.
#[derive(Default)]
pub(super) struct BoundToOpening(Mutex<Option<Handle>>);

#[async_trait]
impl Fault for BoundToOpening {
    async fn opened(&self, _: &Arc<dyn Provider>) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Handle::current());
        Ok(())
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (under, key) = (under.clone(), key.to_owned());
        let gone = || Error::new(ErrorKind::Unavailable, Effect::Unknown, "the connection's task has ended");
        let task = handle.ok_or_else(gone)?.spawn(async move { under.bucket.set(&key, value).await });
        task.await.unwrap_or_else(|cause| Err(gone().with_source(cause)))
    }
}

/// Moves events by a task of the runtime on which the watch was begun.
pub(super) struct PumpedWatch;

#[async_trait]
impl Fault for PumpedWatch {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let mut below = under.watch()?.watch(prefix).await?;
        let (give, take) = mpsc::channel(1_024);
        tokio::spawn(async move {
            while let Some(event) = below.next().await {
                if give.send(event).await.is_err() {
                    return;
                }
            }
        });
        Ok(Events::new(stream::unfold(take, |mut take| async move { take.recv().await.map(|event| (event, take)) })))
    }
}

/// Says goodbye in a task, for which it needs a runtime.
pub(super) struct DropNeedsRuntime;

struct Farewell(Events);

impl Stream for Farewell {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_next_unpin(cx)
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        tokio::spawn(yield_now());
    }
}

#[async_trait]
impl Fault for DropNeedsRuntime {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        Ok(Events::new(Farewell(under.watch()?.watch(prefix).await?)))
    }
}

/// Takes a lock that nothing gives back where the call is cut off.
#[derive(Default)]
pub(super) struct LeavesLock(AtomicBool);

#[async_trait]
impl Fault for LeavesLock {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        if entries.len() <= 1_024 {
            return under.bucket.set_many(entries).await;
        }
        self.0.store(true, Ordering::Relaxed);
        yield_now().await;
        let done = under.bucket.set_many(entries).await;
        self.0.store(false, Ordering::Relaxed);
        done
    }

    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Timeout, Effect::None, "a lock did not come free"));
        }
        under.bucket.delete_many(keys).await
    }
}

/// Has one connection, and refuses whoever comes while it is in use on another thread.
#[derive(Default)]
pub(super) struct OneAtATime(Mutex<Option<std::thread::ThreadId>>);

#[async_trait]
impl Fault for OneAtATime {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let own = std::thread::current().id();
        let owner = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(own);
        if owner != own {
            return Err(Error::new(ErrorKind::Other, Effect::None, "the connection belongs to another runtime"));
        }
        under.bucket.set(key, value).await
    }
}
