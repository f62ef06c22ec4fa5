use std::time::{Duration, Instant};

use kv_core::Bucket;

use super::super::runtime::meter::resident_kib;
use super::{first_page, list, numbered, store, texts};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// How much longer the dearer page may take: far beyond noise, far below what a cost that grows comes to.
const TIMES: u32 = 8;

/// Slack for machines whose least time is dominated by something else.
const SLACK: Duration = Duration::from_micros(300);

/// How often a page is read; the least time counts, since what other work adds is never negative.
const TRIES: usize = 15;

/// Keys of a page whose time is taken.
const PAGE: usize = 20;

/// The least time that the page takes.
async fn least_time(bucket: &Bucket, cursor: Option<&str>) -> Result<Duration, Stop> {
    let mut least = Duration::MAX;
    for _ in 0..TRIES {
        let started = Instant::now();
        let page = bucket.keys("", cursor, PAGE).await?;
        least = least.min(started.elapsed());
        ensure_eq!(page.keys.len(), PAGE, "keys of a page whose time is taken");
    }
    Ok(least)
}

/// LST-2: a page deep in a listing costs what the first one costs.
pub(super) async fn depth_costs_nothing(cx: &Context) -> Outcome {
    const KEYS: usize = 30_000;
    let bucket = cx.bucket("b").await?;
    store(&bucket, &numbered("k", KEYS)).await?;
    let (mut deep, mut seen) = (None, 0);
    // Three quarters of the way, in pages as large as they may be.
    while seen < KEYS * 3 / 4 {
        let page = bucket.keys("", deep.as_deref(), 2_500).await?;
        seen += page.keys.len();
        deep = page.cursor;
        ensure!(deep.is_some(), "expected: more pages after {seen} of {KEYS} keys; found: the end");
    }
    let first = least_time(&bucket, None).await?;
    let deep = least_time(&bucket, deep.as_deref()).await?;
    ensure!(
        deep <= first * TIMES + SLACK,
        "expected: a page after {seen} keys costs what the first costs ({first:?}); found: {deep:?}"
    );
    Ok(())
}

/// LST-2: a page costs the same when other buckets, named before and after it, have grown large.
pub(super) async fn neighbours_cost_nothing(cx: &Context) -> Outcome {
    const LARGE: usize = 15_000;
    let small = cx.bucket("m").await?;
    let keys = numbered("k", 100);
    store(&small, &keys).await?;
    let (_, cursor) = first_page(&small, "", PAGE).await?;
    let alone = (least_time(&small, None).await?, least_time(&small, Some(&cursor)).await?);
    for name in ["a", "z"] {
        store(&cx.bucket(name).await?, &numbered("k", LARGE)).await?;
    }
    let beside = (least_time(&small, None).await?, least_time(&small, Some(&cursor)).await?);
    ensure!(
        beside.0 <= alone.0 * TIMES + SLACK && beside.1 <= alone.1 * TIMES + SLACK,
        "expected: a page costs what it cost before the neighbours grew ({alone:?}); found: {beside:?}"
    );
    list(&small, "", PAGE).await?.ensure_exactly(texts(&keys), "the small bucket beside large ones")
}

/// LST-3: a page of keys of large values costs what one of small values costs: the values are not loaded.
pub(super) async fn values_are_not_loaded(cx: &Context) -> Outcome {
    const VALUE_BYTES: usize = 1 << 20;
    let (small, large) = (cx.bucket("s").await?, cx.bucket("l").await?);
    let keys = numbered("k", PAGE * 2);
    store(&small, &keys).await?;
    for (n, key) in keys.iter().enumerate() {
        large.set(key, vec![u8::try_from(n).unwrap_or_default() | 1; VALUE_BYTES]).await?;
    }
    let (_, cursor) = first_page(&large, "", PAGE).await?;
    let of_small = least_time(&small, None).await?;
    for cursor in [None, Some(&*cursor)] {
        let of_large = least_time(&large, cursor).await?;
        ensure!(
            of_large <= of_small * TIMES + SLACK,
            "expected: a page of keys of 1 MiB values costs what one of small values costs ({of_small:?}); found: {of_large:?}"
        );
    }
    list(&large, "", PAGE).await?.ensure_exactly(texts(&keys), "keys of values of 1 MiB")
}

/// LST-1, LST-3: 100,000 keys come page by page, each exactly once, in memory that does not grow with them.
pub(super) async fn hundred_thousand_keys_in_flat_memory(cx: &Context) -> Outcome {
    const KEYS: usize = 100_000;
    // All keys at once take more than twice as much: 100 bytes each beside what holds them.
    const MOST_KIB: usize = 5 << 10;
    // What is kept may fit into memory that earlier cases have left free, so that one scan need not show it.
    const SCANS: u8 = 8;
    let bucket = cx.bucket("b").await?;
    let key = |n: usize| format!("{n:0100}");
    for chunk in 0..10 {
        let keys = (chunk * KEYS / 10..(chunk + 1) * KEYS / 10).map(key);
        bucket.set_many(keys.map(|key| (key, "v"))).await?;
    }
    // The first listing warms caches.
    let mut seen = vec![0_u8; KEYS];
    scan(&bucket, &mut seen).await?;
    ensure_eq!(seen.iter().position(|times| *times != 1), None, "the first key not listed exactly once");
    let before = resident_kib()?;
    for _ in 0..SCANS {
        let most = scan(&bucket, &mut seen).await?;
        ensure!(
            most <= before + MOST_KIB,
            "expected: listing 100,000 keys takes at most {MOST_KIB} KiB more than the {before} KiB before; found: {most} KiB"
        );
    }
    let unlike = seen.iter().position(|times| *times != 1 + SCANS);
    ensure_eq!(unlike, None, "the first key not listed exactly once in each scan");
    Ok(())
}

/// Counts each key in; gives the most memory seen on the way.
async fn scan(bucket: &Bucket, seen: &mut [u8]) -> Result<usize, Stop> {
    let (mut most, mut cursor, mut pages) = (0, None::<String>, 0_usize);
    loop {
        let page = bucket.keys("", cursor.as_deref(), None).await?;
        for key in &page.keys {
            let times = key.parse().ok().and_then(|n: usize| seen.get_mut(n));
            let Some(times) = times else {
                return Err(Stop::failed(format_args!("expected: keys that were written; found: {key:?}")));
            };
            *times = times.saturating_add(1);
        }
        pages += 1;
        ensure!(pages <= seen.len(), "expected: the listing ends; found: {pages} pages");
        if pages % 10 == 0 {
            most = most.max(resident_kib()?);
        }
        drop(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(most);
        }
    }
}
