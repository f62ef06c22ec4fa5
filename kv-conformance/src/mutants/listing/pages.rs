use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Page, PageRequest, Result};

use crate::mutants::{Fault, Under};

pub(super) struct DropsLastKey;

#[async_trait]
impl Fault for DropsLastKey {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        if page.cursor.is_some() {
            page.keys.pop();
        }
        Ok(page)
    }
}

pub(super) struct EndsAfterAPage;

#[async_trait]
impl Fault for EndsAfterAPage {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        Ok(Page { cursor: page.cursor.filter(|_| request.cursor.is_none()), ..page })
    }
}

/// Goes on at the last key instead of after it.
#[derive(Default)]
pub(super) struct RepeatsAKey(Mutex<HashMap<String, String>>);

#[async_trait]
impl Fault for RepeatsAKey {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let table = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = request.cursor.and_then(|cursor| table().get(cursor).cloned()).filter(|_| request.limit > 1);
        let limit = request.limit - usize::from(last.is_some());
        let mut page = under.bucket.keys(PageRequest { limit, ..request }).await?;
        page.keys.splice(0..0, last);
        if let (Some(cursor), Some(last)) = (&page.cursor, page.keys.last()) {
            table().insert(cursor.clone(), last.clone());
        }
        Ok(page)
    }
}

/// Gives the last page over and over.
pub(super) struct NeverEnds;

#[async_trait]
impl Fault for NeverEnds {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        let cursor = page.cursor.or(request.cursor.map(str::to_owned));
        Ok(Page { cursor, ..page })
    }
}

/// Gives what the engine has at hand, as a scan with a count does.
pub(super) struct LimitIsAHint;

#[async_trait]
impl Fault for LimitIsAHint {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        under.bucket.keys(PageRequest { limit: request.limit + 2, ..request }).await
    }
}

pub(super) struct NoByteLimit;

#[async_trait]
impl Fault for NoByteLimit {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        under.bucket.keys(PageRequest { budget: usize::MAX, ..request }).await
    }
}

/// Takes the key that no longer fits off the engine, and forgets it.
pub(super) struct ByteLimitLosesAKey;

#[async_trait]
impl Fault for ByteLimitLosesAKey {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        if page.cursor.is_some() && page.keys.len() < request.limit {
            page.keys.pop();
        }
        Ok(page)
    }
}

pub(super) struct ShowsInternalKey;

#[async_trait]
impl Fault for ShowsInternalKey {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        if page.cursor.is_none() && page.keys.len() < request.limit && request.cursor.is_some() {
            page.keys.push(format!("{}__meta", request.prefix));
        }
        Ok(page)
    }
}

/// An overwritten entry moves behind where a scan stands.
#[derive(Default)]
pub(super) struct OverwrittenKeysHide(Mutex<BTreeSet<String>>);

#[async_trait]
impl Fault for OverwrittenKeysHide {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if under.bucket.exists(key).await? {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        }
        under.bucket.set(key, value).await
    }

    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if request.cursor.is_none() {
            moved.clear();
        }
        page.keys.retain(|key| !moved.contains(key));
        Ok(page)
    }
}

/// Looks at deadlines when it reads values, and not when it lists.
#[derive(Default)]
pub(super) struct ListsExpired(Mutex<BTreeSet<String>>);

#[async_trait]
impl Fault for ListsExpired {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        under.cache()?.set_with_ttl(key, value, ttl).await
    }

    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        if page.cursor.is_none() {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let free = request.limit.saturating_sub(page.keys.len());
            page.keys.extend(known.into_iter().filter(|key| key.starts_with(request.prefix)).take(free));
        }
        Ok(page)
    }
}

/// Gives the prefix to a pattern match, unescaped.
pub(super) struct PrefixIsAPattern;

#[async_trait]
impl Fault for PrefixIsAPattern {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let prefix = request.prefix.split(['*', '?']).next().unwrap_or_default();
        under.bucket.keys(PageRequest { prefix, ..request }).await
    }
}

pub(super) struct PrefixExcludesItself;

#[async_trait]
impl Fault for PrefixExcludesItself {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        page.keys.retain(|key| request.prefix.is_empty() || key != request.prefix);
        Ok(page)
    }
}

/// Finds the end of the range by the next character, of which the last one has none.
pub(super) struct PrefixOfLastCharacter;

#[async_trait]
impl Fault for PrefixOfLastCharacter {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        if request.prefix.ends_with(char::MAX) {
            return Ok(Page::default());
        }
        under.bucket.keys(request).await
    }
}

pub(super) struct PrefixLowerCased;

#[async_trait]
impl Fault for PrefixLowerCased {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let prefix = request.prefix.to_lowercase();
        under.bucket.keys(PageRequest { prefix: &prefix, ..request }).await
    }
}
