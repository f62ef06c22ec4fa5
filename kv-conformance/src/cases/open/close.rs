use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use kv_core::{Bucket, Durability, Effect, ErrorKind, GetOrSet, Store};
use rand::RngExt;

use super::super::store::entries::{
    buckets, delete_each, ensure_bytes, ensure_holds, joined, listed, noise, prompt, set_each,
};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// BKT-5: after `close` the store opens again at once, as often as one likes, with all that it held.
pub(super) async fn opens_at_once_after_close(cx: &Context) -> Outcome {
    const ROUNDS: usize = 8;
    for round in 0..ROUNDS {
        let bucket = cx.bucket("b").await?;
        ensure_eq!(listed(&bucket, "").await?.len(), round, "keys after {round} rounds");
        bucket.set(&format!("round {round}"), noise(round as u64, 10_000)).await?;
        prompt("close", cx.store().close()).await??;
        // `open_beside` is the second open, which must not be refused any more.
        let store = prompt("open after close", cx.open_beside()).await??;
        let bucket = store.open_bucket("b").await?;
        let found = bucket.get(&format!("round {round}")).await?;
        ensure_bytes("the value written before close", found.as_ref(), &noise(round as u64, 10_000))?;
        prompt("close", store.close()).await??;
        prompt("close and open", cx.reopen()).await??;
    }
    Ok(())
}

/// BKT-5: closing twice is `Ok`, one after the other and by eight callers at once, and loses nothing.
pub(super) async fn close_twice(cx: &Context) -> Outcome {
    cx.bucket("b").await?.set("k", "v").await?;
    let store = cx.store();
    let closed = prompt("eight closes at once", join_all((0..8).map(|_| store.close()))).await?;
    for ended in closed {
        ended?;
    }
    prompt("one more close", store.close()).await??;
    prompt("a close through a clone", store.clone().close()).await??;
    let again = cx.reopen().await?;
    // The old store is closed once more while the new one is open: nothing of the new one may go.
    prompt("a late close of the old store", store.close()).await??;
    ensure_bytes("the value", again.open_bucket("b").await?.get("k").await?.as_ref(), b"v")?;
    again.open_bucket("b").await?.set("k", "w").await?;
    ensure_eq!(buckets(&again).await?, vec!["b".to_owned()]);
    Ok(())
}

/// BKT-5: after `close` every call of every handle that is left answers `Unavailable`, and none hangs.
pub(super) async fn use_after_close(cx: &Context) -> Outcome {
    let store = cx.store();
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let handle = if cx.declared().atomic { Some(bucket.cas("k").await?) } else { None };
    let vacancy = match cx.declared().cache {
        true => match bucket.get_or_set("vacant").await? {
            GetOrSet::Vacant(vacancy) => Some(vacancy),
            GetOrSet::Occupied(_) => return Err(Stop::failed("expected: an absent key is vacant; found: occupied")),
        },
        false => None,
    };
    store.close().await?;
    let mut applied = Vec::new();
    reads_are_refused(cx, &store, &bucket).await?;
    applied.extend(refused("set", bucket.set("k", "late")).await?);
    applied.extend(refused("delete", bucket.delete("k")).await?);
    applied.extend(refused("set_many", bucket.set_many([("k", "late"), ("l", "late")])).await?);
    applied.extend(refused("delete_many", bucket.delete_many(&["k", "l"])).await?);
    applied.extend(refused("drop_bucket", store.drop_bucket("b")).await?);
    if let Some(handle) = handle {
        applied.extend(refused("increment", bucket.increment("n", 1)).await?);
        applied
            .extend(refused("compare_and_swap", bucket.compare_and_swap("k", Some(b"v"), Some("late".into()))).await?);
        applied.extend(refused("swap", handle.swap("late")).await?);
    }
    if let Some(vacancy) = vacancy {
        let minute = Duration::from_secs(60);
        applied.extend(refused("set_with_ttl", bucket.set_with_ttl("k", "late", minute)).await?);
        applied.extend(refused("fill", vacancy.fill("late", None)).await?);
    }
    ensure_eq!(applied.len(), writes(cx), "the number of refused writes");
    let reopened = cx.reopen().await?;
    if applied.iter().all(|effect| *effect == Effect::None) {
        let only = BTreeMap::from([("k".to_owned(), Bytes::from_static(b"v"))]);
        ensure_holds(&reopened.open_bucket("b").await?, &only).await?;
    }
    Ok(())
}

