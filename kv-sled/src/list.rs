//! Listing by seeking: a page costs what it holds, whatever lies before it or beside it (LST-2).

use std::ops::{Bound, Range};
use std::time::Instant;

use kv_core::local::cursor;
use kv_core::{Page, PageRequest, Result};
use sled::IVec;
use tokio::task::yield_now;

use crate::engine::Trees;
use crate::error::Fault;
use crate::io::offload;
use crate::layout::{EntryKey, prefix_ranges, split_id, whole_key};
use crate::overflow::{Pin, long_key};
use crate::record::Record;
use crate::store::{Bucket, SLICE, charge};

/// How cursors name this provider (LST-2).
const PROVIDER: &str = "sled";

/// Entries that a page passes over without naming them before it ends early: expired ones, and long keys that
/// share a stem with the prefix.
const PASSED_OVER: usize = 1_024;

/// Entries between two looks at the clock.
const ENTRIES_PER_LOOK: usize = 32;

impl Bucket {
    pub(crate) async fn page(&self, request: PageRequest<'_>) -> Result<Page> {
        charge(request.limit.div_ceil(ENTRIES_PER_LOOK)).await;
        let after = match request.cursor {
            Some(text) => Some(cursor::decode(PROVIDER, &self.state.name, text)?),
            None => None,
        };
        if let Some(mark) = self.inner.gate.mark() {
            let page = self.list(Listing::new(self, &request, after.as_deref())).await?;
            if self.inner.gate.unmoved(mark) {
                return Ok(page);
            }
        }
        let _shared = self.inner.gate.share().await;
        self.list(Listing::new(self, &request, after.as_deref())).await
    }

    async fn list(&self, mut listing: Listing) -> Result<Page> {
        let inner = &*self.inner;
        if inner.io.is_inline() {
            while !inner.io.slice(SLICE, || listing.step(self))? {
                yield_now().await;
            }
            return Ok(listing.finish(&self.state.name));
        }
        let bucket = self.clone();
        offload(move || {
            while !listing.step(&bucket)? {}
            Ok(listing.finish(&bucket.state.name))
        })
        .await?
    }
}

/// A page being filled, in slices.
struct Listing {
    ranges: [Range<Vec<u8>>; 2],
    prefix: String,
    limit: usize,
    budget: usize,
    keys: Vec<String>,
    bytes: usize,
    passed: usize,
    /// The physical key that was visited last.
    last: Option<IVec>,
    /// The key behind it, where it was passed over and is not the last of the page's.
    passed_key: Option<String>,
    is_full: bool,
    /// Keeps the pieces of long keys.
    _pin: Pin,
}

impl Listing {
    fn new(bucket: &Bucket, request: &PageRequest<'_>, after: Option<&str>) -> Self {
        let empty = || [Vec::new()..Vec::new(), Vec::new()..Vec::new()];
        let pin = bucket.inner.overflows.pin();
        let id = bucket.state.id();
        Self {
            ranges: id.map_or_else(empty, |id| prefix_ranges(id, request.prefix)),
            prefix: request.prefix.to_owned(),
            limit: request.limit,
            budget: request.budget,
            keys: Vec::new(),
            bytes: 0,
            passed: 0,
            last: id.zip(after).map(|(id, after)| EntryKey::new(id, after).as_slice().into()),
            passed_key: None,
            is_full: false,
            _pin: pin,
        }
    }

    /// Lists for about a slice; tells whether the page is done.
    fn step(&mut self, bucket: &Bucket) -> Result<bool> {
        let begun = Instant::now();
        bucket.inner.engine.read("listing keys", |trees| {
            let mut visited = 0_usize;
            for range in self.ranges.clone() {
                let start = match &self.last {
                    Some(last) if **last >= *range.start => Bound::Excluded(last.clone()),
                    _ => Bound::Included(range.start.into()),
                };
                if is_empty(&start, &range.end) {
                    continue;
                }
                for entry in trees.entries.range((start, Bound::Excluded(range.end.into()))) {
                    let (physical, mut raw) = entry?;
                    match bucket.inner.torn.before(&physical) {
                        None => {}
                        Some(None) => continue,
                        Some(Some(before)) => raw = before.clone(),
                    }
                    if !self.visit(trees, physical, &Record::read(raw)?)? {
                        return Ok(true);
                    }
                    visited += 1;
                    if visited.is_multiple_of(ENTRIES_PER_LOOK) && begun.elapsed() > SLICE {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })
    }

    /// Takes an entry in; false if it has no room on this page.
    fn visit(&mut self, trees: &Trees, physical: IVec, record: &Record) -> Result<bool, Fault> {
        let key = key_of(trees, &physical, record)?;
        let is_full = self.keys.len() >= self.limit
            || (self.bytes + key.len() > self.budget && !self.keys.is_empty())
            || self.passed >= PASSED_OVER;
        if is_full {
            self.is_full = true;
            return Ok(false);
        }
        if record.is_live() && key.starts_with(&self.prefix) {
            self.bytes += key.len();
            self.keys.push(key);
            self.passed_key = None;
        } else {
            self.passed += 1;
            self.passed_key = Some(key);
        }
        self.last = Some(physical);
        Ok(true)
    }

    fn finish(self, bucket: &str) -> Page {
        let last = self.passed_key.as_ref().or(self.keys.last()).filter(|_| self.is_full);
        let cursor = last.map(|key| cursor::encode(PROVIDER, bucket, key));
        Page { keys: self.keys, cursor }
    }
}

fn is_empty(start: &Bound<IVec>, end: &[u8]) -> bool {
    match start {
        Bound::Included(start) | Bound::Excluded(start) => **start >= *end,
        Bound::Unbounded => false,
    }
}

/// The key of an entry.
pub(crate) fn key_of(trees: &Trees, physical: &[u8], record: &Record) -> Result<String, Fault> {
    let Some((_, rest)) = split_id(physical) else {
        return Err(Fault::damaged("an entry's physical key begins with no bucket's id"));
    };
    match long_key(trees, &record.head)? {
        Some(key) => Ok(key),
        None => match whole_key(rest) {
            Some(key) => Ok(key.to_owned()),
            None => Err(Fault::damaged("a key is not UTF-8")),
        },
    }
}
