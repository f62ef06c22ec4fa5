use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::try_join_all;
use kv_core::{Bucket, CasSwap, Fill, GetOrSet, Swap, Ttl};

use super::entries::{buckets, ensure_bytes, ensure_holds, joined, listed, noise, prompt};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Fills a bucket with that many entries, in one batch.
async fn fill(bucket: &Bucket, entries: usize) -> Outcome {
    bucket.set_many((0..entries).map(|at| (format!("k{at:05}"), format!("{at}")))).await?;
    Ok(())
}

/// BKT-3: dropping an absent bucket is `Ok`: never opened, opened only, emptied, dropped already, many times at once.
pub(super) async fn drop_absent(cx: &Context) -> Outcome {
    let store = cx.store();
    cx.bucket("kept").await?.set("k", "v").await?;
    for name in ["never", "", "ke", "kept ", "*"] {
        store.drop_bucket(name).await?;
    }
    let opened = cx.bucket("opened").await?;
    store.drop_bucket("opened").await?;
    opened.set("k", "v").await?;
    opened.delete("k").await?;
    store.drop_bucket("opened").await?;
    opened.set("k", "v").await?;
    try_join_all((0..8).map(|_| store.drop_bucket("opened"))).await?;
    store.drop_bucket("opened").await?;
    ensure_eq!(buckets(&store).await?, vec!["kept".to_owned()]);
    ensure_bytes("the other bucket's entry", cx.bucket("kept").await?.get("k").await?.as_ref(), b"v")
}

/// BKT-3: a dropped bucket is empty to every call of every handle, opened before or after.
pub(super) async fn drop_empties_every_view(cx: &Context) -> Outcome {
    const ENTRIES: usize = 2_500;
    let store = cx.store();
    let before = cx.bucket("b").await?;
    fill(&before, ENTRIES).await?;
    before.set("large", noise(1, 1 << 20)).await?;
    before.set("", "empty key").await?;
    if cx.declared().cache {
        before.set_with_ttl("k00007", "v", Duration::from_secs(600)).await?;
        before.set_with_ttl("ttl only", "v", Duration::from_secs(600)).await?;
    }
    let first = before.keys("", None, 100).await?;
    ensure!(first.cursor.is_some(), "expected: a page of 100 does not end a listing of {ENTRIES}; found: the end");
    store.drop_bucket("b").await?;
    let after = cx.bucket("b").await?;
    for handle in [&before, &before.clone(), &after] {
        for key in ["k00000", "k00007", "k02499", "large", "", "ttl only"] {
            ensure_eq!(handle.get(key).await?, None, "get({key:?}) after the drop");
            ensure!(!handle.exists(key).await?, "expected: {key:?} does not exist after the drop; found: it does");
            if cx.declared().cache {
                ensure_eq!(handle.ttl(key).await?, Ttl::Absent, "ttl({key:?}) after the drop");
            }
        }
        ensure_eq!(handle.get_many(&["k00001", "large", ""]).await?, vec![None, None, None]);
        ensure_eq!(listed(handle, "").await?, Vec::<String>::new(), "the keys after the drop");
        ensure_eq!(listed(handle, "k0").await?, Vec::<String>::new(), "the keys with a prefix after the drop");
        let rest = handle.keys("", first.cursor.as_deref(), 100).await?;
        ensure_eq!(rest.keys, Vec::<String>::new(), "the page behind a cursor from before the drop");
        handle.delete("k00001").await?;
    }
    ensure_eq!(buckets(&store).await?, Vec::<String>::new(), "the buckets after the drop");
    fill(&before, 3).await?;
    ensure_eq!(listed(&after, "").await?.len(), 3, "keys of the bucket filled anew");
    Ok(())
}

