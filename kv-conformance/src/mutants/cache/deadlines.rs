//! Faults of deadlines.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use kv_core::{Event, Events, Fill, Guard, GuardSwap, IncomingValue, Provider, Result, Swap, Ttl};

use crate::mutants::{Fault, Under};

/// Rounds up to whole seconds.
pub(super) struct Ceils;

#[async_trait]
impl Fault for Ceils {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_millis() > 0);
        under.cache()?.set_with_ttl(key, value, Duration::from_secs(seconds)).await
    }
}

pub(super) struct Truncates;

#[async_trait]
impl Fault for Truncates {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        let cut = Duration::from_millis(ttl.as_millis() as u64 & 0x7fff_ffff).max(Duration::from_millis(1));
        under.cache()?.set_with_ttl(key, value, cut).await
    }
}

pub(super) struct SetsLater;

#[async_trait]
impl Fault for SetsLater {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        under.bucket.set(key, value.clone()).await?;
        tokio::task::yield_now().await;
        under.cache()?.set_with_ttl(key, value, ttl).await
    }
}

/// Stores under the deadline that the entry had, if it had one.
async fn keep(under: &Under, key: &str, value: Bytes, ttl: Ttl) -> Result<()> {
    match ttl {
        Ttl::Left(left) => under.cache()?.set_with_ttl(key, value, left).await,
        Ttl::Absent | Ttl::Forever => under.bucket.set(key, value).await,
    }
}

pub(super) struct KeepsOlder;

#[async_trait]
impl Fault for KeepsOlder {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        match under.cache()?.ttl(key).await? {
            Ttl::Left(left) => keep(under, key, value, Ttl::Left(left)).await,
            _ => under.cache()?.set_with_ttl(key, value, ttl).await,
        }
    }
}

/// A write that rewrites the value and leaves the deadline.
pub(super) enum Keeps {
    Set,
    SetMany,
    CompareAndSwap,
    Swap,
}

#[async_trait]
impl Fault for Keeps {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let ttl = if matches!(self, Self::Set) { under.cache()?.ttl(key).await? } else { Ttl::Forever };
        keep(under, key, value, ttl).await
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        if !matches!(self, Self::SetMany) {
            return under.bucket.set_many(entries).await;
        }
        for (key, value) in entries {
            let ttl = under.cache()?.ttl(key).await?;
            keep(under, key, value.clone(), ttl).await?;
        }
        Ok(())
    }

    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let ttl = under.cache()?.ttl(key).await?;
        let ended = under.atomic()?.compare_and_swap(key, expected, new.clone()).await?;
        if let (Self::CompareAndSwap, Swap::Swapped, Some(new)) = (self, &ended, new) {
            keep(under, key, new, ttl).await?;
        }
        Ok(ended)
    }

    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let below = under.atomic()?.cas(key).await?;
        if !matches!(self, Self::Swap) {
            return Ok(below);
        }
        Ok(Box::new(KeepingGuard { under: under.clone(), key: key.to_owned(), below }))
    }
}

struct KeepingGuard {
    under: Under,
    key: String,
    below: Box<dyn Guard>,
}

#[async_trait]
impl Guard for KeepingGuard {
    fn current(&self) -> Option<&IncomingValue> {
        self.below.current()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let Self { under, key, below } = *self;
        let ttl = under.cache()?.ttl(&key).await?;
        let ended = below.swap(value.clone()).await?;
        if matches!(ended, GuardSwap::Swapped) {
            keep(&under, &key, value, ttl).await?;
        }
        Ok(ended)
    }
}

pub(super) struct ClearedByIncrement;

#[async_trait]
impl Fault for ClearedByIncrement {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let sum = under.atomic()?.increment(key, delta).await?;
        under.bucket.set(key, sum.to_string().into()).await?;
        Ok(sum)
    }
}

/// What `ttl` gets wrong.
#[derive(Clone, Copy)]
pub(super) enum Wrong {
    AbsentIsForever,
    ForeverIsAbsent,
    InSeconds,
    ReachesZero,
    AsGiven,
}

pub(super) struct TellsWrong(pub(super) Wrong);

