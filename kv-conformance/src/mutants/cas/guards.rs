//! Faults of handles and their swaps.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Effect, Error, ErrorKind, Guard, GuardSwap, IncomingValue, Provider, Result, Swap};

use crate::mutants::{Fault, Under};

/// How a guard's swap is wrong.
#[derive(Clone, Copy)]
enum Way {
    ByValue,
    Always,
    OverwritesCreation,
    WritesAndLoses,
    LosesAndSucceeds,
    WritesNothing,
    OldInFresh,
    Retries,
}

/// A guard whose swap goes wrong in one way.
struct Faulty {
    way: Way,
    under: Under,
    key: String,
    below: Box<dyn Guard>,
}

impl Faulty {
    async fn take(way: Way, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let below = under.atomic()?.cas(key).await?;
        Ok(Box::new(Self { way, under: under.clone(), key: key.to_owned(), below }))
    }

    async fn again(&self) -> Result<GuardSwap> {
        Ok(GuardSwap::Lost(Self::take(self.way, &self.under, &self.key).await?))
    }
}

#[async_trait]
impl Guard for Faulty {
    fn current(&self) -> Option<&IncomingValue> {
        self.below.current()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let Self { way, under, key, below } = *self;
        let write = || under.bucket.set(&key, value.clone());
        let seen = below.current().cloned();
        match way {
            Way::ByValue => {
                let ended = under.atomic()?.compare_and_swap(&key, seen.as_deref(), Some(value)).await?;
                return match ended {
                    Swap::Swapped => Ok(GuardSwap::Swapped),
                    Swap::Found(_) => Ok(GuardSwap::Lost(Self::take(way, &under, &key).await?)),
                };
            }
            Way::Always => return write().await.map(|()| GuardSwap::Swapped),
            Way::OverwritesCreation if seen.is_none() => return write().await.map(|()| GuardSwap::Swapped),
            Way::OverwritesCreation
            | Way::OldInFresh
            | Way::LosesAndSucceeds
            | Way::WritesAndLoses
            | Way::WritesNothing
            | Way::Retries => {}
        }
        let ended = below.swap(value.clone()).await?;
        let faulty = |below| Self { way, under: under.clone(), key: key.clone(), below };
        match (way, ended) {
            (Way::WritesAndLoses, GuardSwap::Swapped) => faulty(under.atomic()?.cas(&key).await?).again().await,
            (Way::LosesAndSucceeds, GuardSwap::Lost(_)) => Ok(GuardSwap::Swapped),
            (Way::Retries, GuardSwap::Lost(fresh)) => fresh.swap(value).await,
            (Way::OldInFresh, GuardSwap::Lost(fresh)) => Ok(GuardSwap::Lost(Box::new(Shows { seen, below: fresh }))),
            (Way::WritesNothing, GuardSwap::Swapped) => {
                match seen {
                    Some(seen) => under.bucket.set(&key, seen.into_bytes()).await?,
                    None => under.bucket.delete(&key).await?,
                }
                Ok(GuardSwap::Swapped)
            }
            (_, GuardSwap::Swapped) => Ok(GuardSwap::Swapped),
            (_, GuardSwap::Lost(fresh)) => Ok(GuardSwap::Lost(Box::new(faulty(fresh)))),
        }
    }
}

/// A guard that shows another value than the one it was taken on.
struct Shows {
    seen: Option<IncomingValue>,
    below: Box<dyn Guard>,
}

#[async_trait]
impl Guard for Shows {
    fn current(&self) -> Option<&IncomingValue> {
        self.seen.as_ref()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        self.below.swap(value).await
    }
}

/// Makes faults whose guards are wrong in one way.
macro_rules! faulty {
    ($($(#[$doc:meta])* $fault:ident = $way:ident;)+) => {
        $(
            $(#[$doc])*
            pub(super) struct $fault;

            #[async_trait]
            impl Fault for $fault {
                async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
                    Faulty::take(Way::$way, under, key).await
                }
            }
        )+
    };
}

faulty! {
    /// Compares bytes instead of versions.
    ValueOnly = ByValue;
    /// Writes whatever happened.
    AlwaysSwaps = Always;
    /// Guards entries, but not absence.
    CreationOverwrites = OverwritesCreation;
    /// The swap applied; its reply says that it did not.
    LostButWritten = WritesAndLoses;
    /// The transaction was aborted; its reply says that it was not.
    ReportsSuccess = LosesAndSucceeds;
    /// Tries again by itself.
    RetriesBehind = Retries;
    /// Gives what it knew before.
    FreshIsStale = OldInFresh;
}

/// Each 20th swap is taken back.
#[derive(Default)]
pub(super) struct SwapsWithoutWriting(AtomicU64);

#[async_trait]
impl Fault for SwapsWithoutWriting {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 20 {
            0 => Faulty::take(Way::WritesNothing, under, key).await,
            _ => under.atomic()?.cas(key).await,
        }
    }
}

/// Shows the value of the handle taken before it, of a key that it has seen.
#[derive(Default)]
pub(super) struct StaleCurrent(Mutex<HashMap<String, Option<IncomingValue>>>);

#[async_trait]
impl Fault for StaleCurrent {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let below = under.atomic()?.cas(key).await?;
        let now = below.current().cloned();
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), now.clone());
        Ok(Box::new(Shows { seen: before.unwrap_or(now), below }))
    }
}

