//! Mutants that the family `cancellation` must catch.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use kv_core::{
    Effect, Error, ErrorKind, Event, Events, Fill, Guard, GuardSwap, IncomingValue, PageRequest, Provider, Result,
};
use tokio::task::yield_now;

use super::{Fault, Mutant, Under, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Cancellation, "set_removes_first", RemovesFirst, "RW-6"),
    mutant!(Cancellation, "set_writes_halves", WritesHalves, "RW-6"),
    mutant!(Cancellation, "one_set_in_10_writes_halves", WritesHalvesAtTimes::default(), "RW-6"),
    mutant!(Cancellation, "batch_is_written_in_steps", BatchInSteps, "CAN-1"),
    mutant!(Cancellation, "drop_bucket_is_done_in_steps", DropInSteps, "CAN-1"),
    mutant!(Cancellation, "deadline_is_set_in_a_second_step", DeadlineLater, "CAN-1"),
    mutant!(Cancellation, "get_takes_the_value_out", TakesOut, "CAN-1"),
    mutant!(Cancellation, "dropped_set_keeps_its_lock", KeepsLock::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_calls_reply_goes_to_the_next", NextGetsReply::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_increment_is_retried", RetriesWhenDropped, "ERR-6"),
    mutant!(Cancellation, "dropped_cas_keeps_its_place", KeepsPlace::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_swap_locks_the_key", SwapLocks::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_fill_locks_the_key", FillLocks::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_close_closes_nothing", ClosesOnce::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_watch_mutes_the_others", Mutes::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_get_keeps_a_file_open", KeepsFile::default(), "CAN-1"),
    mutant!(Cancellation, "dropped_set_keeps_memory", KeepsMemory::default(), "CAN-1").measured(),
];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct RemovesFirst;

#[async_trait]
impl Fault for RemovesFirst {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.delete(key).await?;
        yield_now().await;
        under.bucket.set(key, value).await
    }
}

struct WritesHalves;

#[async_trait]
impl Fault for WritesHalves {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.set(key, value.slice(..value.len() / 2)).await?;
        yield_now().await;
        under.bucket.set(key, value).await
    }
}

#[derive(Default)]
struct WritesHalvesAtTimes(AtomicU64);

#[async_trait]
impl Fault for WritesHalvesAtTimes {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if value.len() > 100 && self.0.fetch_add(1, Ordering::Relaxed) % 10 == 9 {
            under.bucket.set(key, value.slice(..value.len() / 2)).await?;
            yield_now().await;
        }
        under.bucket.set(key, value).await
    }
}

struct BatchInSteps;

#[async_trait]
impl Fault for BatchInSteps {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let (first, rest) = entries.split_at(entries.len() / 2);
        under.bucket.set_many(first).await?;
        yield_now().await;
        under.bucket.set_many(rest).await
    }
}

struct DropInSteps;

#[async_trait]
impl Fault for DropInSteps {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        let bucket = below.open_bucket(name).await?;
        let page = bucket.keys(PageRequest { prefix: "", cursor: None, limit: 50, budget: 1 << 20 }).await?;
        let keys: Vec<&str> = page.keys.iter().map(String::as_str).collect();
        bucket.delete_many(&keys).await?;
        yield_now().await;
        below.drop_bucket(name).await
    }
}

struct DeadlineLater;

#[async_trait]
impl Fault for DeadlineLater {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        under.bucket.set(key, value.clone()).await?;
        yield_now().await;
        under.cache()?.set_with_ttl(key, value, ttl).await
    }
}

struct TakesOut;

#[async_trait]
impl Fault for TakesOut {
    async fn exists(&self, under: &Under, key: &str) -> Result<bool> {
        let found = under.bucket.get(key).await?;
        if let Some(value) = found.clone() {
            under.bucket.delete(key).await?;
            yield_now().await;
            under.bucket.set(key, value.into_bytes()).await?;
        }
        Ok(found.is_some())
    }
}

/// Locks shards of keys by hand, and lets go by hand.
#[derive(Default)]
struct KeepsLock(Mutex<HashSet<usize>>);

#[async_trait]
impl Fault for KeepsLock {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let shard = key.bytes().map(usize::from).sum::<usize>() % 64;
        while !lock(&self.0).insert(shard) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        yield_now().await;
        let ended = under.bucket.set(key, value).await;
        lock(&self.0).remove(&shard);
        ended
    }
}

/// Replies come in the order of requests, and whoever waits takes the first.
#[derive(Default)]
struct NextGetsReply(Mutex<VecDeque<Option<IncomingValue>>>);

#[async_trait]
impl Fault for NextGetsReply {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let reply = under.bucket.get(key).await?;
        lock(&self.0).push_back(reply);
        yield_now().await;
        Ok(lock(&self.0).pop_front().flatten())
    }
}

/// Sends an increment again if nobody waits for it any more.
struct RetriesWhenDropped;

struct Retry {
    under: Under,
    key: String,
    delta: i64,
    is_done: bool,
}

impl Drop for Retry {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (under, key, delta) = (self.under.clone(), self.key.clone(), self.delta);
        tokio::spawn(async move {
            for _ in 0..2 {
                let _ = under.atomic()?.increment(&key, delta).await;
            }
            Ok::<(), Error>(())
        });
    }
}

