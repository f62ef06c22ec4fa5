//! Listing by seeking: a page costs what it holds, whatever lies before it or beside it (LST-2).

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use kv_core::local::cursor;
use kv_core::{Page, PageRequest, Result};
use rocksdb::DBRawIterator;
use tokio::task::yield_now;

use crate::call::{SLICE, charge};
use crate::engine::{View, Way};
use crate::error::Fault;
use crate::io::offload;
use crate::layout::{PhysicalKey, prefix_range, split_entry};
use crate::record::Record;
use crate::store::Bucket;

/// How cursors name this provider (LST-2).
const PROVIDER: &str = "rocksdb";

/// What a listing was doing when it failed.
const DOING: &str = "listing keys";

/// Expired entries that a page passes over before it ends early.
const PASSED_OVER: usize = 1_024;

/// Entries between two looks at the clock.
const ENTRIES_PER_LOOK: usize = 32;

/// Removed entries that are passed over in one step where others wait; where there are more of them the pool does it.
const SKIPPED: u64 = 1_000;

impl Bucket {
    pub(crate) async fn page(&self, request: PageRequest<'_>) -> Result<Page> {
        charge(request.limit.div_ceil(ENTRIES_PER_LOOK)).await;
        let after = match request.cursor {
            Some(text) => Some(cursor::decode(PROVIDER, &self.state.name, text)?),
            None => None,
        };
        let listing = || Listing::new(self, &request, after.as_deref());
        if let Some(way) = self.inner.config.io.inline()
            && let Some(page) = self.list_in_slices(way, listing()).await?
        {
            return Ok(page);
        }
        loop {
            let listing = self.list_on_pool(listing()).await?;
            if listing.is_of(self) {
                return Ok(listing.finish(&self.state.name));
            }
        }
    }

    /// Lists on the caller's task, and on the pool from where memory can't answer; `None` where that may have seen part of a
    /// batch.
    async fn list_in_slices(&self, way: Way, mut listing: Listing) -> Result<Option<Page>> {
        let counts = &self.inner.counts;
        // Each part sees its own state of the store.
        let before = counts.batches();
        let mut is_parted = false;
        loop {
            match self.inner.engine.run(way, |view| listing.step(view, Some(Instant::now()))) {
                Ok(true) => break,
                Ok(false) if before.is_some() => {
                    is_parted = true;
                    yield_now().await;
                }
                Ok(false) => return Ok(None),
                Err(Fault::Cold) => {
                    counts.misses.note();
                    is_parted |= listing.last().is_some();
                    if is_parted && before.is_none() {
                        return Ok(None);
                    }
                    listing = self.list_on_pool(listing).await?;
                    break;
                }
                Err(fault) => return Err(fault.into_error(DOING)),
            }
        }
        let is_whole = listing.is_of(self) && (!is_parted || counts.batches() == before);
        Ok(is_whole.then(|| listing.finish(&self.state.name)))
    }

    /// Lists the rest of a page.
    async fn list_on_pool(&self, mut listing: Listing) -> Result<Listing> {
        let inner = Arc::clone(&self.inner);
        offload(move || {
            inner.engine.wait(DOING, |view| listing.step(view, None))?;
            Ok(listing)
        })
        .await?
    }
}

/// An iterator over a range.
pub(crate) fn iterate<'a>(view: View<'a>, range: Range<impl Into<Vec<u8>>>) -> DBRawIterator<'a> {
    let mut options = view.own_options();
    if view.way != Way::Shared {
        options.set_max_skippable_internal_keys(SKIPPED);
    }
    options.set_iterate_range(range.start.into()..range.end.into());
    let mut iterator = view.db.db.raw_iterator_opt(options);
    iterator.seek_to_first();
    iterator
}

/// A page being filled, in slices.
struct Listing {
    id: Option<u64>,
    range: Range<Vec<u8>>,
    limit: usize,
    budget: usize,
    keys: Vec<String>,
    bytes: usize,
    passed: usize,
    /// The key that was passed over last, where that is not the last of the page's.
    passed_key: Option<String>,
    is_full: bool,
}

impl Listing {
    fn new(bucket: &Bucket, request: &PageRequest<'_>, after: Option<&str>) -> Self {
        let id = bucket.state.id();
        let mut range = id.map_or(Vec::new()..Vec::new(), |id| prefix_range(id, request.prefix));
        if let Some((id, after)) = id.zip(after) {
            range.start = range.start.max(next(id, after));
        }
        Self {
            id,
            range,
            limit: request.limit,
            budget: request.budget,
            keys: Vec::new(),
            bytes: 0,
            passed: 0,
            passed_key: None,
            is_full: false,
        }
    }

    /// Whether the bucket was not dropped meanwhile: some of its rows may have been gone already.
    fn is_of(&self, bucket: &Bucket) -> bool {
        self.id == bucket.state.id()
    }

    /// Lists until the page is done, or for about a slice; tells whether it is done.
    fn step(&mut self, view: View<'_>, begun: Option<Instant>) -> Result<bool, Fault> {
        if self.range.is_empty() {
            return Ok(true);
        }
        let mut iterator = iterate(view, self.range.clone());
        let mut visited = 0_usize;
        while let Some((physical, raw)) = iterator.item() {
            let Some((id, key)) = split_entry(physical) else {
                return Err(Fault::damaged("an entry's physical key has a form that this version does not write"));
            };
            if !self.visit(key, &Record::read(raw)?) {
                return Ok(true);
            }
            visited += 1;
            if visited.is_multiple_of(ENTRIES_PER_LOOK) && begun.is_some_and(|begun| begun.elapsed() > SLICE) {
                self.range.start = next(id, key);
                return Ok(false);
            }
            iterator.next();
        }
        let ended = iterator.status().map_err(Fault::read);
        if ended.is_err() {
            // Whoever goes on begins behind what is listed.
            self.begin_behind_last();
        }
        ended.map(|()| true)
    }

    /// Takes an entry in; false if it has no room on this page.
    fn visit(&mut self, key: &str, record: &Record<'_>) -> bool {
        let is_full = self.keys.len() >= self.limit
            || (self.bytes + key.len() > self.budget && !self.keys.is_empty())
            || self.passed >= PASSED_OVER;
        if is_full {
            self.is_full = true;
            return false;
        }
        if record.is_live() {
            self.bytes += key.len();
            self.keys.push(key.to_owned());
            self.passed_key = None;
        } else {
            self.passed += 1;
            self.passed_key = Some(key.to_owned());
        }
        true
    }

    /// Has the next step begin behind what was visited.
    fn begin_behind_last(&mut self) {
        if let Some((id, last)) = self.id.zip(self.last()) {
            self.range.start = next(id, last);
        }
    }

    /// The key that was visited last.
    fn last(&self) -> Option<&str> {
        self.passed_key.as_ref().or(self.keys.last()).map(String::as_str)
    }

    fn finish(self, bucket: &str) -> Page {
        let last = self.last().filter(|_| self.is_full);
        let cursor = last.map(|key| cursor::encode(PROVIDER, bucket, key));
        Page { keys: self.keys, cursor }
    }
}

/// The least physical key above that of `key`.
fn next(id: u64, key: &str) -> Vec<u8> {
    [PhysicalKey::entry(id, key).as_ref(), &[0]].concat()
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
