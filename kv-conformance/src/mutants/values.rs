//! Mutants that the family `values` must catch.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Error, Fill, IncomingValue, Provider, Result, Swap};

use super::{Fault, Mutant, Under, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Values, "value_cut_at_nul", Valued(cut_at_nul), "RW-2"),
    mutant!(Values, "value_trailing_nuls_stripped", Valued(strip_nuls), "RW-2"),
    mutant!(Values, "value_made_utf8", Valued(|value| String::from_utf8_lossy(&value).into_owned().into()), "RW-2"),
    mutant!(Values, "value_line_ends_translated", Valued(translate), "RW-2"),
    mutant!(Values, "value_trimmed", Valued(|value| Bytes::copy_from_slice(value.trim_ascii())), "RW-2"),
    mutant!(Values, "value_number_canonical", Valued(number), "RW-2"),
    mutant!(Values, "value_cut_over_64_kib", Valued(|value| cut(value, 64 << 10)), "RW-2"),
    mutant!(Values, "value_length_in_16_bits", Valued(|value| wrap(value, 16)), "RW-2"),
    mutant!(Values, "value_length_in_24_bits", Valued(|value| wrap(value, 24)), "LIM-1"),
    mutant!(Values, "value_cut_over_32_mib", Valued(|value| cut(value, 32 << 20)), "LIM-1"),
    mutant!(Values, "large_value_refused", LargeValueRefused, "LIM-1"),
    mutant!(Values, "nil_reply_is_absence", NilIsAbsence, "RW-1"),
    mutant!(Values, "swap_compares_as_text", SwapComparesText, "RW-2"),
    mutant!(Values, "batch_cuts_values", BatchCutsValues, "RW-2"),
    mutant!(Values, "replies_of_two_callers_exchanged", RepliesExchanged::default(), "RW-2"),
    mutant!(Values, "large_values_lost_on_reopening", LargeLostOnReopening::default(), "DUR-1"),
    mutant!(Values, "a_value_follows_its_source", FollowsItsSource::default(), "RW-2"),
];

/// Every value passes through this on its way to the store.
struct Valued(fn(Bytes) -> Bytes);

fn cut_at_nul(value: Bytes) -> Bytes {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    cut(value, end)
}

fn strip_nuls(value: Bytes) -> Bytes {
    let end = value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    cut(value, end)
}

fn translate(value: Bytes) -> Bytes {
    match std::str::from_utf8(&value) {
        Ok(text) => text.replace("\r\n", "\n").into(),
        Err(_) => value,
    }
}

fn number(value: Bytes) -> Bytes {
    match std::str::from_utf8(&value).map(str::parse::<i64>) {
        Ok(Ok(number)) => number.to_string().into(),
        _ => value,
    }
}

fn cut(value: Bytes, most: usize) -> Bytes {
    value.slice(..value.len().min(most))
}

fn wrap(value: Bytes, bits: u32) -> Bytes {
    let len = value.len() & ((1 << bits) - 1);
    value.slice(..len)
}

#[async_trait]
impl Fault for Valued {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.set(key, (self.0)(value)).await
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let entries: Vec<(&str, Bytes)> = entries.iter().map(|(key, value)| (*key, (self.0)(value.clone()))).collect();
        under.bucket.set_many(&entries).await
    }

    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        under.atomic()?.compare_and_swap(key, expected, new.map(self.0)).await
    }

    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        under.cache()?.set_with_ttl(key, (self.0)(value), ttl).await
    }

    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        under.cache()?.fill(key, (self.0)(value), ttl).await
    }
}

/// The engine's own limit, lower than the contract's, shows through.
struct LargeValueRefused;

#[async_trait]
impl Fault for LargeValueRefused {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        // One byte short: a protocol that counts its own header into the limit.
        const MOST: usize = (64 << 20) - 1;
        if value.len() > MOST {
            return Err(Error::limit("a value", value.len() as u64, MOST as u64, "bytes"));
        }
        under.bucket.set(key, value).await
    }
}

struct NilIsAbsence;

#[async_trait]
impl Fault for NilIsAbsence {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        Ok(under.bucket.get(key).await?.filter(|value| *value != b"$-1\r\n"))
    }
}

/// Compares what is left of the bytes as text, so that invalid bytes are all alike.
struct SwapComparesText;

#[async_trait]
impl Fault for SwapComparesText {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let expected = expected.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        under.atomic()?.compare_and_swap(key, expected.as_deref().map(str::as_bytes), new).await
    }
}

struct BatchCutsValues;

#[async_trait]
impl Fault for BatchCutsValues {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let entries: Vec<(&str, Bytes)> =
            entries.iter().map(|(key, value)| (*key, cut(value.clone(), 4_096))).collect();
        under.bucket.set_many(&entries).await
    }
}

/// One buffer for the replies of all callers.
#[derive(Default)]
struct RepliesExchanged(Mutex<Option<IncomingValue>>);

#[async_trait]
impl Fault for RepliesExchanged {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let reply = under.bucket.get(key).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&reply);
        tokio::task::yield_now().await;
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The files that hold large values are not synced, and gone at the next opening.
#[derive(Default)]
struct LargeLostOnReopening(Mutex<HashSet<(String, String)>>);

#[async_trait]
impl Fault for LargeLostOnReopening {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        let lost = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (bucket, key) in lost {
            below.open_bucket(&bucket).await?.delete(&key).await?;
        }
        Ok(())
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if value.len() > 1 << 20 {
            let place = (under.name.clone(), key.to_owned());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place);
        }
        under.bucket.set(key, value).await
    }
}

/// A value written again is stored as a reference to the key that it was read from.
#[derive(Default)]
struct FollowsItsSource(Mutex<Vec<(Bytes, String)>>);

#[async_trait]
impl Fault for FollowsItsSource {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        // Large values are stored once: the same bytes under a second key point to the first.
        if value.len() > 60_000 {
            let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !stored.iter().any(|(_, at)| at == key) {
                stored.push((value.clone(), key.to_owned()));
            }
        }
        under.bucket.set(key, value).await
    }

    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let found = under.bucket.get(key).await?;
        let source = {
            let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let same =
                |(bytes, at): &&(Bytes, String)| at != key && found.as_ref().is_some_and(|found| **found == **bytes);
            stored.iter().find(same).map(|(_, at)| at.clone())
        };
        match source {
            Some(source) => under.bucket.get(&source).await,
            None => Ok(found),
        }
    }
}