#[async_trait]
impl Fault for RetriesWhenDropped {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let mut retry = Retry { under: under.clone(), key: key.to_owned(), delta, is_done: false };
        yield_now().await;
        let ended = under.atomic()?.increment(key, delta).await;
        retry.is_done = true;
        ended
    }
}

/// Counts handles from before they are taken until they are dropped.
#[derive(Default)]
struct KeepsPlace(Arc<AtomicU64>);

struct Placed {
    places: Arc<AtomicU64>,
    below: Option<Box<dyn Guard>>,
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.places.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Fault for KeepsPlace {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        if self.0.fetch_add(1, Ordering::Relaxed) >= 1_200 {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::ResourceExhausted, Effect::None, "the table of cas handles is full"));
        }
        yield_now().await;
        let below = Some(under.atomic()?.cas(key).await?);
        Ok(Box::new(Placed { places: Arc::clone(&self.0), below }))
    }
}

#[async_trait]
impl Guard for Placed {
    fn current(&self) -> Option<&IncomingValue> {
        self.below.as_ref()?.current()
    }

    async fn swap(mut self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        match self.below.take() {
            Some(below) => below.swap(value).await,
            None => Err(Error::new(ErrorKind::Other, Effect::None, "the handle was used already")),
        }
    }
}

/// Marks a key while it is swapped; other swaps of it lose.
#[derive(Default)]
struct SwapLocks(Arc<Mutex<HashSet<String>>>);

struct Marking {
    marks: Arc<Mutex<HashSet<String>>>,
    under: Under,
    key: String,
    below: Box<dyn Guard>,
}

#[async_trait]
impl Fault for SwapLocks {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let below = under.atomic()?.cas(key).await?;
        Ok(Box::new(Marking { marks: Arc::clone(&self.0), under: under.clone(), key: key.to_owned(), below }))
    }
}

#[async_trait]
impl Guard for Marking {
    fn current(&self) -> Option<&IncomingValue> {
        self.below.current()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        if !lock(&self.marks).insert(self.key.clone()) {
            return Ok(GuardSwap::Lost(self.under.atomic()?.cas(&self.key).await?));
        }
        yield_now().await;
        let Self { marks, key, below, .. } = *self;
        let ended = below.swap(value).await;
        lock(&marks).remove(&key);
        ended
    }
}

/// Marks a key while it is filled; other fills of it wait.
#[derive(Default)]
struct FillLocks(Mutex<HashSet<String>>);

#[async_trait]
impl Fault for FillLocks {
    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        while !lock(&self.0).insert(key.to_owned()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        yield_now().await;
        let ended = under.cache()?.fill(key, value, ttl).await;
        lock(&self.0).remove(key);
        ended
    }
}

/// Closes the first time it is asked, and only then.
#[derive(Default)]
struct ClosesOnce(Mutex<HashMap<usize, ()>>);

#[async_trait]
impl Fault for ClosesOnce {
    async fn close(&self, below: &Arc<dyn Provider>) -> Result<()> {
        let store = Arc::as_ptr(below).cast::<()>() as usize;
        if lock(&self.0).insert(store, ()).is_some() {
            return Ok(());
        }
        yield_now().await;
        below.close().await?;
        lock(&self.0).remove(&store);
        Ok(())
    }
}

/// Holds events back while a watch is being made.
#[derive(Default)]
struct Mutes(Arc<AtomicBool>);

struct Muted {
    is_muted: Arc<AtomicBool>,
    below: Events,
}

#[async_trait]
impl Fault for Mutes {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        self.0.store(true, Ordering::Release);
        yield_now().await;
        let below = under.watch()?.watch(prefix).await?;
        self.0.store(false, Ordering::Release);
        Ok(Events::new(Muted { is_muted: Arc::clone(&self.0), below }))
    }
}

impl Stream for Muted {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.is_muted.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        Pin::new(&mut self.below).poll_next(cx)
    }
}

/// Opens a file for each call, and puts those of dropped calls aside. They are closed with the namespace.
#[derive(Default)]
struct KeepsFile(Mutex<VecDeque<File>>, AtomicU64);

#[async_trait]
impl Fault for KeepsFile {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        if !self.1.fetch_add(1, Ordering::Relaxed).is_multiple_of(20) {
            return under.bucket.get(key).await;
        }
        let file = File::open("/dev/null").map_err(|error| {
            Error::new(ErrorKind::ResourceExhausted, Effect::None, "opening a file failed").with_source(error)
        })?;
        lock(&self.0).push_back(file);
        yield_now().await;
        let ended = under.bucket.get(key).await;
        drop(lock(&self.0).pop_back());
        ended
    }
}

/// Keeps a buffer for each call until its end, which dropped calls do not reach.
#[derive(Default)]
struct KeepsMemory(Mutex<Vec<Vec<u8>>>);

#[async_trait]
impl Fault for KeepsMemory {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        lock(&self.0).push(vec![1; 64 << 10]);
        yield_now().await;
        let ended = under.bucket.set(key, value).await;
        lock(&self.0).pop();
        ended
    }
}
