use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kv_core::Bucket;
use rand::RngExt;

use super::{Listed, list, numbered, store, texts};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Keys that are there throughout each scan.
const STABLE: usize = 200;

/// Keys of a page of these scans.
const PAGE: usize = 6;

/// LST-1: entries that come while a scan is under way, before, behind and at where it stands, hide none that was
/// there, and the scan ends.
pub(super) async fn scan_beside_inserts(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let stable = numbered("m", STABLE);
    store(&bucket, &stable).await?;
    let mut listed = Listed::default();
    let mut cursor: Option<String> = None;
    let mut written = Vec::new();
    for round in 0.. {
        let page = bucket.keys("", cursor.as_deref(), PAGE).await?;
        listed.take(&page, PAGE)?;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        // Bounded, so that the scan has an end to reach.
        if round < 40 {
            let last = page.keys.last().map_or("m", String::as_str);
            let new = [format!("a{round}"), format!("{last}+"), format!("{last}\0"), format!("z{round}")];
            store(&bucket, &new).await?;
            written.extend(new);
        }
    }
    ensure!(written.len() >= 100, "expected: at least 100 inserts beside the scan; found: {}", written.len());
    listed.ensure_all(texts(&stable), "keys present throughout, beside inserts")?;
    let known = |key: &String| stable.contains(key) || written.contains(key);
    ensure_eq!(listed.times.keys().find(|key| !known(key)), None, "keys listed that were never written");
    list(&bucket, "", PAGE).await?.ensure_exactly(texts(&stable).chain(texts(&written)), "after the inserts")
}

/// LST-1, LST-3: overwriting every entry between pages hides none, and no write waits for the scan.
pub(super) async fn scan_beside_overwrites(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let stable = numbered("m", STABLE);
    store(&bucket, &stable).await?;
    let mut listed = Listed::default();
    let mut cursor: Option<String> = None;
    let mut round = 0_usize;
    loop {
        let page = bucket.keys("", cursor.as_deref(), PAGE).await?;
        listed.take(&page, PAGE)?;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        round += 1;
        let value = format!("round {round}");
        bucket.set_many(stable.iter().map(|key| (key, value.as_str()))).await?;
        let ahead = stable.iter().filter(|key| !listed.times.contains_key(*key)).take(3);
        for key in page.keys.iter().chain(ahead) {
            bucket.set(key, value.as_str()).await?;
        }
    }
    ensure!(round >= STABLE / PAGE - 1, "expected: a round of writes after each page; found: {round}");
    listed.ensure_all(texts(&stable), "keys present throughout, beside overwrites")?;
    list(&bucket, "", 100).await?.ensure_exactly(texts(&stable), "after the overwrites")
}

/// LST-1: deleting what was listed, and what was not yet, hides none of the keys that stay. Cursors that count
/// entries skip some here.
pub(super) async fn scan_beside_deletes(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let stable = numbered("m", STABLE);
    let doomed: Vec<String> = stable.iter().flat_map(|key| [format!("{key}a"), format!("{key}b")]).collect();
    store(&bucket, &stable).await?;
    store(&bucket, &doomed).await?;
    let mut listed = Listed::default();
    let mut cursor: Option<String> = None;
    let mut behind = doomed.chunks(9);
    let mut ahead = doomed.rchunks(5);
    let mut deleted = 0_usize;
    loop {
        let page = bucket.keys("", cursor.as_deref(), PAGE).await?;
        listed.take(&page, PAGE)?;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        for keys in [behind.next(), ahead.next()].into_iter().flatten() {
            bucket.delete_many(keys).await?;
            deleted += keys.len();
        }
        // What this page showed goes as well, the key at which it ended included.
        for key in page.keys.iter().filter(|key| doomed.contains(key)) {
            bucket.delete(key).await?;
            deleted += 1;
        }
    }
    ensure!(deleted >= doomed.len() / 2, "expected: many deletes beside the scan; found: {deleted}");
    listed.ensure_all(texts(&stable), "keys present throughout, beside deletes")?;
    let known = |key: &String| stable.contains(key) || doomed.contains(key);
    ensure_eq!(listed.times.keys().find(|key| !known(key)), None, "keys listed that were never written");
    bucket.delete_many(&doomed).await?;
    list(&bucket, "", PAGE).await?.ensure_exactly(texts(&stable), "after the deletes")
}