#[async_trait]
impl Fault for TellsWrong {
    async fn ttl(&self, under: &Under, key: &str) -> Result<Ttl> {
        Ok(match (self.0, under.cache()?.ttl(key).await?) {
            (Wrong::AbsentIsForever, Ttl::Absent) => Ttl::Forever,
            (Wrong::ForeverIsAbsent, Ttl::Forever) => Ttl::Absent,
            (Wrong::InSeconds, Ttl::Left(left)) => Ttl::Left(Duration::from_secs(left.as_secs().max(1))),
            (Wrong::ReachesZero, Ttl::Left(left)) => Ttl::Left(left.saturating_sub(Duration::from_millis(1))),
            // Whole minutes hide that the time passes.
            (Wrong::AsGiven, Ttl::Left(left)) => Ttl::Left(Duration::from_secs(left.as_secs().div_ceil(60) * 60)),
            (_, ttl) => ttl,
        })
    }
}

/// Tells of the expired only when they are asked for: nothing else takes them away.
pub(super) struct IsNeverSwept;

#[async_trait]
impl Fault for IsNeverSwept {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let below = under.watch()?.watch(prefix).await?;
        Ok(Events::new(below.filter(|event| std::future::ready(!matches!(event, Event::Expired { .. })))))
    }
}

/// Only a deadline that is written wakes the sweeper, not those that an opened store brings along.
#[derive(Default)]
pub(super) struct SweepsOnlyOnceWritten(Arc<AtomicBool>);

#[async_trait]
impl Fault for SweepsOnlyOnceWritten {
    async fn opened(&self, _: &Arc<dyn Provider>) -> Result<()> {
        self.0.store(false, Ordering::Release);
        Ok(())
    }

    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        self.0.store(true, Ordering::Release);
        under.cache()?.set_with_ttl(key, value, ttl).await
    }

    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        self.0.fetch_or(ttl.is_some(), Ordering::AcqRel);
        under.cache()?.fill(key, value, ttl).await
    }

    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        let (below, is_awake) = (under.watch()?.watch(prefix).await?, Arc::clone(&self.0));
        Ok(Events::new(below.filter(move |event| {
            let is_told = is_awake.load(Ordering::Acquire) || !matches!(event, Event::Expired { .. });
            std::future::ready(is_told)
        })))
    }
}

/// Sweeps what had a deadline without a look at what it has become.
pub(super) struct SweepsByKey;

#[async_trait]
impl Fault for SweepsByKey {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        under.cache()?.set_with_ttl(key, value, ttl).await?;
        let (bucket, key) = (Arc::clone(&under.bucket), key.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(ttl + Duration::from_millis(10)).await;
            let _ = bucket.delete(&key).await;
        });
        Ok(())
    }
}

/// What was written with a deadline, and is to be treated on the next opening.
#[derive(Default)]
struct Written(Mutex<HashMap<(String, String), (Bytes, Duration)>>);

impl Written {
    fn note(&self, under: &Under, key: &str, value: &Bytes, ttl: Duration) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert((under.name.clone(), key.to_owned()), (value.clone(), ttl));
    }

    fn all(&self) -> Vec<((String, String), (Bytes, Duration))> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().into_iter().collect()
    }
}

/// Makes a fault that treats entries with a deadline when the store is opened.
macro_rules! on_restart {
    ($(#[$doc:meta])* $fault:ident, |$bucket:ident, $key:ident, $value:ident, $ttl:ident, $was:ident| $body:block) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $fault(Written);

        #[async_trait]
        impl Fault for $fault {
            async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
                for ((name, $key), ($value, $ttl)) in self.0.all() {
                    let $bucket = below.open_bucket(&name).await?;
                    let Some(cache) = $bucket.cache() else { continue };
                    let $was = cache.ttl(&$key).await?;
                    $body
                }
                Ok(())
            }

            async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
                self.0.note(under, key, &value, ttl);
                under.cache()?.set_with_ttl(key, value, ttl).await
            }
        }
    };
}

on_restart!(
    /// Deadlines are kept in memory.
    ForgetsOnRestart,
    |bucket, key, value, _ttl, was| {
        if matches!(was, Ttl::Left(_)) {
            bucket.set(&key, value).await?;
        }
    }
);

on_restart!(
    /// Times to live are stored, not deadlines.
    RestartsClock,
    |bucket, key, value, ttl, was| {
        if let (Ttl::Left(_), Some(cache)) = (was, bucket.cache()) {
            cache.set_with_ttl(&key, value, ttl * 2).await?;
        }
    }
);

on_restart!(
    /// Entries that nobody had swept come back.
    RevivesOnRestart,
    |bucket, key, value, _ttl, was| {
        if was == Ttl::Absent {
            bucket.set(&key, value).await?;
        }
    }
);
