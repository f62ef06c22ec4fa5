//! The storage of expired entries.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use kv_core::{Event, Events, Ttl, Watching};
use tokio::time::Instant;

use super::super::atomic::stored::ensure_stored;
use super::super::store::entries::listed;
use super::clock::{Deadline, LONG};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

// A little less than what the contract gives, so that the cases can still say what is missing.
const PATIENCE: Duration = Duration::from_secs(55);

/// TTL-2: the storage of expired entries is given back within 60 s without anybody reading: watchers learn of each.
pub(super) async fn storage_is_given_back(cx: &Context) -> Outcome {
    const ENTRIES: usize = 100;
    let bucket = cx.bucket("b").await?;
    bucket.set("stays", "v").await?;
    bucket.set_with_ttl("later", "v", LONG).await?;
    let mut events = bucket.watch("").await?;
    let keys: Vec<String> = (0..ENTRIES).map(|at| format!("k{at}")).collect();
    try_join_all(keys.iter().enumerate().map(|(at, key)| {
        let bucket = bucket.clone();
        async move { bucket.set_with_ttl(key, "v", Duration::from_millis(20 + at as u64)).await }
    }))
    .await?;
    let mut gone = HashSet::new();
    let all_gone = async {
        while gone.len() < ENTRIES {
            match events.next().await {
                Some(Event::Expired { key } | Event::Deleted { key }) => drop(gone.insert(key)),
                Some(_) => {}
                None => return Err(Stop::failed("expected: the watch goes on while the store is open; found its end")),
            }
        }
        Ok(())
    };
    let in_time = tokio::time::timeout(PATIENCE, all_gone).await;
    ensure!(
        in_time.is_ok(),
        "expected: {ENTRIES} expired entries are given back within a minute, with nobody reading; found: {} are",
        gone.len()
    );
    in_time.unwrap_or(Ok(()))?;
    ensure!(keys.iter().all(|key| gone.contains(key)), "expected: each expired key is told of; found: {gone:?}");
    let mut left = listed(&bucket, "").await?;
    left.sort_unstable();
    ensure_eq!(left, ["later", "stays"], "the keys once the expired were given back");
    Ok(())
}

/// TTL-2, WCH-1: an entry that was written before a close and expires after the reopening is given back and told of,
/// though nobody reads, nor writes another deadline.
pub(super) async fn reopened_is_swept(cx: &Context) -> Outcome {
    // The longer ones are for machines on which the entry expires before the watch begins.
    const TTLS: [Duration; 3] = [Duration::from_millis(300), Duration::from_millis(1_500), Duration::from_secs(8)];
    let end = Instant::now() + PATIENCE;
    for (at, ttl) in TTLS.into_iter().enumerate() {
        // Another key each time, so that a late word of an earlier one is not taken for its own.
        let key = format!("k{at}");
        let written = Instant::now();
        cx.bucket("b").await?.set_with_ttl(&key, "v", ttl).await?;
        let bucket = cx.reopen().await?.open_bucket("b").await?;
        let mut events = bucket.watch("").await?;
        // Less the millisecond that may be cut off.
        if written.elapsed() + Duration::from_millis(2) >= ttl {
            continue;
        }
        let is_every = cx.declared().watch == Some(Watching::Every);
        let Ok(told) = tokio::time::timeout_at(end, end_of(&mut events, &key, is_every)).await else {
            return Err(Stop::failed(format_args!(
                "expected: an entry that expires after a reopening is given back within a minute, with nobody reading; \
                 found: it is not"
            )));
        };
        told?;
        return ensure_stored(&bucket, &key, None).await;
    }
    Err(Stop::Inconclusive("each entry had expired before the reopened store could be watched".to_owned()))
}

/// Waits until the watch tells that the entry has expired.
async fn end_of(events: &mut Events, key: &str, is_every: bool) -> Outcome {
    while let Some(event) = events.next().await {
        match event {
            Event::Expired { key: ended } if ended == key => return Ok(()),
            Event::Deleted { key: ended } if ended == key => {
                ensure!(!is_every, "expected: {key:?} is told of as expired; found: as deleted");
                return Ok(());
            }
            _ => {}
        }
    }
    Err(Stop::failed("expected: the watch goes on while the store is open; found its end"))
}

/// TTL-3, TTL-2: what takes the storage back never takes an entry that was written anew, before the deadline, at it
/// or after it.
pub(super) async fn rewritten_is_not_swept(cx: &Context) -> Outcome {
    const ENTRIES: u64 = 120;
    let bucket = cx.bucket("b").await?;
    let mut rewrites = Vec::new();
    for at in 0..ENTRIES {
        let (key, ttl) = (format!("k{at}"), Duration::from_millis(20 + at % 40));
        bucket.set_with_ttl(&key, "old", ttl).await?;
        rewrites.push((key, Deadline::exactly(ttl), at));
    }
    for (key, deadline, at) in &rewrites {
        match at % 3 {
            0 => {}
            1 => deadline.pass().await,
            _ => {
                deadline.pass().await;
                tokio::time::sleep(Duration::from_millis(at % 5)).await;
            }
        }
        if at % 2 == 0 {
            bucket.set(key, "new").await?;
        } else {
            bucket.set_with_ttl(key, "new", LONG).await?;
        }
    }
    // Time enough for every sweep that the old deadlines call for.
    Deadline::after(Duration::from_millis(150)).pass().await;
    for (key, _, at) in &rewrites {
        ensure_stored(&bucket, key, Some(b"new")).await?;
        let forever = bucket.ttl(key).await? == Ttl::Forever;
        ensure_eq!(forever, at % 2 == 0, "whether {key} stays for ever");
    }
    ensure_eq!(listed(&bucket, "").await?.len() as u64, ENTRIES, "keys listed");
    Ok(())
}
