//! Cases of the family `listing`: pages, scans beside writers, cursors, and what a page costs.

mod cost;
mod cursors;
mod pages;
mod scans;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use kv_core::{Bucket, Page};

use crate::case::case;
use crate::check::ensure;
use crate::{Case, Needs, Outcome, Stop};

use cost::{depth_costs_nothing, hundred_thousand_keys_in_flat_memory, neighbours_cost_nothing, values_are_not_loaded};
use cursors::{
    cursor_after_restart, cursor_damaged, cursor_of_another_bucket, cursor_of_another_prefix, cursor_of_rubbish,
    cursor_outlives_its_keys, cursor_used_twice,
};
use pages::{
    default_page, nothing_to_list, page_ends_at_its_bytes, page_limits, page_sizes_by_turns, pages_of_every_size,
    prefixes_of_every_kind, random_keys_and_prefixes,
};
use scans::{scan_beside_deletes, scan_beside_expiry, scan_beside_inserts, scan_beside_overwrites, scan_beside_tasks};

pub(super) const CASES: &[Case] = &[
    case!(Listing, nothing_to_list, ["LST-1", "BKT-3"]),
    case!(Listing, pages_of_every_size, ["LST-1"]),
    case!(Listing, page_sizes_by_turns, ["LST-1", "LST-2"]),
    case!(Listing, default_page, ["LST-1"]),
    case!(Listing, page_limits, ["LST-1", "LIM-1", "LIM-2"]),
    case!(Listing, page_ends_at_its_bytes, ["LST-1"]),
    case!(Listing, prefixes_of_every_kind, ["LST-1", "NAM-1"]),
    case!(Listing, random_keys_and_prefixes, ["LST-1", "NAM-1"]),
    case!(Listing, scan_beside_inserts, ["LST-1"]),
    case!(Listing, scan_beside_overwrites, ["LST-1", "LST-3"]),
    case!(Listing, scan_beside_deletes, ["LST-1"]),
    case!(Listing, scan_beside_expiry, ["TTL-2", "LST-1"]).needs(Needs::Cache),
    case!(Listing, scan_beside_tasks, ["LST-1", "LST-3"]),
    case!(Listing, cursor_of_rubbish, ["LST-2"]),
    case!(Listing, cursor_damaged, ["LST-2"]),
    case!(Listing, cursor_of_another_bucket, ["LST-2", "NAM-3"]),
    case!(Listing, cursor_of_another_prefix, ["LST-2", "LST-1"]),
    case!(Listing, cursor_used_twice, ["LST-2", "LST-1"]),
    case!(Listing, cursor_after_restart, ["LST-2"]),
    case!(Listing, cursor_outlives_its_keys, ["LST-2", "LST-1"]),
    case!(Listing, depth_costs_nothing, ["LST-2"]),
    case!(Listing, neighbours_cost_nothing, ["LST-2", "NAM-3"]),
    case!(Listing, values_are_not_loaded, ["LST-3"]),
    case!(Listing, hundred_thousand_keys_in_flat_memory, ["LST-1", "LST-3"]).exclusive(),
];

/// What a listing gave: how often it gave each key, and in how many pages.
#[derive(Default)]
struct Listed {
    times: BTreeMap<String, usize>,
    pages: usize,
}

impl Listed {
    /// Takes a page in. A listing of more pages than could hold anything new does not end.
    #[track_caller]
    fn take(&mut self, page: &Page, limit: usize) -> Outcome {
        /// Pages that one listing of these cases may have: each holds keys, or passes over deleted ones.
        const MOST_PAGES: usize = 20_000;
        self.pages += 1;
        ensure!(
            page.keys.len() <= limit,
            "expected: a page of at most {limit} keys; found: page {} has {}",
            self.pages,
            page.keys.len()
        );
        ensure!(self.pages < MOST_PAGES, "expected: the listing ends; found: {MOST_PAGES} pages and one more");
        for key in &page.keys {
            *self.times.entry(key.clone()).or_default() += 1;
        }
        Ok(())
    }

    /// Fails unless each of these keys was given once and no other at all.
    #[track_caller]
    fn ensure_exactly<'a>(&self, expected: impl IntoIterator<Item = &'a str>, what: &str) -> Outcome {
        let expected: BTreeSet<&str> = expected.into_iter().collect();
        self.ensure_all(expected.iter().copied(), what)?;
        for (key, times) in &self.times {
            ensure!(expected.contains(&**key), "{what}: expected: no such key; found: {key:?}");
            ensure!(*times == 1, "{what}: expected: {key:?} once; found: {times} times");
        }
        Ok(())
    }

    /// Fails unless each of these keys was given.
    #[track_caller]
    fn ensure_all<'a>(&self, expected: impl IntoIterator<Item = &'a str>, what: &str) -> Outcome {
        for key in expected {
            ensure!(
                self.times.contains_key(key),
                "{what}: expected: {key:?} is listed; found: it is missing among {} keys",
                self.times.len()
            );
        }
        Ok(())
    }
}

/// Lists to the end, from `cursor` on.
async fn list_from(bucket: &Bucket, prefix: &str, cursor: Option<String>, limit: usize) -> Result<Listed, Stop> {
    let mut listed = Listed::default();
    let mut cursor = cursor;
    loop {
        let page = bucket.keys(prefix, cursor.as_deref(), limit).await?;
        listed.take(&page, limit)?;
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(listed);
        }
    }
}

/// Lists from the beginning to the end.
async fn list(bucket: &Bucket, prefix: &str, limit: usize) -> Result<Listed, Stop> {
    list_from(bucket, prefix, None, limit).await
}

/// The first page, which must leave something to go on to.
async fn first_page(bucket: &Bucket, prefix: &str, limit: usize) -> Result<(Listed, String), Stop> {
    let page = bucket.keys(prefix, None, limit).await?;
    let mut listed = Listed::default();
    listed.take(&page, limit)?;
    match page.cursor {
        Some(cursor) => Ok((listed, cursor)),
        None => Err(Stop::failed(format_args!(
            "expected: a cursor after the first {limit} keys; found: the end after {}",
            page.keys.len()
        ))),
    }
}

/// Stores keys, each as its own value, in a few batches.
async fn store<K: AsRef<str>>(bucket: &Bucket, keys: &[K]) -> Outcome {
    const AT_ONCE: usize = 10_000;
    for keys in keys.chunks(AT_ONCE) {
        bucket.set_many(keys.iter().map(|key| (key.as_ref(), key.as_ref()))).await?;
    }
    Ok(())
}

/// `{prefix}00000`, `{prefix}00001` and so on.
fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n:05}")).collect()
}

/// The keys as text slices.
fn texts(keys: &[String]) -> impl Iterator<Item = &str> {
    keys.iter().map(String::as_str)
}
