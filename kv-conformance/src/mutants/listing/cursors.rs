use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kv_core::local::cursor;
use kv_core::{Error, ErrorKind, Page, PageRequest, Provider, Result};

use crate::mutants::{Fault, Under};

/// How the memory provider's own cursors name it.
const BELOW: &str = "memory";

/// How the cursors of these faults name the provider.
const OWN: &str = "mutant";

fn refused() -> Error {
    Error::invalid("the cursor is not known")
}

/// Reads the page after `last`, with a cursor that the unharmed provider takes.
async fn page_after(under: &Under, request: PageRequest<'_>, last: Option<&str>) -> Result<Page> {
    let below = last.map(|last| cursor::encode(BELOW, &under.name, last));
    under.bucket.keys(PageRequest { cursor: below.as_deref(), ..request }).await
}

/// The key after which a cursor of the unharmed provider goes on.
fn last_of(under: &Under, page: &Page) -> Result<Option<String>> {
    page.cursor.as_deref().map(|text| cursor::decode(BELOW, &under.name, text)).transpose()
}

/// Counts the keys passed.
pub(super) struct Offset;

#[async_trait]
impl Fault for Offset {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let passed = match request.cursor {
            Some(text) => cursor::decode(OWN, &under.name, text)?.parse().ok().ok_or_else(refused)?,
            None => 0_usize,
        };
        let (mut skip, mut after) = (passed, None);
        while skip > 0 {
            let page = PageRequest { limit: skip.min(10_000), cursor: after.as_deref(), ..request };
            let page = under.bucket.keys(page).await?;
            skip -= page.keys.len();
            after = page.cursor;
            if after.is_none() {
                return Ok(Page::default());
            }
        }
        let page = under.bucket.keys(PageRequest { cursor: after.as_deref(), ..request }).await?;
        let next = (passed + page.keys.len()).to_string();
        let cursor = page.cursor.map(|_| cursor::encode(OWN, &under.name, &next));
        Ok(Page { cursor, ..page })
    }
}

pub(super) struct RubbishPanics;

#[async_trait]
impl Fault for RubbishPanics {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        match under.bucket.keys(request).await {
            Err(error) if error.kind() == ErrorKind::InvalidArgument => panic!("index out of bounds"),
            answered => answered,
        }
    }
}

pub(super) struct RubbishBeginsAnew;

#[async_trait]
impl Fault for RubbishBeginsAnew {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        match under.bucket.keys(request).await {
            Err(_) => under.bucket.keys(PageRequest { cursor: None, ..request }).await,
            answered => answered,
        }
    }
}

pub(super) struct RubbishEnds;

#[async_trait]
impl Fault for RubbishEnds {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        Ok(under.bucket.keys(request).await.unwrap_or_default())
    }
}

/// Takes the last key as it stands for a cursor; what is not of its form is refused, what is only damaged is not.
pub(super) struct Unchecked;

#[async_trait]
impl Fault for Unchecked {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        const FORM: &str = "after=";
        let last = match request.cursor {
            Some(text) => {
                let (bucket, last) =
                    text.strip_prefix(FORM).and_then(|rest| rest.split_once('=')).ok_or_else(refused)?;
                if bucket != under.name {
                    return Err(refused());
                }
                Some(last)
            }
            None => None,
        };
        let page = page_after(under, request, last).await?;
        let cursor = last_of(under, &page)?.map(|last| format!("{FORM}{}={last}", under.name));
        Ok(Page { cursor, ..page })
    }
}

/// Leaves the bucket out of the cursor's checksum.
pub(super) struct OfAnyBucket;

#[async_trait]
impl Fault for OfAnyBucket {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let last = request.cursor.map(|text| cursor::decode(OWN, "", text)).transpose()?;
        let page = page_after(under, request, last.as_deref()).await?;
        let cursor = last_of(under, &page)?.map(|last| cursor::encode(OWN, "", &last));
        Ok(Page { cursor, ..page })
    }
}

/// Keeps the whole storage key in the cursor, and goes on there.
pub(super) struct LeadsToItsBucket;

#[async_trait]
impl Fault for LeadsToItsBucket {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        const SEPARATOR: char = '\u{1}';
        let place = request.cursor.map(|text| cursor::decode(OWN, "", text)).transpose()?;
        let (name, last) = match place.as_deref().and_then(|place| place.split_once(SEPARATOR)) {
            Some((name, last)) => (name, Some(last)),
            None => (&*under.name, None),
        };
        let bucket = under.provider.open_bucket(name).await?;
        let there = Under { name: name.to_owned(), bucket, provider: Arc::clone(&under.provider) };
        let page = page_after(&there, request, last).await?;
        let cursor = last_of(&there, &page)?.map(|last| cursor::encode(OWN, "", &format!("{name}{SEPARATOR}{last}")));
        Ok(Page { cursor, ..page })
    }
}

/// Keeps a table of cursors given, and takes them out as they are used.
#[derive(Default)]
pub(super) struct WorksOnce(Mutex<BTreeSet<String>>);

#[async_trait]
impl Fault for WorksOnce {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        let is_new = |text: &str| self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
        match request.cursor {
            Some(text) if !is_new(text) => Err(refused()),
            _ => Ok(page),
        }
    }
}

/// Keeps cursors in the process.
#[derive(Default)]
pub(super) struct LostAtRestart(Mutex<BTreeSet<String>>);

#[async_trait]
impl Fault for LostAtRestart {
    async fn opened(&self, _: &Arc<dyn Provider>) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let page = under.bucket.keys(request).await?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if request.cursor.is_some_and(|text| !known.contains(text)) {
            return Err(refused());
        }
        known.extend(page.cursor.clone());
        Ok(page)
    }
}

/// Looks the last key up to go on from it.
pub(super) struct DiesWithItsKey;

#[async_trait]
impl Fault for DiesWithItsKey {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        if let Some(text) = request.cursor {
            let last = cursor::decode(BELOW, &under.name, text)?;
            if !under.bucket.exists(&last).await? {
                return Err(refused());
            }
        }
        under.bucket.keys(request).await
    }
}

/// Takes the prefix from the first page only.
pub(super) struct ForgetsPrefix;

#[async_trait]
impl Fault for ForgetsPrefix {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let prefix = if request.cursor.is_some() { "" } else { request.prefix };
        under.bucket.keys(PageRequest { prefix, ..request }).await
    }
}
