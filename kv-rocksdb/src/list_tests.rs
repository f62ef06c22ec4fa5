//! Pages of which memory has a part.

use std::sync::atomic::Ordering;

use kv_core::PAGE_BYTES;

use super::*;
use crate::call::tests::{cold_bucket, name, read};

/// Keys of a page: more than memory has.
const KEYS: usize = 100;

fn request(prefix: &str) -> PageRequest<'_> {
    PageRequest { prefix, cursor: None, limit: KEYS, budget: PAGE_BYTES }
}

fn names(from: usize) -> Vec<String> {
    (from..from + KEYS).map(name).collect()
}

#[tokio::test]
async fn a_page_goes_on_where_memory_ends() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = cold_bucket(&folder).await;
    read(&bucket, 0..8).await;
    let mut listing = Listing::new(&bucket, &request(""), None);
    let step = bucket.inner.engine.run(Way::Quick, |view| listing.step(view, None));
    assert!(matches!(step, Err(Fault::Cold)), "{step:?}");
    let seen = listing.keys.len();
    assert!((1..KEYS).contains(&seen), "{seen}");
    assert_eq!(listing.range.start, next(bucket.state.id().unwrap(), &name(seen - 1)));
    assert_eq!(bucket.list_on_pool(listing).await.unwrap().keys, names(0));
}

/// What memory has of it was seen before the rest, and part of a batch may lie between them.
#[tokio::test]
async fn a_page_in_parts_does_not_count_beside_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = cold_bucket(&folder).await;
    read(&bucket, 0..8).await;
    let list = async |prefix: &str| {
        let listing = Listing::new(&bucket, &request(prefix), None);
        bucket.list_in_slices(Way::Quick, listing).await.unwrap().map(|page| page.keys)
    };
    bucket.inner.counts.begun.fetch_add(1, Ordering::SeqCst);
    assert_eq!(list("").await, None);
    // All of it by one look on the pool.
    assert_eq!(list("key005").await, Some(names(500)));
    bucket.inner.counts.ended.fetch_add(1, Ordering::SeqCst);
    let page = bucket.page(request("")).await.unwrap();
    assert_eq!((page.keys, page.cursor.is_some()), (names(0), true));
}
