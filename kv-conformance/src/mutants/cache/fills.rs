//! Faults of filling a vacancy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Fill, IncomingValue, Result};

use crate::mutants::{Fault, Under};

pub(super) struct Overwrites;

#[async_trait]
impl Fault for Overwrites {
    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        match ttl {
            Some(ttl) => under.cache()?.set_with_ttl(key, value, ttl).await?,
            None => under.bucket.set(key, value).await?,
        }
        Ok(Fill::Stored)
    }
}

pub(super) struct SaysStored;

#[async_trait]
impl Fault for SaysStored {
    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        under.cache()?.fill(key, value, ttl).await.map(|_| Fill::Stored)
    }
}

pub(super) struct FindsOwn;

#[async_trait]
impl Fault for FindsOwn {
    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        Ok(match under.cache()?.fill(key, value.clone(), ttl).await? {
            Fill::Stored => Fill::Stored,
            Fill::Found(_) => Fill::Found(value.into()),
        })
    }
}

/// Looks in one call and writes in another.
pub(super) struct FillsInTwoSteps;

#[async_trait]
impl Fault for FillsInTwoSteps {
    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        if let Some(found) = under.bucket.get(key).await? {
            return Ok(Fill::Found(found));
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Overwrites.fill(under, key, value, ttl).await
    }
}

pub(super) struct IgnoresTtl;

#[async_trait]
impl Fault for IgnoresTtl {
    async fn fill(&self, under: &Under, key: &str, value: Bytes, _: Option<Duration>) -> Result<Fill> {
        under.cache()?.fill(key, value, None).await
    }
}

/// The first reads after a fill go to a copy that lags behind.
#[derive(Default)]
pub(super) struct MissesTheFill(AtomicU64);

#[async_trait]
impl Fault for MissesTheFill {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let lags = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if lags { Ok(None) } else { under.bucket.get(key).await }
    }

    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        let ended = under.cache()?.fill(key, value, ttl).await;
        self.0.store(150, Ordering::Relaxed);
        ended
    }
}
