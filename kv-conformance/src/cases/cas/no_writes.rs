//! What is no write to a key, so that a handle on it stays good.

use std::time::{Duration, Instant};

use kv_core::{CasSwap, Event, Swap};

use super::super::cache::clock::Deadline;
use super::swaps::wins;
use crate::check::{ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// CAS-2: deleting an absent key is no write, one by one or in a batch.
pub(super) async fn delete_of_absent_is_none(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let handle = bucket.cas("k").await?;
    bucket.delete("k").await?;
    bucket.delete_many(&["k", "other", "k"]).await?;
    ensure_eq!(bucket.compare_and_swap("k", None, None).await?, Swap::Swapped, "absent to absent");
    wins(&bucket, "k", handle, "1").await
}

/// CAS-2: a swap that failed is no write, by value or by handle.
pub(super) async fn failed_swap_is_none(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let stale = bucket.cas("k").await?;
    bucket.set("k", "w").await?;
    let handle = bucket.cas("k").await?;
    let ended = bucket.compare_and_swap("k", Some(b"v"), Some("x".into())).await?;
    ensure_eq!(ended, Swap::Found(Some(bytes::Bytes::from_static(b"w").into())));
    bucket.compare_and_swap("k", None, Some("x".into())).await?;
    bucket.compare_and_swap("k", Some(b"v"), None).await?;
    if let CasSwap::Swapped = stale.swap("x").await? {
        return Err(Stop::failed("a swap after a write: expected that it loses, found success"));
    }
    wins(&bucket, "k", handle, "good").await?;
    let absent = bucket.cas("absent").await?;
    bucket.compare_and_swap("absent", Some(b""), Some("x".into())).await?;
    wins(&bucket, "absent", absent, "good").await
}

/// CAS-2: an increment that failed is no write.
pub(super) async fn failed_increment_is_none(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "no counter").await?;
    let handle = bucket.cas("k").await?;
    ensure_kind!(bucket.increment("k", 1).await, NotANumber);
    wins(&bucket, "k", handle, "9223372036854775807").await?;
    let handle = bucket.cas("k").await?;
    ensure_kind!(bucket.increment("k", 1).await, Overflow);
    wins(&bucket, "k", handle, "good").await
}

/// CAS-2: no read is a write, nor is taking, dropping or waiting with other handles.
pub(super) async fn reads_are_none(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("present", "v").await?;
    for key in ["present", "absent"] {
        let handle = bucket.cas(key).await?;
        bucket.get(key).await?;
        bucket.exists(key).await?;
        bucket.get_many(&[key, key]).await?;
        bucket.keys("", None, None).await?;
        cx.store().buckets().await?;
        cx.bucket("b").await?.get(key).await?;
        let others = [bucket.cas(key).await?, bucket.cas(key).await?];
        drop(others);
        if cx.declared().cache {
            bucket.ttl(key).await?;
            // Looks, and gives an absent key's vacancy up.
            drop(bucket.get_or_set(key).await?);
        }
        if cx.declared().watch.is_some() {
            drop(bucket.watch("").await?);
        }
        wins(&bucket, key, handle, "good").await?;
    }
    Ok(())
}

/// CAS-2: giving back the storage of an entry that had expired before the handle was taken is no write.
pub(super) async fn removal_of_expired_is_none(cx: &Context) -> Outcome {
    const KEYS: u64 = 40;
    const PATIENCE: Duration = Duration::from_secs(5);
    let bucket = cx.bucket("b").await?;
    let mut events = if cx.declared().watch.is_some() { Some(bucket.watch("k").await?) } else { None };
    let mut handles = Vec::new();
    let mut deadlines = Vec::new();
    for at in 0..KEYS {
        let ttl = Duration::from_millis(20 + at);
        bucket.set_with_ttl(&format!("k{at}"), "v", ttl).await?;
        deadlines.push((format!("k{at}"), Deadline::exactly(ttl)));
    }
    for (key, deadline) in deadlines {
        // As soon as it is absent, and so perhaps before its storage is given back.
        deadline.pass().await;
        while bucket.exists(&key).await? {
            tokio::task::yield_now().await;
        }
        let handle = bucket.cas(&key).await?;
        ensure_eq!(handle.current().map(|value| value.len()), None, "the current value of an expired entry's handle");
        handles.push((key, handle));
    }
    // Where it can be seen, the giving back is waited for, though not for ever: the handles are good before and after.
    let until = Instant::now() + PATIENCE;
    let mut gone = 0;
    while let (Some(events), true) = (events.as_mut(), gone < KEYS && Instant::now() < until) {
        let Ok(event) = tokio::time::timeout(PATIENCE, events.next()).await else { break };
        match event {
            Some(Event::Expired { .. } | Event::Deleted { .. }) => gone += 1,
            Some(_) => {}
            None => break,
        }
    }
    for (key, handle) in handles {
        wins(&bucket, &key, handle, "good").await?;
    }
    Ok(())
}

/// CAS-3: writes to hundreds of neighbouring keys, and to the same key elsewhere, do not disturb a handle.
pub(super) async fn neighbours_are_none(cx: &Context) -> Outcome {
    const NEIGHBOURS: usize = 600;
    let (bucket, other) = (cx.bucket("b").await?, cx.bucket("b:k").await?);
    bucket.set("k", "v").await?;
    let (present, absent) = (bucket.cas("k").await?, bucket.cas("absent").await?);
    let near = ["", "K", "k ", "k\0", "k:", "k/", "kk", "absen", "absent0", "ab"];
    let names: Vec<String> =
        near.iter().map(|key| (*key).to_owned()).chain((0..NEIGHBOURS).map(|at| format!("k{at}"))).collect();
    bucket.set_many(names.iter().map(|key| (key, "1"))).await?;
    for key in names.iter().take(40) {
        bucket.set(key, "2").await?;
        bucket.increment(key, 1).await?;
        bucket.delete(key).await?;
    }
    bucket.delete_many(&names).await?;
    for key in ["k", "absent", "k:"] {
        other.set(key, "elsewhere").await?;
    }
    other.delete("k").await?;
    cx.store().drop_bucket("b:k").await?;
    wins(&bucket, "k", present, "good").await?;
    wins(&bucket, "absent", absent, "good").await
}

/// CAS-3: swaps through handles on other keys, won and lost, do not disturb a handle.
pub(super) async fn swaps_elsewhere_are_none(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let handle = bucket.cas("k").await?;
    for round in 0..20 {
        let key = format!("k{round}");
        let (first, second) = (bucket.cas(&key).await?, bucket.cas(&key).await?);
        wins(&bucket, &key, first, "first").await?;
        if let CasSwap::Swapped = second.swap("second").await? {
            return Err(Stop::failed("a swap after a write: expected that it loses, found success"));
        }
        drop(bucket.cas(&key).await?);
    }
    wins(&bucket, "k", handle, "good").await
}
