use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Error, ErrorKind, Guard, IncomingValue, Page, PageRequest, Result};

use crate::mutants::{Fault, Under};

pub(super) struct ReplyBudgetIgnored;

#[async_trait]
impl Fault for ReplyBudgetIgnored {
    async fn get_many(&self, under: &Under, keys: &[&str], _: usize) -> Result<Vec<Option<IncomingValue>>> {
        under.bucket.get_many(keys, usize::MAX).await
    }
}

pub(super) struct ReplyLimitInOtherWords;

#[async_trait]
impl Fault for ReplyLimitInOtherWords {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        under.bucket.get_many(keys, budget).await.map_err(|error| match error.kind() {
            ErrorKind::LimitExceeded => Error::limit("a reply", budget as u64 + 1, budget as u64, "bytes"),
            _ => error,
        })
    }
}

/// Reads a repeated key once and copies the value behind the budget's back.
pub(super) struct ReplyCountsRepeatedOnce;

#[async_trait]
impl Fault for ReplyCountsRepeatedOnce {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let mut once = keys.to_vec();
        once.sort_unstable();
        once.dedup();
        let found = under.bucket.get_many(&once, budget).await?;
        let at = |key: &&str| once.binary_search(key).ok().and_then(|at| found.get(at).cloned()).flatten();
        Ok(keys.iter().map(at).collect())
    }
}

pub(super) struct ReplyBudgetOffByOne;

#[async_trait]
impl Fault for ReplyBudgetOffByOne {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        under.bucket.get_many(keys, budget - 1).await
    }
}

/// The engine's own limit, lower than the contract's, shows through.
pub(super) struct LargeBatchRefused;

#[async_trait]
impl Fault for LargeBatchRefused {
    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        const MOST: usize = 65_535;
        if entries.len() > MOST {
            return Err(Error::limit("a batch", entries.len() as u64, MOST as u64, "entries"));
        }
        under.bucket.set_many(entries).await
    }
}

/// Takes the number of keys for a hint, as `SCAN COUNT` is one.
pub(super) struct PageLongerThanAsked;

#[async_trait]
impl Fault for PageLongerThanAsked {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        under.bucket.keys(PageRequest { limit: request.limit + 2, ..request }).await
    }
}

/// Handles that were used up or dropped stay in a table of the provider's.
#[derive(Default)]
pub(super) struct CasTableFillsUp(AtomicUsize);

#[async_trait]
impl Fault for CasTableFillsUp {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        const PLACES: usize = 2_000;
        let taken = self.0.fetch_add(1, Ordering::Relaxed);
        if taken >= PLACES {
            return Err(Error::limit("the table of handles", taken as u64 + 1, PLACES as u64, "places"));
        }
        under.atomic()?.cas(key).await
    }
}