fn writes(cx: &Context) -> usize {
    5 + if cx.declared().atomic { 3 } else { 0 } + if cx.declared().cache { 2 } else { 0 }
}

async fn reads_are_refused(cx: &Context, store: &Store, bucket: &Bucket) -> Outcome {
    refused("get", bucket.get("k")).await?;
    refused("get of an absent key", bucket.get("absent")).await?;
    refused("exists", bucket.exists("k")).await?;
    refused("get_many", bucket.get_many(&["k", "l"])).await?;
    refused("keys", bucket.keys("", None, None)).await?;
    refused("buckets", store.buckets()).await?;
    if cx.declared().atomic {
        refused("cas", bucket.cas("k")).await?;
    }
    if cx.declared().cache {
        refused("ttl", bucket.ttl("k")).await?;
        refused("get_or_set", bucket.get_or_set("k")).await?;
    }
    if cx.declared().watch.is_some() {
        refused("watch", bucket.watch("")).await?;
    }
    // Opening reaches no backend everywhere, so it may still succeed; what it gives must not work.
    match prompt("open_bucket", store.open_bucket("late")).await? {
        Ok(late) => refused("get through a handle opened after close", late.get("k")).await.map(drop),
        Err(error) => {
            ensure_eq!(error.kind(), ErrorKind::Unavailable, "the error of open_bucket after close");
            Ok(())
        }
    }
}

/// The call answers `Unavailable`, soon; gives its effect, as an iterable for collecting.
async fn refused<T>(what: &str, call: impl Future<Output = kv_core::Result<T>>) -> Result<Option<Effect>, Stop> {
    match prompt(&format!("{what} after close"), call).await? {
        Ok(_) => Err(Stop::failed(format_args!("{what} after close: expected the error Unavailable, found success"))),
        Err(error) => {
            ensure_eq!(error.kind(), ErrorKind::Unavailable, "the error of {what} after close, {}", error.trace());
            Ok(Some(error.effect()))
        }
    }
}

/// BKT-5: handles from before a reopening stay refused; they neither read the new store nor write to it.
pub(super) async fn old_handles_stay_closed(cx: &Context) -> Outcome {
    let old = cx.bucket("b").await?;
    let old_store = cx.store();
    old.set("k", "old").await?;
    let new = cx.reopen().await?.open_bucket("b").await?;
    new.set("k", "new").await?;
    refused("get", old.get("k")).await?;
    refused("set", old.set("k", "late")).await?;
    refused("delete", old.delete("k")).await?;
    refused("drop_bucket", old_store.drop_bucket("b")).await?;
    ensure_bytes("the new store's value", new.get("k").await?.as_ref(), b"new")?;
    drop((old, old_store));
    new.set("l", "1").await?;
    ensure_eq!(listed(&new, "").await?, ["k", "l"].map(String::from).to_vec());
    Ok(())
}

