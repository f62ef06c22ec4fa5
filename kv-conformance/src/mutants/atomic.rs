//! Mutants that the family `atomic` must catch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Effect, Error, ErrorKind, IncomingValue, Result};

use super::{Fault, Mutant, Under, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Atomic, "increment_is_get_and_set", GetAndSet, "ATM-1"),
    mutant!(Atomic, "increment_returns_the_old_value", ReturnsOld, "ATM-1"),
    mutant!(Atomic, "increment_of_absent_by_zero_stores_nothing", ZeroStoresNothing, "ATM-1"),
    mutant!(Atomic, "increment_of_absent_is_an_error", AbsentIsNoNumber, "ATM-1"),
    mutant!(Atomic, "increment_takes_only_positive_deltas", PositiveDeltas, "ATM-1"),
    mutant!(Atomic, "increment_cuts_the_delta_to_32_bits", Delta32, "ATM-1"),
    mutant!(Atomic, "increment_counts_in_doubles", Doubles, "ATM-1"),
    mutant!(Atomic, "increment_loses_one_in_500", LosesOne::default(), "ATM-1"),
    mutant!(Atomic, "increment_keeps_a_counter_of_its_own", OwnCounter::default(), "ATM-2"),
    mutant!(Atomic, "increment_stores_eight_bytes", StoresBytes, "ATM-2"),
    mutant!(Atomic, "increment_pads_with_zeros", Pads, "ATM-2"),
    mutant!(Atomic, "increment_leaves_a_longer_texts_tail", LeavesTail, "ATM-2"),
    mutant!(Atomic, "rubbish_counts_as_zero", RubbishIsZero, "ATM-3"),
    mutant!(Atomic, "increment_trims_the_text", Trims, "ATM-3"),
    mutant!(Atomic, "increment_takes_a_plus_sign", Lenient('+'), "ATM-3"),
    mutant!(Atomic, "increment_takes_leading_zeros", Lenient('0'), "ATM-3"),
    mutant!(Atomic, "increment_takes_minus_zero", Lenient('-'), "ATM-3"),
    mutant!(Atomic, "empty_counts_as_zero", EmptyIsZero, "ATM-3"),
    mutant!(Atomic, "increment_wraps", Wraps, "ATM-3"),
    mutant!(Atomic, "increment_saturates", Saturates, "ATM-3"),
    mutant!(Atomic, "overflow_is_not_a_number", OverflowIsNoNumber, "ATM-3"),
    mutant!(Atomic, "overflow_resets_the_counter", OverflowResets, "ATM-3"),
];

/// The bytes under the key.
async fn stored(under: &Under, key: &str) -> Result<Option<IncomingValue>> {
    under.bucket.get(key).await
}

/// The text under the key as a program reads it that does not look closely.
async fn text(under: &Under, key: &str) -> Result<Option<String>> {
    Ok(stored(under, key).await?.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

async fn store(under: &Under, key: &str, number: i64) -> Result<i64> {
    under.bucket.set(key, number.to_string().into()).await?;
    Ok(number)
}

struct GetAndSet;

#[async_trait]
impl Fault for GetAndSet {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let old = stored(under, key).await?;
        let new = kv_core::local::counter::add(old.as_deref(), delta)?;
        tokio::task::yield_now().await;
        store(under, key, new).await
    }
}

struct ReturnsOld;

#[async_trait]
impl Fault for ReturnsOld {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        Ok(under.atomic()?.increment(key, delta).await?.wrapping_sub(delta))
    }
}

struct ZeroStoresNothing;

#[async_trait]
impl Fault for ZeroStoresNothing {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        if delta == 0 && !under.bucket.exists(key).await? {
            return Ok(0);
        }
        under.atomic()?.increment(key, delta).await
    }
}

struct AbsentIsNoNumber;

#[async_trait]
impl Fault for AbsentIsNoNumber {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        if !under.bucket.exists(key).await? {
            return Err(Error::new(ErrorKind::NotANumber, Effect::None, "there is no counter under this key"));
        }
        under.atomic()?.increment(key, delta).await
    }
}

struct PositiveDeltas;

#[async_trait]
impl Fault for PositiveDeltas {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        under.atomic()?.increment(key, delta.saturating_abs()).await
    }
}

struct Delta32;

#[async_trait]
impl Fault for Delta32 {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        under.atomic()?.increment(key, i64::from(delta as i32)).await
    }
}

struct Doubles;

#[async_trait]
impl Fault for Doubles {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let sum = under.atomic()?.increment(key, delta).await?;
        let rounded = sum as f64 as i64;
        if rounded == sum { Ok(sum) } else { store(under, key, rounded).await }
    }
}

#[derive(Default)]
struct LosesOne(AtomicU64);

#[async_trait]
impl Fault for LosesOne {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let lost = self.0.fetch_add(1, Ordering::Relaxed) % 500 == 499;
        under.atomic()?.increment(key, if lost { 0 } else { delta }).await
    }
}