/// One guard for the whole store, as a shared connection has it: each swap clears what all others watch.
#[derive(Default)]
pub(super) struct OneGuardForAll(Arc<AtomicU64>);

struct Shared {
    swaps: Arc<AtomicU64>,
    seen: u64,
    under: Under,
    key: String,
    below: Box<dyn Guard>,
}

#[async_trait]
impl Fault for OneGuardForAll {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let below = under.atomic()?.cas(key).await?;
        let swaps = Arc::clone(&self.0);
        Ok(Box::new(Shared {
            seen: swaps.load(Ordering::Relaxed),
            swaps,
            under: under.clone(),
            key: key.to_owned(),
            below,
        }))
    }
}

#[async_trait]
impl Guard for Shared {
    fn current(&self) -> Option<&IncomingValue> {
        self.below.current()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let Self { swaps, seen, under, key, below } = *self;
        if swaps.fetch_add(1, Ordering::Relaxed) != seen {
            // Nothing is watched any more, so nothing stops the write.
            return under.bucket.set(&key, value).await.map(|()| GuardSwap::Swapped);
        }
        below.swap(value).await
    }
}

/// Handles from before a close are looked up by name when they swap.
#[derive(Default)]
pub(super) struct SurvivesClose(Arc<Mutex<Option<Arc<dyn Provider>>>>);

struct ByName {
    provider: Arc<Mutex<Option<Arc<dyn Provider>>>>,
    bucket: String,
    key: String,
    below: Box<dyn Guard>,
}

#[async_trait]
impl Fault for SurvivesClose {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(below));
        Ok(())
    }

    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let below = under.atomic()?.cas(key).await?;
        let provider = Arc::clone(&self.0);
        Ok(Box::new(ByName { provider, bucket: under.name.clone(), key: key.to_owned(), below }))
    }
}

#[async_trait]
impl Guard for ByName {
    fn current(&self) -> Option<&IncomingValue> {
        self.below.current()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let Self { provider, bucket, key, below } = *self;
        let provider = provider.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (below.swap(value.clone()).await, provider) {
            (Err(error), Some(provider)) if error.kind() == ErrorKind::Unavailable => {
                provider.open_bucket(&bucket).await?.set(&key, value).await?;
                Ok(GuardSwap::Swapped)
            }
            (ended, _) => ended,
        }
    }
}

/// Guards sit in a table until they are swapped: a dropped one stays there, and the table has 2,048 places.
#[derive(Default)]
pub(super) struct LeaksGuards(Arc<AtomicU64>);

struct Slot {
    slots: Arc<AtomicU64>,
    /// Whether dropping it frees the place too.
    is_freed: bool,
    freed: AtomicBool,
    below: Option<Box<dyn Guard>>,
}

impl Slot {
    fn free(&self) {
        if !self.freed.swap(true, Ordering::Relaxed) {
            self.slots.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_freed {
            self.free();
        }
    }
}

async fn slot(slots: &Arc<AtomicU64>, most: u64, is_freed: bool, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
    let below = under.atomic()?.cas(key).await?;
    if slots.fetch_add(1, Ordering::Relaxed) >= most {
        slots.fetch_sub(1, Ordering::Relaxed);
        return Err(Error::new(ErrorKind::ResourceExhausted, Effect::None, "the table of cas handles is full"));
    }
    Ok(Box::new(Slot { slots: Arc::clone(slots), is_freed, freed: AtomicBool::new(false), below: Some(below) }))
}

#[async_trait]
impl Guard for Slot {
    fn current(&self) -> Option<&IncomingValue> {
        self.below.as_ref()?.current()
    }

    async fn swap(mut self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        self.free();
        match self.below.take() {
            Some(below) => below.swap(value).await,
            None => Err(Error::new(ErrorKind::Other, Effect::None, "the handle was used already")),
        }
    }
}

#[async_trait]
impl Fault for LeaksGuards {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        slot(&self.0, 2_048, false, under, key).await
    }
}

/// A table with too few places.
#[derive(Default)]
pub(super) struct SlotsAreUsedUp(Arc<AtomicU64>);

#[async_trait]
impl Fault for SlotsAreUsedUp {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        slot(&self.0, 64, true, under, key).await
    }
}