/// DUR-1: whatever was acknowledged is there after `close` and reopening, and nothing else: values replaced,
/// deletions, batches and dropped buckets.
pub(super) async fn acknowledged_writes_outlive_close(cx: &Context) -> Outcome {
    const ROUNDS: usize = 3;
    const KEYS: usize = 300;
    let mut rng = cx.rng();
    let mut expected: BTreeMap<String, Bytes> = BTreeMap::new();
    for round in 0..ROUNDS {
        let bucket = cx.bucket("b").await?;
        let value = |rng: &mut rand::rngs::StdRng| noise(rng.random(), rng.random_range(0..3_000));
        let set: BTreeMap<String, Bytes> =
            (0..KEYS / 2).map(|_| (format!("k{}", rng.random_range(0..KEYS)), value(&mut rng))).collect();
        set_each(&bucket, &set.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>()).await?;
        expected.extend(set);
        let batch: BTreeMap<String, Bytes> =
            (0..KEYS / 2).map(|_| (format!("k{}", rng.random_range(0..KEYS)), value(&mut rng))).collect();
        bucket.set_many(batch.iter().map(|(key, value)| (key, value.clone()))).await?;
        expected.extend(batch);
        let gone: Vec<String> = (0..KEYS / 4).map(|_| format!("k{}", rng.random_range(0..KEYS))).collect();
        delete_each(&bucket, &gone).await?;
        let also_gone: Vec<String> = (0..KEYS / 8).map(|_| format!("k{}", rng.random_range(0..KEYS))).collect();
        bucket.delete_many(&also_gone).await?;
        for key in gone.iter().chain(&also_gone) {
            expected.remove(key);
        }
        let doomed = cx.bucket("doomed").await?;
        doomed.set_many([("1", "1"), ("2", "2")]).await?;
        cx.store().drop_bucket("doomed").await?;
        if cx.declared().atomic {
            let counted = bucket.increment("n", 7).await?;
            expected.insert("n".to_owned(), format!("{counted}").into());
            ensure_eq!(counted, 7 * (round as i64 + 1), "the counter in round {round}");
        }
        // The very last calls before the close: the likeliest to be lost.
        bucket.delete("last").await?;
        bucket.set("last", format!("round {round}")).await?;
        expected.insert("last".to_owned(), format!("round {round}").into());
        bucket.set_many([("last batch 1", format!("{round}")), ("last batch 2", format!("{round}"))]).await?;
        expected.extend(["last batch 1", "last batch 2"].map(|key| (key.to_owned(), format!("{round}").into())));
        let store = cx.reopen().await?;
        ensure_holds(&store.open_bucket("b").await?, &expected).await?;
        ensure_eq!(buckets(&store).await?, vec!["b".to_owned()], "the buckets after round {round}");
        store.open_bucket("b").await?.delete("last").await?;
        expected.remove("last");
        let store = cx.reopen().await?;
        ensure_holds(&store.open_bucket("b").await?, &expected).await?;
    }
    ensure!(expected.len() > KEYS / 4, "expected: the rounds leave entries to compare; found: {}", expected.len());
    Ok(())
}

/// DUR-1: a close beside eight writers: each call ends, acknowledged writes are there afterwards, and refused ones
/// whose effect is none are not.
pub(super) async fn close_beside_writers(cx: &Context) -> Outcome {
    const WRITERS: usize = 8;
    const ENOUGH: usize = 200;
    let done = Arc::new(AtomicUsize::new(0));
    let closed = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let (bucket, done, closed) = (cx.bucket("b").await?, Arc::clone(&done), Arc::clone(&closed));
        tasks.push(tokio::spawn(async move {
            for write in 0_usize.. {
                let is_late = closed.load(Ordering::Acquire);
                let key = format!("{writer}/{write}");
                match prompt("a write beside close", bucket.set(&key, format!("{write}"))).await? {
                    Ok(()) if is_late => break,
                    Ok(()) => done.fetch_add(1, Ordering::Relaxed),
                    Err(error) if error.kind() == ErrorKind::Unavailable => return Ok((write, error.effect())),
                    Err(error) => return Err(error.into()),
                };
                tokio::task::yield_now().await;
            }
            Err(Stop::failed("expected: a write that starts after close is refused; found: it was acknowledged"))
        }));
    }
    while done.load(Ordering::Relaxed) < ENOUGH && !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    prompt("close", cx.store().close()).await??;
    closed.store(true, Ordering::Release);
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(joined(task).await?);
    }
    let acknowledged: usize = ended.iter().map(|(writes, _)| writes).sum();
    ensure!(acknowledged >= ENOUGH, "expected: {ENOUGH} writes before the close; found: {acknowledged}");
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    let found = listed(&bucket, "").await?;
    for (writer, (writes, effect)) in ended.into_iter().enumerate() {
        for write in 0..writes {
            let key = format!("{writer}/{write}");
            ensure!(found.binary_search(&key).is_ok(), "expected: the acknowledged {key} after close; found: absent");
        }
        let refused = format!("{writer}/{writes}");
        let is_there = found.binary_search(&refused).is_ok();
        ensure!(
            effect == Effect::Unknown || !is_there,
            "expected: {refused}, refused without effect, is absent; found it"
        );
    }
    Ok(())
}

/// DUR-2: the open store declares the class that its author says it has, where no option asks for another.
pub(super) async fn class_is_the_declared_one(cx: &Context) -> Outcome {
    ensure_eq!(cx.store().declared().durability, cx.declared().durability, "the store's durability class");
    let store = cx.reopen().await?;
    ensure_eq!(store.declared().durability, cx.declared().durability, "the durability class after reopening");
    store.open_bucket("b").await?.set("k", "v").await?;
    ensure_eq!(store.declared().durability, cx.declared().durability, "the durability class after a write");
    Ok(())
}

