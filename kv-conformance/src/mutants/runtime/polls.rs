use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use kv_core::{Events, IncomingValue, Page, PageRequest, Result};
use tokio::task::unconstrained;

use crate::mutants::{Fault, Under};

pub(super) struct ReadsUseNoBudget;

#[async_trait]
impl Fault for ReadsUseNoBudget {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        unconstrained(under.bucket.get(key)).await
    }
}

pub(super) struct ListingUsesNoBudget;

#[async_trait]
impl Fault for ListingUsesNoBudget {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        unconstrained(under.bucket.keys(request)).await
    }
}

pub(super) struct WritesUseNoBudget;

#[async_trait]
impl Fault for WritesUseNoBudget {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        unconstrained(under.bucket.set(key, value)).await
    }
}

/// Gathers events, so that there is always one at hand.
pub(super) struct WatchReadsAhead;

#[async_trait]
impl Fault for WatchReadsAhead {
    async fn watch(&self, under: &Under, prefix: &str) -> Result<Events> {
        Ok(Events::new(under.watch()?.watch(prefix).await?.ready_chunks(1_024).flat_map(stream::iter)))
    }
}

/// Waits for the disk on the thread that polls, now and then.
#[derive(Default)]
pub(super) struct SlowDiskInline(AtomicU64);

#[async_trait]
impl Fault for SlowDiskInline {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if self.0.fetch_add(1, Ordering::Relaxed) % 20 == 19 {
            thread::sleep(Duration::from_millis(2));
        }
        under.bucket.set(key, value).await
    }
}

/// Takes as long as the value is large, on the thread that polls.
pub(super) struct LargeValuesInline;

#[async_trait]
impl Fault for LargeValuesInline {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let mib = u64::try_from(value.len() >> 20).unwrap_or_default();
        thread::sleep(Duration::from_millis(mib));
        under.bucket.set(key, value).await
    }
}
