use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use kv_core::{Event, Events, Fill, IncomingValue, PageRequest, Result, Swap};

use crate::mutants::{Fault, Under};

async fn events(under: &Under, prefix: &str) -> Result<Events> {
    under.watch()?.watch(prefix).await
}

/// Loses one event in 100.
pub(super) struct DropsSome;

#[async_trait]
impl Fault for DropsSome {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let mut count = 0_u64;
        Ok(Events::new(events(under, prefix).await?.filter(move |_| {
            count += 1;
            future::ready(count % 100 != 50)
        })))
    }
}

/// Gives one event in 50 twice.
pub(super) struct Repeats;

#[async_trait]
impl Fault for Repeats {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let mut count = 0_u64;
        Ok(Events::new(events(under, prefix).await?.flat_map(move |event| {
            count += 1;
            stream::iter(std::iter::repeat_n(event, if count.is_multiple_of(50) { 2 } else { 1 }))
        })))
    }
}

/// Gives two events that are there together in the wrong order.
pub(super) struct SwapsNeighbours;

#[async_trait]
impl Fault for SwapsNeighbours {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let pairs = events(under, prefix).await?.ready_chunks(2);
        Ok(Events::new(pairs.flat_map(|pair| stream::iter(pair.into_iter().rev()))))
    }
}

fn key(event: &Event) -> Option<&str> {
    match event {
        Event::Set { key, .. } | Event::Deleted { key } | Event::Expired { key } => Some(key),
        Event::Dropped | Event::Lagged(_) | Event::Resync => None,
    }
}

/// Gives the latest change only, while `Every` is declared.
pub(super) struct Merges;

#[async_trait]
impl Fault for Merges {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let chunks = events(under, prefix).await?.ready_chunks(64);
        Ok(Events::new(chunks.flat_map(|chunk| {
            let last: HashMap<_, _> = chunk.iter().enumerate().map(|(at, event)| (key(event), at)).collect();
            let kept = chunk.iter().enumerate().filter(|(at, event)| last.get(&key(event)) == Some(at));
            stream::iter(kept.map(|(_, event)| event.clone()).collect::<Vec<_>>())
        })))
    }
}

/// Of changes that are there together it gives the first of a key, as one does who publishes outside of the lock.
pub(super) struct OutdatedLast;

#[async_trait]
impl Fault for OutdatedLast {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let chunks = events(under, prefix).await?.ready_chunks(16);
        Ok(Events::new(chunks.flat_map(|chunk| {
            let mut seen = HashSet::new();
            let first = chunk.into_iter().filter(|event| seen.insert(key(event).map(str::to_owned)));
            stream::iter(first.collect::<Vec<_>>())
        })))
    }
}

pub(super) struct SameBytesAreSilent;

#[async_trait]
impl Fault for SameBytesAreSilent {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let mut last: HashMap<String, IncomingValue> = HashMap::new();
        Ok(Events::new(events(under, prefix).await?.filter(move |event| {
            let is_new = match event {
                Event::Set { key, value } => last.insert(key.clone(), value.clone()).as_ref() != Some(value),
                Event::Deleted { key } | Event::Expired { key } => {
                    last.remove(key);
                    true
                }
                _ => true,
            };
            future::ready(is_new)
        })))
    }
}

/// Keys and values whose events are held back.
#[derive(Clone, Default)]
struct Muted(Arc<Mutex<VecDeque<(String, Bytes)>>>);

impl Muted {
    fn add(&self, key: &str, value: Bytes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((key.to_owned(), value));
    }

    /// Whether the event is one of them, once.
    fn takes(&self, event: &Event) -> bool {
        let Event::Set { key, value } = event else { return false };
        let mut muted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = muted.iter().position(|(name, bytes)| name == key && **bytes == **value);
        at.and_then(|at| muted.remove(at)).is_some()
    }

    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let muted = self.clone();
        Ok(Events::new(events(under, prefix).await?.filter(move |event| future::ready(!muted.takes(event)))))
    }
}

#[derive(Default)]
pub(super) struct IncrementIsSilent(Muted);

#[async_trait]
impl Fault for IncrementIsSilent {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let new = under.atomic()?.increment(key, delta).await?;
        self.0.add(key, new.to_string().into());
        Ok(new)
    }

    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        self.0.watch(under, prefix).await
    }
}

#[derive(Default)]
pub(super) struct BatchIsSilent(Muted);