/// DUR-4: a second open is `Locked`, at once, again and again; after `close` it succeeds.
pub(super) async fn second_open_is_locked(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    for attempt in 0..5 {
        let error = ensure_kind!(prompt("a second open", cx.open_beside()).await?, Locked);
        ensure_eq!(error.effect(), Effect::None, "the effect of refused open {attempt}");
        ensure!(error.is_retryable(), "expected: a locked store may be tried again later; found: not retryable");
    }
    let at_once = prompt("four opens at once", join_all((0..4).map(|_| cx.open_beside()))).await?;
    for refused in at_once {
        ensure_kind!(refused, Locked);
    }
    ensure_bytes("the first store's value", bucket.get("k").await?.as_ref(), b"v")?;
    cx.store().close().await?;
    let second = prompt("an open after close", cx.open_beside()).await??;
    ensure_bytes("the second store's value", second.open_bucket("b").await?.get("k").await?.as_ref(), b"v")?;
    // Now the second one holds it, and closing the first again must not take that away.
    cx.store().close().await?;
    ensure_kind!(prompt("a third open", cx.open_beside()).await?, Locked);
    second.close().await?;
    // Of many that open at once exactly one gets it.
    let raced = prompt("eight opens at once", join_all((0..8).map(|_| cx.open_beside()))).await?;
    let mut opened = Vec::new();
    for ended in raced {
        match ended {
            Ok(store) => opened.push(store),
            Err(error) => ensure_eq!(error.kind(), ErrorKind::Locked, "the error of a lost race to open"),
        }
    }
    ensure_eq!(opened.len(), 1, "how many of 8 opens at once succeeded");
    try_join_all(opened.iter().map(Store::close)).await?;
    cx.reopen().await?;
    Ok(())
}

/// DUR-4: a second open, refused or shared, leaves the first store and its writers alone.
pub(super) async fn second_open_disturbs_nothing(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut expected = BTreeMap::new();
    for round in 0..10 {
        let key = format!("k{round}");
        let (written, beside) = tokio::join!(bucket.set(&key, format!("{round}")), cx.open_beside());
        written?;
        match beside {
            Ok(_) if cx.declared().exclusive => {
                return Err(Stop::failed("expected: a second open is Locked; found: it succeeded"));
            }
            Ok(beside) => {
                let seen = beside.open_bucket("b").await?.get(&key).await?;
                ensure_bytes("what the second client sees", seen.as_ref(), format!("{round}").as_bytes())?;
                beside.close().await?;
            }
            Err(error) => {
                ensure!(cx.declared().exclusive, "expected: the store is shared; found: {}", error.trace());
                ensure_eq!(error.kind(), ErrorKind::Locked, "the error of a second open");
            }
        }
        expected.insert(key, Bytes::from(format!("{round}")));
        ensure_holds(&bucket, &expected).await?;
    }
    ensure_holds(&cx.reopen().await?.open_bucket("b").await?, &expected).await
}

/// BKT-4: a store whose last handle is dropped without `close` lets go by itself, soon, and can be opened again.
pub(super) async fn dropped_store_lets_go(cx: &Context) -> Outcome {
    const SOON: Duration = Duration::from_secs(5);
    cx.store().close().await?;
    for round in 0..3 {
        let until = Instant::now() + SOON;
        let store = loop {
            match cx.open_beside().await {
                Ok(store) => break store,
                Err(error) if error.kind() == ErrorKind::Locked && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let bucket = store.open_bucket("b").await?;
        // `Volatile` promises the value only after `close`; the other classes outlive more than a drop.
        if round > 0 && cx.declared().durability > Durability::Volatile {
            ensure_bytes("the value", bucket.get("round").await?.as_ref(), format!("{}", round - 1).as_bytes())?;
        }
        bucket.set("round", format!("{round}")).await?;
        drop(store);
        ensure_bytes(
            "a bucket outlives its store's handle",
            bucket.get("round").await?.as_ref(),
            format!("{round}").as_bytes(),
        )?;
    }
    let until = Instant::now() + SOON;
    while let Err(error) = cx.reopen().await {
        let is_soon = error.kind() == ErrorKind::Locked && Instant::now() < until;
        ensure!(is_soon, "expected: a dropped store lets go; found: {}", error.trace());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
