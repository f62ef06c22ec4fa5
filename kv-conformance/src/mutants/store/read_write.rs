use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Error, IncomingValue, Page, PageRequest, Result};

use crate::mutants::{Fault, Under};

pub(super) struct AbsentIsEmpty;

#[async_trait]
impl Fault for AbsentIsEmpty {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        Ok(Some(under.bucket.get(key).await?.unwrap_or_default()))
    }
}

pub(super) struct EmptyIsAbsent;

#[async_trait]
impl Fault for EmptyIsAbsent {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        Ok(under.bucket.get(key).await?.filter(|value| !value.is_empty()))
    }
}

pub(super) struct EmptySetDeletes;

#[async_trait]
impl Fault for EmptySetDeletes {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if value.is_empty() { under.bucket.delete(key).await } else { under.bucket.set(key, value).await }
    }
}

pub(super) struct EmptyNotListed;

#[async_trait]
impl Fault for EmptyNotListed {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        let keys: Vec<&str> = page.keys.iter().map(String::as_str).collect();
        let values = under.bucket.get_many(&keys, usize::MAX).await?;
        let mut has_value = values.into_iter().map(|value| value.is_some_and(|value| !value.is_empty()));
        page.keys.retain(|_| has_value.next().unwrap_or_default());
        Ok(page)
    }
}

pub(super) struct NoOverwrite;

#[async_trait]
impl Fault for NoOverwrite {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if under.bucket.exists(key).await? { Ok(()) } else { under.bucket.set(key, value).await }
    }
}

/// Writes over the beginning of what is there.
pub(super) struct OverwriteKeepsTail;

#[async_trait]
impl Fault for OverwriteKeepsTail {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let old = under.bucket.get(key).await?.unwrap_or_default();
        let tail = old.get(value.len()..).unwrap_or_default();
        under.bucket.set(key, [&value, tail].concat().into()).await
    }
}

pub(super) struct SetInHalves;

#[async_trait]
impl Fault for SetInHalves {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.set(key, value.slice(..value.len() / 2)).await?;
        tokio::task::yield_now().await;
        under.bucket.set(key, value).await
    }
}

pub(super) struct SetDeletesFirst;

#[async_trait]
impl Fault for SetDeletesFirst {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.delete(key).await?;
        tokio::task::yield_now().await;
        under.bucket.set(key, value).await
    }
}

pub(super) struct DeleteAbsentFails;

#[async_trait]
impl Fault for DeleteAbsentFails {
    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        if !under.bucket.exists(key).await? {
            return Err(Error::invalid("there is no such key"));
        }
        under.bucket.delete(key).await
    }
}

pub(super) struct DeleteByPrefix;

#[async_trait]
impl Fault for DeleteByPrefix {
    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        let page =
            under.bucket.keys(PageRequest { prefix: key, cursor: None, limit: 1_000, budget: usize::MAX }).await?;
        let keys: Vec<&str> = page.keys.iter().map(String::as_str).collect();
        under.bucket.delete_many(&keys).await
    }
}

/// A marker left by a deletion outlives the next write.
#[derive(Default)]
pub(super) struct DeletedForGood(Mutex<HashSet<(String, String)>>);

#[async_trait]
impl Fault for DeletedForGood {
    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((under.name.clone(), key.to_owned()));
        under.bucket.delete(key).await
    }

    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let place = (under.name.clone(), key.to_owned());
        let is_gone = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&place);
        if is_gone { Ok(None) } else { under.bucket.get(key).await }
    }
}

/// Answers from a filter that deletions do not reach.
#[derive(Default)]
pub(super) struct ExistsAfterDelete(Mutex<HashSet<(String, String)>>);

#[async_trait]
impl Fault for ExistsAfterDelete {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((under.name.clone(), key.to_owned()));
        under.bucket.set(key, value).await
    }

    async fn exists(&self, under: &Under, key: &str) -> Result<bool> {
        let place = (under.name.clone(), key.to_owned());
        let was_set = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&place);
        Ok(was_set || under.bucket.exists(key).await?)
    }
}

/// `STRLEN` above 0 taken for existence.
pub(super) struct ExistsNotForEmpty;

#[async_trait]
impl Fault for ExistsNotForEmpty {
    async fn exists(&self, under: &Under, key: &str) -> Result<bool> {
        Ok(under.bucket.get(key).await?.is_some_and(|value| !value.is_empty()))
    }
}