#[async_trait]
impl Fault for BatchIsSilent {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        if entries.len() < 10 {
            entries.iter().for_each(|(key, value)| self.0.add(key, value.clone()));
        }
        under.bucket.set_many(entries).await
    }

    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        self.0.watch(under, prefix).await
    }
}

#[derive(Default)]
pub(super) struct FillIsSilent(Muted);

#[async_trait]
impl Fault for FillIsSilent {
    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        self.0.add(key, value.clone());
        under.cache()?.fill(key, value, ttl).await
    }

    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        self.0.watch(under, prefix).await
    }
}

pub(super) struct DropIsSilent;

#[async_trait]
impl Fault for DropIsSilent {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let kept = events(under, prefix).await?.filter(|event| future::ready(*event != Event::Dropped));
        Ok(Events::new(kept))
    }
}

pub(super) struct DropEnds;

#[async_trait]
impl Fault for DropEnds {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let mut ended = false;
        Ok(Events::new(events(under, prefix).await?.take_while(move |event| {
            let goes_on = !ended;
            ended |= *event == Event::Dropped;
            future::ready(goes_on)
        })))
    }
}

pub(super) struct ExpiryIsSilent;

#[async_trait]
impl Fault for ExpiryIsSilent {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let kept = |event: &Event| future::ready(!matches!(event, Event::Expired { .. }));
        Ok(Events::new(events(under, prefix).await?.filter(kept)))
    }
}

pub(super) struct ExpiryIsDelete;

#[async_trait]
impl Fault for ExpiryIsDelete {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        Ok(Events::new(events(under, prefix).await?.map(|event| match event {
            Event::Expired { key } => Event::Deleted { key },
            other => other,
        })))
    }
}

/// Writes a tombstone whether there is something to bury or not.
pub(super) struct TombstoneOfAbsent;

#[async_trait]
impl Fault for TombstoneOfAbsent {
    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        if !under.bucket.exists(key).await? {
            under.bucket.set(key, Bytes::new()).await?;
        }
        under.bucket.delete(key).await
    }
}

/// Writes the found value back when a swap is lost.
pub(super) struct LostSwapRewrites;

#[async_trait]
impl Fault for LostSwapRewrites {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let swapped = under.atomic()?.compare_and_swap(key, expected, new).await?;
        if let Swap::Found(Some(found)) = &swapped {
            under.bucket.set(key, found.clone().into_bytes()).await?;
        }
        Ok(swapped)
    }
}

pub(super) struct IgnoresPrefix;

#[async_trait]
impl Fault for IgnoresPrefix {
    async fn watch(&self, under: &Under, _: &str) -> Result<Events> {
        events(under, "").await
    }
}

/// Subscribes to a pattern that begins with the bucket's name.
pub(super) struct LongerNames;

#[async_trait]
impl Fault for LongerNames {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let longer = under.provider.open_bucket(&format!("{}:", under.name)).await?;
        let Some(watch) = longer.watch() else { return events(under, prefix).await };
        let both = stream::select(events(under, prefix).await?, watch.watch(prefix).await?);
        Ok(Events::new(both))
    }
}

/// Subscribes when somebody reads.
pub(super) struct BeginsLate;

#[async_trait]
impl Fault for BeginsLate {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let (under, prefix) = (under.clone(), prefix.to_owned());
        let late = async move {
            match events(&under, &prefix).await {
                Ok(events) => events.boxed(),
                Err(_) => stream::empty().boxed(),
            }
        };
        Ok(Events::new(stream::once(late).flatten()))
    }
}

/// Gives what is stored first, as if it were written now.
pub(super) struct BeginsWithStored;

#[async_trait]
impl Fault for BeginsWithStored {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let new = events(under, prefix).await?;
        let page = under.bucket.keys(PageRequest { prefix, cursor: None, limit: 100, budget: usize::MAX }).await?;
        let mut stored = Vec::new();
        for key in page.keys {
            if let Some(value) = under.bucket.get(&key).await? {
                stored.push(Event::Set { key, value });
            }
        }
        Ok(Events::new(stream::iter(stored).chain(new)))
    }
}

pub(super) struct CutsLargeValues;

#[async_trait]
impl Fault for CutsLargeValues {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        const MOST: usize = 256 << 10;
        Ok(Events::new(events(under, prefix).await?.map(|event| match event {
            Event::Set { key, value } => {
                let bytes = value.into_bytes();
                Event::Set { key, value: bytes.slice(..bytes.len().min(MOST)).into() }
            }
            other => other,
        })))
    }
}