/// Counts beside the entries: what `set` stores is not seen.
#[derive(Default)]
struct OwnCounter(Mutex<HashMap<(String, String), i64>>);

#[async_trait]
impl Fault for OwnCounter {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let sum = {
            let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let counter = counters.entry((under.name.clone(), key.to_owned())).or_default();
            *counter = counter.wrapping_add(delta);
            *counter
        };
        store(under, key, sum).await
    }
}

struct StoresBytes;

#[async_trait]
impl Fault for StoresBytes {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let old = match stored(under, key).await?.as_deref() {
            Some(bytes) => <[u8; 8]>::try_from(bytes)
                .map_or_else(|_| kv_core::local::counter::add(Some(bytes), 0), |bytes| Ok(i64::from_be_bytes(bytes)))?,
            None => 0,
        };
        let sum = old.wrapping_add(delta);
        under.bucket.set(key, Bytes::copy_from_slice(&sum.to_be_bytes())).await?;
        Ok(sum)
    }
}

/// Its texts sort as its numbers do; it reads them back leniently.
struct Pads;

#[async_trait]
impl Fault for Pads {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let old = text(under, key).await?.and_then(|text| text.parse().ok()).unwrap_or(0_i64);
        let sum = old.wrapping_add(delta);
        under.bucket.set(key, format!("{sum:019}").into()).await?;
        Ok(sum)
    }
}

struct LeavesTail;

#[async_trait]
impl Fault for LeavesTail {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let old = stored(under, key).await?.unwrap_or_default();
        let sum = under.atomic()?.increment(key, delta).await?;
        let mut text = sum.to_string().into_bytes();
        if let Some(tail) = old.get(text.len()..) {
            text.extend_from_slice(tail);
            under.bucket.set(key, text.into()).await?;
        }
        Ok(sum)
    }
}

struct RubbishIsZero;

#[async_trait]
impl Fault for RubbishIsZero {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        match under.atomic()?.increment(key, delta).await {
            Err(error) if error.kind() == ErrorKind::NotANumber => store(under, key, delta).await,
            ended => ended,
        }
    }
}

struct Trims;

#[async_trait]
impl Fault for Trims {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let old = text(under, key).await?.and_then(|text| text.trim().parse::<i64>().ok());
        match old.and_then(|old| old.checked_add(delta)) {
            Some(sum) => store(under, key, sum).await,
            None => under.atomic()?.increment(key, delta).await,
        }
    }
}

/// Reads numbers as a library's parser does, in one respect: a `+`, zeros in front, or `-0`.
struct Lenient(char);

#[async_trait]
impl Fault for Lenient {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let text = text(under, key).await?.unwrap_or_default();
        let is_it = match self.0 {
            '+' => text.starts_with('+'),
            '0' => text.len() > 1 && text.starts_with('0'),
            _ => text == "-0",
        };
        match text.parse::<i64>().ok().and_then(|old| old.checked_add(delta)) {
            Some(sum) if is_it => store(under, key, sum).await,
            _ => under.atomic()?.increment(key, delta).await,
        }
    }
}

struct EmptyIsZero;

#[async_trait]
impl Fault for EmptyIsZero {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        if stored(under, key).await?.is_some_and(|value| value.is_empty()) {
            return store(under, key, delta).await;
        }
        under.atomic()?.increment(key, delta).await
    }
}

/// What the counter held, where adding to it overflows.
async fn overflowing(under: &Under, key: &str, error: &Error) -> Result<Option<i64>> {
    if error.kind() != ErrorKind::Overflow {
        return Ok(None);
    }
    Ok(text(under, key).await?.and_then(|text| text.parse().ok()))
}

struct Wraps;

#[async_trait]
impl Fault for Wraps {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        match under.atomic()?.increment(key, delta).await {
            Ok(sum) => Ok(sum),
            Err(error) => match overflowing(under, key, &error).await? {
                Some(old) => store(under, key, old.wrapping_add(delta)).await,
                None => Err(error),
            },
        }
    }
}

struct Saturates;

#[async_trait]
impl Fault for Saturates {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        match under.atomic()?.increment(key, delta).await {
            Ok(sum) => Ok(sum),
            Err(error) => match overflowing(under, key, &error).await? {
                Some(old) => store(under, key, old.saturating_add(delta)).await,
                None => Err(error),
            },
        }
    }
}

struct OverflowIsNoNumber;

#[async_trait]
impl Fault for OverflowIsNoNumber {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        under.atomic()?.increment(key, delta).await.map_err(|error| match error.kind() {
            ErrorKind::Overflow => Error::new(ErrorKind::NotANumber, Effect::None, "the sum is no number of 64 bits"),
            _ => error,
        })
    }
}

struct OverflowResets;

#[async_trait]
impl Fault for OverflowResets {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let ended = under.atomic()?.increment(key, delta).await;
        if ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::Overflow) {
            under.bucket.delete(key).await?;
        }
        ended
    }
}