/// BKT-3: the next write of a handle from before the drop makes the bucket exist again, with that entry alone.
pub(super) async fn write_after_drop_revives(cx: &Context) -> Outcome {
    let store = cx.store();
    let bucket = cx.bucket("b").await?;
    let other = cx.bucket("b").await?;
    let minute = Duration::from_secs(60);
    let mut kinds = vec!["set", "set_many"];
    if cx.declared().atomic {
        kinds.extend(["increment", "compare_and_swap", "swap"]);
    }
    if cx.declared().cache {
        kinds.extend(["set_with_ttl", "fill"]);
    }
    for kind in kinds {
        fill(&bucket, 20).await?;
        bucket.set("new", "old value").await?;
        store.drop_bucket("b").await?;
        let expected: &[u8] = match kind {
            "set_many" => bucket.set_many([("new", "1")]).await.map(|()| b"1")?,
            "increment" => {
                ensure_eq!(bucket.increment("new", 1).await?, 1, "a counter after the drop");
                b"1"
            }
            "compare_and_swap" => {
                ensure_eq!(bucket.compare_and_swap("new", None, Some("1".into())).await?, Swap::Swapped);
                b"1"
            }
            "swap" => {
                let handle = bucket.cas("new").await?;
                ensure_eq!(handle.current(), None, "the value under a handle taken after the drop");
                ensure!(
                    matches!(handle.swap("1").await?, CasSwap::Swapped),
                    "expected: a handle taken after the drop swaps; found: it lost"
                );
                b"1"
            }
            "set_with_ttl" => bucket.set_with_ttl("new", "1", minute).await.map(|()| b"1")?,
            "fill" => match bucket.get_or_set("new").await? {
                GetOrSet::Occupied(_) => return Err(Stop::failed("expected: vacant after the drop; found: occupied")),
                GetOrSet::Vacant(vacancy) => {
                    ensure_eq!(vacancy.fill("1", None).await?, Fill::Stored);
                    b"1"
                }
            },
            _ => bucket.set("new", "1").await.map(|()| b"1")?,
        };
        let only = BTreeMap::from([("new".to_owned(), Bytes::copy_from_slice(expected))]);
        ensure_eq!(buckets(&store).await?, vec!["b".to_owned()], "the buckets after {kind} revived one");
        ensure_holds(&bucket, &only).await?;
        ensure_holds(&other, &only).await?;
        ensure_holds(&cx.bucket("b").await?, &only).await?;
    }
    Ok(())
}

/// BKT-3, CAS-2: a live handle on an entry fails once its bucket is dropped, even if the same bytes are back.
pub(super) async fn drop_fails_live_cas_handles(cx: &Context) -> Outcome {
    let store = cx.store();
    let (bucket, beside) = (cx.bucket("b").await?, cx.bucket("beside").await?);
    for is_back in [false, true] {
        bucket.set("k", "v").await?;
        beside.set("k", "v").await?;
        let handle = bucket.cas("k").await?;
        let untouched = beside.cas("k").await?;
        store.drop_bucket("b").await?;
        if is_back {
            bucket.set("k", "v").await?;
        }
        match handle.swap("swapped").await? {
            CasSwap::Swapped => {
                return Err(Stop::failed(format_args!(
                    "expected: the drop makes the swap fail; found: it succeeded, the same bytes back: {is_back}"
                )));
            }
            CasSwap::Lost(fresh) => {
                let won = is_back.then_some(&b"v"[..]);
                ensure_eq!(
                    fresh.current().map(AsRef::as_ref),
                    won,
                    "the value that won, the same bytes back: {is_back}"
                );
                let swapped = matches!(fresh.swap("second").await?, CasSwap::Swapped);
                ensure!(swapped, "expected: the fresh handle swaps; found: it lost");
            }
        }
        ensure_bytes("the value", bucket.get("k").await?.as_ref(), b"second")?;
        let swapped = matches!(untouched.swap("mine").await?, CasSwap::Swapped);
        ensure!(swapped, "expected: the drop of another bucket leaves a handle alone; found: it lost");
    }
    Ok(())
}

/// BKT-3: a drop is one step: a reader that has seen one entry gone sees none of the others any more.
pub(super) async fn drop_is_one_step(cx: &Context) -> Outcome {
    const ROUNDS: usize = 6;
    const ENTRIES: usize = 200;
    let store = cx.store();
    let bucket = cx.bucket("b").await?;
    for round in 0..ROUNDS {
        fill(&bucket, ENTRIES).await?;
        let elsewhere = tokio::spawn(read_until_gone(bucket.clone(), ENTRIES));
        for _ in 0..round * 10 {
            tokio::task::yield_now().await;
        }
        let drop = async {
            let dropped = store.drop_bucket("b").await;
            let left = listed(&bucket, "").await;
            (dropped, left)
        };
        // One reader is in the dropper's own task and so looks in whenever the drop waits for something.
        let ((dropped, left), here) = tokio::join!(drop, read_until_gone(bucket.clone(), ENTRIES));
        dropped?;
        ensure_eq!(left?, Vec::<String>::new(), "the keys once the drop returned");
        here?;
        joined(elsewhere).await?;
    }
    Ok(())
}

