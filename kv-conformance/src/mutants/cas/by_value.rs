//! Faults of `compare_and_swap`.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Result, Swap};

use crate::mutants::{Fault, Under};

/// Compares in one call and writes in another.
pub(super) struct SwapsInTwoSteps;

#[async_trait]
impl Fault for SwapsInTwoSteps {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let found = under.bucket.get(key).await?;
        if found.as_deref() != expected {
            return Ok(Swap::Found(found));
        }
        tokio::task::yield_now().await;
        match new {
            Some(new) => under.bucket.set(key, new).await?,
            None => under.bucket.delete(key).await?,
        }
        Ok(Swap::Swapped)
    }
}

pub(super) struct AbsentIsEmpty;

#[async_trait]
impl Fault for AbsentIsEmpty {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        match expected {
            Some([]) => match under.atomic()?.compare_and_swap(key, None, new.clone()).await? {
                Swap::Swapped => Ok(Swap::Swapped),
                Swap::Found(_) => under.atomic()?.compare_and_swap(key, expected, new).await,
            },
            _ => under.atomic()?.compare_and_swap(key, expected, new).await,
        }
    }
}

/// Compares as many bytes as were expected.
pub(super) struct ComparesPrefix;

#[async_trait]
impl Fault for ComparesPrefix {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let found = under.bucket.get(key).await?;
        let is_prefix =
            |expected: &[u8]| !expected.is_empty() && found.as_ref().is_some_and(|f| f.starts_with(expected));
        let expected = if expected.is_some_and(is_prefix) { found.as_deref() } else { expected };
        under.atomic()?.compare_and_swap(key, expected, new).await
    }
}

/// Compares what is left of the bytes as text.
pub(super) struct ComparesText;

#[async_trait]
impl Fault for ComparesText {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let found = under.bucket.get(key).await?;
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let expected = if text(expected) == text(found.as_deref()) { found.as_deref() } else { expected };
        under.atomic()?.compare_and_swap(key, expected, new).await
    }
}

pub(super) struct NoneStoresEmpty;

#[async_trait]
impl Fault for NoneStoresEmpty {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        under.atomic()?.compare_and_swap(key, expected, Some(new.unwrap_or_default())).await
    }
}

/// Takes "nothing expected" for "anything will do".
pub(super) struct IgnoresExpected;

#[async_trait]
impl Fault for IgnoresExpected {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        match (expected, new) {
            (None, Some(new)) => under.bucket.set(key, new).await.map(|()| Swap::Swapped),
            (expected, new) => under.atomic()?.compare_and_swap(key, expected, new).await,
        }
    }
}

pub(super) struct FoundIsExpected;

#[async_trait]
impl Fault for FoundIsExpected {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        match under.atomic()?.compare_and_swap(key, expected, new).await? {
            Swap::Swapped => Ok(Swap::Swapped),
            Swap::Found(_) => Ok(Swap::Found(expected.map(|bytes| Bytes::copy_from_slice(bytes).into()))),
        }
    }
}

/// Answers with the value that was there before, whoever put it there.
pub(super) struct TellsFailure;

#[async_trait]
impl Fault for TellsFailure {
    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        let is_removal = new.is_none();
        let ended = under.atomic()?.compare_and_swap(key, expected, new).await?;
        // A removal's reply is right, so that only the other half is wrong.
        if ended == Swap::Swapped && !is_removal { Ok(Swap::Found(under.bucket.get(key).await?)) } else { Ok(ended) }
    }
}
