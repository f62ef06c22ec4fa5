use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Effect, Error, ErrorKind, Page, PageRequest, Result};

use crate::mutants::{Fault, Under};

/// Keys of the pages that the faults read for themselves.
const PAGE: PageRequest<'static> = PageRequest { prefix: "", cursor: None, limit: 1_000, budget: usize::MAX };

/// Reads all keys from the beginning to find where the page begins.
pub(super) struct ReadsFromTheStart;

#[async_trait]
impl Fault for ReadsFromTheStart {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        let Some(first) = page.keys.first().filter(|_| request.cursor.is_some()) else { return Ok(page) };
        let mut before = under.bucket.keys(PAGE).await?;
        while let Some(cursor) = before.cursor.filter(|_| !before.keys.contains(first)) {
            before = under.bucket.keys(PageRequest { cursor: Some(&cursor), ..PAGE }).await?;
        }
        Ok(page)
    }
}

/// Scans the whole database for the keys of one bucket.
pub(super) struct ScansOtherBuckets;

#[async_trait]
impl Fault for ScansOtherBuckets {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        for name in under.provider.buckets().await? {
            let bucket = under.provider.open_bucket(&name).await?;
            let mut cursor = None::<String>;
            loop {
                cursor = bucket.keys(PageRequest { cursor: cursor.as_deref(), ..PAGE }).await?.cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        under.bucket.keys(request).await
    }
}

/// Reads whole records to learn their keys.
pub(super) struct LoadsValues;

#[async_trait]
impl Fault for LoadsValues {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        let keys: Vec<&str> = page.keys.iter().map(String::as_str).collect();
        let values = under.bucket.get_many(&keys, usize::MAX).await?;
        let records: Vec<Vec<u8>> = values.into_iter().flatten().map(|value| value.to_vec()).collect();
        drop(std::hint::black_box(records));
        Ok(page)
    }
}

/// Remembers every key that it listed, for good: given back with the store, the memory would hide what the next one
/// takes.
pub(super) struct KeepsKeys;

#[async_trait]
impl Fault for KeepsKeys {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        std::mem::forget(page.keys.clone());
        Ok(page)
    }
}

/// Refuses writes from a listing's first page to its last.
#[derive(Default)]
pub(super) struct HoldsUpWriters(AtomicBool);

impl HoldsUpWriters {
    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Locked, Effect::None, "the table is locked by a scan"));
        }
        Ok(())
    }
}

#[async_trait]
impl Fault for HoldsUpWriters {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        self.check()?;
        under.bucket.set(key, value).await
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        self.check()?;
        under.bucket.set_many(entries).await
    }

    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        self.0.store(page.cursor.is_some(), Ordering::Relaxed);
        Ok(page)
    }
}