/// Reads entries from both ends by turns, until all have been seen to be gone.
async fn read_until_gone(bucket: Bucket, entries: usize) -> Outcome {
    let by_turns = (0..entries).flat_map(|at| [at, entries - 1 - at]);
    let mut gone = 0_usize;
    for at in by_turns.cycle() {
        match bucket.get(&format!("k{at:05}")).await? {
            None => gone += 1,
            Some(_) => {
                ensure!(gone == 0, "expected: a dropped bucket's entries go at once; found one after {gone} gone")
            }
        }
        if gone > 2 * entries {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// BKT-3: writers beside drops: every write is acknowledged, and what stands at the end of a round was written after
/// that round's last drop or during it, never before.
pub(super) async fn drop_beside_writers(cx: &Context) -> Outcome {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 15;
    let store = cx.store();
    let bucket = cx.bucket("b").await?;
    let beside = cx.bucket("beside").await?;
    for round in 0..ROUNDS {
        bucket.set_many((0..200).map(|at| (format!("before {at}"), "gone"))).await?;
        let writers = (0..WRITERS).map(|writer| {
            let (bucket, beside) = (bucket.clone(), beside.clone());
            tokio::spawn(async move {
                for write in 0..10 {
                    bucket.set(&format!("writer {writer}"), format!("{round}/{write}")).await?;
                    beside.set(&format!("writer {writer}"), format!("{round}/{write}")).await?;
                }
                Ok::<(), Stop>(())
            })
        });
        let writers: Vec<_> = writers.collect();
        store.drop_bucket("b").await?;
        ensure_eq!(listed(&bucket, "before").await?, Vec::<String>::new(), "entries from before the drop");
        for writer in writers {
            joined(writer).await?;
        }
        for key in listed(&bucket, "").await? {
            let value = bucket.get(&key).await?;
            // A drop after its last write may have taken a writer's entry; if it is there it is the last.
            ensure_bytes(&format!("{key:?} after the writers ended"), value.as_ref(), format!("{round}/9").as_bytes())?;
        }
        for writer in 0..WRITERS {
            let value = beside.get(&format!("writer {writer}")).await?;
            ensure_bytes("a write to the bucket beside", value.as_ref(), format!("{round}/9").as_bytes())?;
        }
        bucket.set("revived", "1").await?;
        ensure_bytes("a write after the drop", bucket.get("revived").await?.as_ref(), b"1")?;
        store.drop_bucket("b").await?;
        ensure_eq!(buckets(&store).await?, vec!["beside".to_owned()], "the buckets after round {round}");
    }
    Ok(())
}

/// BKT-3: while a large bucket is dropped, calls on other buckets, and on that one, go through.
pub(super) async fn drop_stalls_no_other(cx: &Context) -> Outcome {
    const ENTRIES: usize = 20_000;
    // A call that waits a second for a drop of 20,000 entries was stalled by it, whatever the machine.
    const STALL: Duration = Duration::from_secs(1);
    let store = cx.store();
    let (large, beside) = (cx.bucket("large").await?, cx.bucket("beside").await?);
    fill(&large, ENTRIES).await?;
    beside.set("k", "v").await?;
    let done = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    for (caller, bucket) in [beside.clone(), beside.clone(), large.clone()].into_iter().enumerate() {
        let (done, calls) = (Arc::clone(&done), Arc::clone(&calls));
        callers.push(tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            let key = format!("caller {caller}");
            while !done.load(Ordering::Acquire) {
                let began = Instant::now();
                prompt("a read beside a drop", bucket.get("k")).await??;
                prompt("a write beside a drop", bucket.set(&key, "v")).await??;
                longest = longest.max(began.elapsed());
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            Ok::<_, Stop>(longest)
        }));
    }
    while calls.load(Ordering::Relaxed) < 30 && !callers.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let began = Instant::now();
    let dropped = store.drop_bucket("large").await;
    let drop_took = began.elapsed();
    done.store(true, Ordering::Release);
    let mut longest = Duration::ZERO;
    for caller in callers {
        longest = longest.max(joined(caller).await?);
    }
    dropped?;
    ensure!(
        longest < STALL || longest < drop_took / 2,
        "expected: calls beside a drop of {ENTRIES} entries go through; found: one waited {longest:?}, the drop took {drop_took:?}"
    );
    ensure_eq!(listed(&large, "k").await?, Vec::<String>::new(), "the dropped entries");
    Ok(())
}

/// BKT-3, DUR-1: what was dropped stays away after reopening, and what was written since stays.
pub(super) async fn drop_outlives_reopening(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    fill(&bucket, 500).await?;
    fill(&cx.bucket("kept").await?, 20).await?;
    cx.store().drop_bucket("b").await?;
    let store = cx.reopen().await?;
    let bucket = store.open_bucket("b").await?;
    ensure_eq!(buckets(&store).await?, vec!["kept".to_owned()], "the buckets after drop and reopening");
    ensure_eq!(listed(&bucket, "").await?, Vec::<String>::new(), "the dropped bucket's keys after reopening");
    ensure_eq!(bucket.get("k00000").await?, None, "a dropped entry after reopening");
    fill(&bucket, 10).await?;
    store.drop_bucket("b").await?;
    bucket.set("since", "1").await?;
    let store = cx.reopen().await?;
    let only = BTreeMap::from([("since".to_owned(), Bytes::from_static(b"1"))]);
    ensure_holds(&store.open_bucket("b").await?, &only).await?;
    ensure_eq!(listed(&store.open_bucket("kept").await?, "").await?.len(), 20, "keys of the bucket beside");
    Ok(())
}