/// TTL-2, LST-1: entries that expire between pages are on no later page, and hide none of the keys that stay.
pub(super) async fn scan_beside_expiry(cx: &Context) -> Outcome {
    const TTL: Duration = Duration::from_millis(30);
    let bucket = cx.bucket("b").await?;
    let stable = numbered("m", STABLE);
    store(&bucket, &stable).await?;
    let mut listed = Listed::default();
    let page = bucket.keys("", None, PAGE).await?;
    listed.take(&page, PAGE)?;
    let doomed: Vec<String> = stable.iter().map(|key| format!("{key}x")).collect();
    for key in &doomed {
        bucket.set_with_ttl(key, "v", TTL).await?;
    }
    // One page while they may be there or not, then none of them is.
    let page = bucket.keys("", page.cursor.as_deref(), PAGE).await?;
    listed.take(&page, PAGE)?;
    wait_until_absent(&bucket, &doomed).await?;
    let mut cursor = page.cursor;
    ensure!(cursor.is_some(), "expected: the scan goes on after 12 of {STABLE} keys; found: its end");
    while let Some(at) = cursor {
        let page = bucket.keys("", Some(&at), PAGE).await?;
        ensure_eq!(page.keys.iter().find(|key| doomed.contains(key)), None, "expired keys on a later page");
        listed.take(&page, PAGE)?;
        cursor = page.cursor;
    }
    listed.ensure_all(texts(&stable), "keys present throughout, beside expiry")?;
    list(&bucket, "", PAGE).await?.ensure_exactly(texts(&stable), "after the deadline")
}

/// Waits until no key is there any more.
async fn wait_until_absent(bucket: &Bucket, keys: &[String]) -> Outcome {
    let until = Instant::now() + Duration::from_secs(20);
    while bucket.get_many(keys).await?.iter().any(Option::is_some) {
        ensure!(Instant::now() < until, "expected: entries of 30 ms expire; found: some are there after 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// LST-1, LST-3: scans beside tasks that insert, overwrite and delete at the same time list every key that stays.
pub(super) async fn scan_beside_tasks(cx: &Context) -> Outcome {
    const SCANS: usize = 20;
    const LEAST_WRITES: usize = 30;
    let bucket = cx.bucket("b").await?;
    let stable = numbered("m", STABLE);
    store(&bucket, &stable).await?;
    let enough = Arc::new(AtomicBool::new(false));
    let mut rng = cx.rng();
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (bucket, enough) = (bucket.clone(), Arc::clone(&enough));
            let mut moves: Vec<(usize, usize)> =
                (0..256).map(|_| (rng.random_range(0..3), rng.random_range(0..STABLE))).collect();
            tokio::spawn(async move {
                let mut writes = 0;
                while writes < LEAST_WRITES || !enough.load(Ordering::Relaxed) {
                    moves.rotate_left(1);
                    let (what, n) = moves.first().copied().unwrap_or_default();
                    match what {
                        0 => bucket.set(&format!("m{n:05}"), "again").await?,
                        1 => bucket.set(&format!("m{n:05}-"), "more").await?,
                        _ => bucket.delete(&format!("m{n:05}-")).await?,
                    }
                    writes += 1;
                }
                Ok::<usize, Stop>(writes)
            })
        })
        .collect();
    let scanned = scan_again_and_again(&bucket, &stable, SCANS).await;
    enough.store(true, Ordering::Relaxed);
    for writer in writers {
        let writes = writer.await.map_err(|error| Stop::failed(format_args!("a writer's task ended: {error}")))??;
        ensure!(writes >= LEAST_WRITES, "expected: writers go on beside scans; found: {writes} writes");
    }
    scanned
}

async fn scan_again_and_again(bucket: &Bucket, stable: &[String], scans: usize) -> Outcome {
    for scan in 0..scans {
        let listed = list(bucket, "m", PAGE + scan).await?;
        listed.ensure_all(texts(stable), "keys present throughout, beside three writers")?;
        let known = |key: &String| stable.contains(&key.trim_end_matches('-').to_owned());
        ensure_eq!(listed.times.keys().find(|key| !known(key)), None, "keys listed that were never written");
    }
    Ok(())
}
