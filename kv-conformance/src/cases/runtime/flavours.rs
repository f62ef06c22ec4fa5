use std::sync::Arc;
use std::time::Duration;

use kv_core::{Batches, Bucket, Cas, Event, Events, Fill, GetOrSet, Store, Vacancy};
use tokio::sync::oneshot;

use super::elsewhere::{Flavour, elsewhere, in_time};
use crate::check::{ensure, ensure_eq};
use crate::panics::Panics;
use crate::{Context, Outcome, Stop};

/// A time to live that no case waits for.
const LONG: Duration = Duration::from_secs(600);

/// One of each operation that is declared, on keys of its own.
async fn tour(store: &Store, bucket: &Bucket, own: &str) -> Outcome {
    let declared = store.declared();
    let key = format!("{own}/k");
    bucket.set(&key, "v").await?;
    ensure_eq!(bucket.get(&key).await?.as_deref(), Some(&b"v"[..]));
    ensure!(bucket.exists(&key).await?, "expected: {key:?} exists; found: it does not");
    let many: Vec<String> = (0..40).map(|n| format!("{own}/many/{n}")).collect();
    bucket.set_many(many.iter().map(|key| (key, key.as_str()))).await?;
    let found = bucket.get_many(&many).await?;
    ensure_eq!(found.iter().flatten().count(), many.len(), "values of a batch");
    let page = bucket.keys(&format!("{own}/many/"), None, 100).await?;
    ensure_eq!(page.keys.len(), many.len(), "keys of a batch");
    // Over 1,024 entries the batch goes its own way (BAT-4).
    let large: Vec<String> = (0..1_500).map(|n| format!("{own}/large/{n}")).collect();
    bucket.set_many(large.iter().map(|key| (key, "v"))).await?;
    bucket.delete_many(&large).await?;
    bucket.delete_many(&many).await?;
    if declared.atomic {
        ensure_eq!(bucket.increment(&format!("{own}/n"), 2).await?, 2);
        let swapped = bucket.compare_and_swap(&key, Some(b"v"), Some("w".into())).await?;
        ensure_eq!(swapped, kv_core::Swap::Swapped);
        let handle = bucket.cas(&key).await?;
        let swapped = matches!(handle.swap("x").await?, kv_core::CasSwap::Swapped);
        ensure!(swapped, "expected: a swap without a rival succeeds; found: it lost");
    }
    if declared.cache {
        bucket.set_with_ttl(&format!("{own}/t"), "v", LONG).await?;
        ensure!(matches!(bucket.ttl(&format!("{own}/t")).await?, kv_core::Ttl::Left(_)), "expected: a deadline");
        match bucket.get_or_set(&format!("{own}/f")).await? {
            GetOrSet::Vacant(vacancy) => ensure_eq!(vacancy.fill("v", Some(LONG)).await?, Fill::Stored),
            GetOrSet::Occupied(_) => return Err(Stop::failed("expected: a vacancy; found: an entry")),
        }
    }
    if declared.watch.is_some() {
        let mut events = bucket.watch(own).await?;
        bucket.set(&key, "watched").await?;
        wait_for_set(&mut events, &key, b"watched").await?;
    }
    bucket.delete(&key).await?;
    ensure_eq!(bucket.get(&key).await?, None);
    let other = store.open_bucket(&format!("other of {own}")).await?;
    other.set("k", "v").await?;
    ensure!(store.buckets().await?.contains(&format!("other of {own}")), "expected: the new bucket is listed");
    store.drop_bucket(&format!("other of {own}")).await?;
    ensure_eq!(other.get("k").await?, None);
    Ok(())
}

/// Reads events until one shows this value under this key.
async fn wait_for_set(events: &mut Events, key: &str, value: &[u8]) -> Outcome {
    let found = in_time("the write is shown to a watcher", async {
        while let Some(event) = events.next().await {
            if matches!(&event, Event::Set { key: found, value: new } if found == key && **new == *value) {
                return true;
            }
        }
        false
    });
    ensure!(found.await?, "expected: an event of {key:?}; found: the stream's end");
    Ok(())
}

/// RUN-1: a handle made on one runtime works on current-thread and multi-thread runtimes of other threads.
pub(super) async fn handle_on_both_flavours(cx: &Context) -> Outcome {
    let (store, bucket) = (cx.store(), cx.bucket("b").await?);
    tour(&store, &bucket, "home").await?;
    for flavour in Flavour::BOTH {
        let (store, bucket) = (store.clone(), bucket.clone());
        elsewhere(flavour, async move {
            tour(&store, &bucket, &format!("{flavour:?}, main")).await?;
            let spawned = tokio::spawn(async move { tour(&store, &bucket, &format!("{flavour:?}, task")).await });
            spawned.await.map_err(|error| Stop::failed(format_args!("a task's calls panicked: {error}")))?
        })
        .await?;
    }
    tour(&store, &bucket, "home again").await
}

/// RUN-1, BKT-2: several runtimes use one handle at the same time, and no write is lost.
pub(super) async fn several_runtimes_at_once(cx: &Context) -> Outcome {
    const EACH: usize = 50;
    let bucket = cx.bucket("b").await?;
    let is_atomic = cx.declared().atomic;
    let mut places = Vec::new();
    for (place, flavour) in Flavour::BOTH.into_iter().cycle().take(4).enumerate() {
        let bucket = bucket.clone();
        places.push(elsewhere(flavour, async move {
            for n in 0..EACH {
                bucket.set(&format!("{place}/{n}"), format!("{place}/{n}")).await?;
                if is_atomic {
                    bucket.increment("n", 1).await?;
                }
            }
            Ok(())
        }));
    }
    futures_util::future::try_join_all(places).await?;
    for place in 0..4 {
        let keys: Vec<String> = (0..EACH).map(|n| format!("{place}/{n}")).collect();
        for (key, value) in keys.iter().zip(bucket.get_many(&keys).await?) {
            ensure_eq!(value.as_deref(), Some(key.as_bytes()), "what another runtime wrote under {key:?}");
        }
    }
    if is_atomic {
        ensure_eq!(bucket.increment("n", 0).await?, 4 * 50, "increments from four runtimes");
    }
    Ok(())
}

/// RUN-1: a store opened on a runtime that has ended since works from others, and closes there.
pub(super) async fn opened_where_the_runtime_ended(cx: &Context) -> Outcome {
    cx.bucket("b").await?.set("before", "v").await?;
    cx.store().close().await?;
    for flavour in Flavour::BOTH {
        let opened = std::thread::scope(|scope| {
            let opening = scope.spawn(|| -> Result<(Store, Bucket), Stop> {
                let runtime = flavour.start()?;
                let opened = runtime.block_on(async {
                    let store = cx.open_beside().await?;
                    let bucket = store.open_bucket("b").await?;
                    bucket.set("there", "v").await?;
                    Ok::<_, Stop>((store, bucket))
                });
                // Waits for nothing: what the provider runs there ends here and now.
                runtime.shutdown_background();
                opened
            });
            opening.join().unwrap_or_else(|_| Err(Stop::failed("expected: the store opens; found: a panic")))
        });
        let (store, bucket) = opened?;
        ensure_eq!(bucket.get("before").await?.as_deref(), Some(&b"v"[..]));
        ensure_eq!(bucket.get("there").await?.as_deref(), Some(&b"v"[..]));
        tour(&store, &bucket, &format!("here, opened on {flavour:?}")).await?;
        let (other, same, own) = (store.clone(), bucket.clone(), format!("elsewhere, opened on {flavour:?}"));
        elsewhere(Flavour::CurrentThread, async move { tour(&other, &same, &own).await }).await?;
        store.close().await?;
    }
    let store = cx.reopen().await?;
    ensure_eq!(store.open_bucket("b").await?.get("there").await?.as_deref(), Some(&b"v"[..]));
    Ok(())
}

/// RUN-1, CAN-1: a runtime that ends with calls under way leaves whole values and no lock.
pub(super) async fn runtime_ends_in_mid_call(cx: &Context) -> Outcome {
    const TASKS: usize = 16;
    let is_atomic = cx.declared().batches == Batches::Atomic;
    let bucket = cx.bucket("b").await?;
    for (round, flavour) in Flavour::BOTH.into_iter().cycle().take(8).enumerate() {
        let writers = bucket.clone();
        elsewhere(flavour, async move {
            let begun = Arc::new(tokio::sync::Semaphore::new(0));
            for task in 0..TASKS {
                let (bucket, begun) = (writers.clone(), Arc::clone(&begun));
                tokio::spawn(async move {
                    for n in 0_usize.. {
                        let fill = vec![u8::try_from(n % 250).unwrap_or_default(); 20_000 + n % 3];
                        let batch = (0..1_100).map(|at| (format!("{task}/batch/{at}"), format!("{round}/{n}")));
                        let ended = if n % 2 == 1 {
                            bucket.set_many(batch).await
                        } else {
                            bucket.set(&format!("{task}"), fill).await
                        };
                        if ended.is_err() {
                            return;
                        }
                        begun.add_permits(1);
                    }
                });
            }
            // Some of each have ended; the rest is cut off wherever it is.
            let _ = begun.acquire_many(2 * 16).await;
            Ok(())
        })
        .await?;
        in_time("calls after a runtime ended in mid call", async {
            for task in 0..TASKS {
                if let Some(value) = bucket.get(&format!("{task}")).await? {
                    let first = value.first().copied();
                    let is_whole = value.len() >= 20_000 && value.iter().all(|byte| Some(*byte) == first);
                    ensure!(is_whole, "expected: a whole value; found: a mixture of {} bytes", value.len());
                }
                let ends = bucket.get_many(&[format!("{task}/batch/0"), format!("{task}/batch/1099")]).await?;
                if is_atomic {
                    ensure_eq!(ends.first(), ends.last(), "the first and the last entry of a batch");
                }
                bucket.set(&format!("{task}"), vec![7; 20_000]).await?;
                bucket.delete_many(&[format!("{task}/batch/0"), format!("{task}/batch/1099")]).await?;
            }
            Ok::<(), Stop>(())
        })
        .await??;
    }
    Ok(())
}

/// RUN-1, WCH-1: a watch begun on a runtime that has ended since shows writes to readers elsewhere.
pub(super) async fn watch_of_an_ended_runtime(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for flavour in Flavour::BOTH {
        let watched = bucket.clone();
        let mut events = elsewhere(flavour, async move { Ok(watched.watch("").await?) }).await?;
        bucket.set("k", format!("{flavour:?}")).await?;
        wait_for_set(&mut events, "k", format!("{flavour:?}").as_bytes()).await?;
        let watched = bucket.clone();
        elsewhere(flavour, async move {
            watched.set("k", "from elsewhere").await?;
            wait_for_set(&mut events, "k", b"from elsewhere").await
        })
        .await?;
    }
    Ok(())
}

/// RUN-1, TTL-4: a vacancy that dies with its runtime goes to a caller who waits on another one.
pub(super) async fn vacancy_of_an_ended_runtime(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for flavour in Flavour::BOTH {
        let key = format!("{flavour:?}");
        let (taken, is_taken) = oneshot::channel();
        let (end, is_end) = oneshot::channel::<()>();
        let (holder, held) = (bucket.clone(), key.clone());
        let holding = tokio::spawn(elsewhere(flavour, async move {
            tokio::spawn(async move {
                let vacancy = holder.get_or_set(&held).await;
                let _ = taken.send(matches!(vacancy, Ok(GetOrSet::Vacant(_))));
                std::future::pending::<()>().await;
                drop(vacancy);
            });
            let _ = is_end.await;
            Ok(())
        }));
        ensure_eq!(in_time("a vacancy is taken", is_taken).await?, Ok(true));
        let waiter = bucket.clone();
        let waited = key.clone();
        let waiting = tokio::spawn(async move { waiter.get_or_set(&waited).await });
        let _ = end.send(());
        let given = in_time("the vacancy is passed on", waiting).await?;
        match given.map_err(|error| Stop::failed(format_args!("the waiter's task ended: {error}")))?? {
            GetOrSet::Vacant(vacancy) => ensure_eq!(vacancy.fill("v", None).await?, Fill::Stored),
            GetOrSet::Occupied(_) => return Err(Stop::failed("expected: the vacancy; found: an entry nobody wrote")),
        }
        holding.await.map_err(|error| Stop::failed(format_args!("the holder's task ended: {error}")))??;
        ensure_eq!(bucket.get(&key).await?.as_deref(), Some(&b"v"[..]));
    }
    Ok(())
}

fn send<T: Send + 'static>(value: T) -> T {
    value
}

fn shared<T: Send + Sync + 'static>(_: &T) {}

fn movable<F: Future + Send>(future: F) -> F {
    future
}

/// RUN-1: handles are `Send + Sync`, every call's future is `Send`, and tasks take both along.
pub(super) async fn futures_and_handles_are_send(cx: &Context) -> Outcome {
    let (store, bucket) = (cx.store(), cx.bucket("b").await?);
    shared(&store);
    shared(&bucket);
    send::<Option<(Cas, Vacancy, Events)>>(None);
    movable(bucket.set("k", "1")).await?;
    let read = (movable(bucket.get("k")).await?, movable(bucket.exists("k")).await?);
    ensure_eq!((read.0.as_deref(), read.1), (Some(&b"1"[..]), true));
    movable(bucket.set_many([("a", "1"), ("b", "2")])).await?;
    ensure_eq!(movable(bucket.get_many(&["a", "b"])).await?.iter().flatten().count(), 2);
    ensure_eq!(movable(bucket.keys("", None, 10)).await?.keys.len(), 3);
    movable(bucket.delete_many(&["a", "b"])).await?;
    if cx.declared().atomic {
        ensure_eq!(movable(bucket.increment("k", 1)).await?, 2);
        movable(bucket.compare_and_swap("k", Some(b"2"), Some("3".into()))).await?;
        movable(movable(bucket.cas("k")).await?.swap("4")).await?;
    }
    if cx.declared().cache {
        movable(bucket.set_with_ttl("t", "v", LONG)).await?;
        movable(bucket.ttl("t")).await?;
        if let GetOrSet::Vacant(vacancy) = movable(bucket.get_or_set("f")).await? {
            movable(vacancy.fill("v", None)).await?;
        }
    }
    let tasks = (0..32).map(|n| {
        let (store, bucket) = (store.clone(), bucket.clone());
        tokio::spawn(async move { tour(&store, &bucket, &format!("task {n}")).await })
    });
    for ended in futures_util::future::join_all(tasks).await {
        ended.map_err(|error| Stop::failed(format_args!("a task's calls panicked: {error}")))??;
    }
    movable(bucket.delete("k")).await?;
    movable(store.drop_bucket("b")).await?;
    ensure!(!movable(store.buckets()).await?.contains(&"b".to_owned()), "expected: the dropped bucket is not listed");
    Ok(())
}

/// RUN-1: streams, vacancies, versioned handles and buckets may be dropped where no runtime is.
pub(super) async fn dropped_outside_a_runtime(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for round in 0..20 {
        let key = format!("k{round}");
        bucket.set(&key, "v").await?;
        let declared = cx.declared();
        let events = if declared.watch.is_some() { Some(bucket.watch("").await?) } else { None };
        let handle = if declared.atomic { Some(bucket.cas(&key).await?) } else { None };
        let vacancy = if declared.cache { Some(bucket.get_or_set("absent").await?) } else { None };
        let unpolled = bucket.clone();
        let panics = Panics::of_this_thread();
        let dropped = std::thread::spawn(move || {
            panics.own_this_thread();
            drop(events);
            drop(handle);
            drop(vacancy);
            drop(unpolled.set("k", "never polled"));
            drop(unpolled);
        });
        ensure!(dropped.join().is_ok(), "expected: handles are dropped on a plain thread; found: a panic");
        ensure_eq!(bucket.get(&key).await?.as_deref(), Some(&b"v"[..]));
    }
    ensure!(!bucket.exists("k").await?, "expected: a call never polled writes nothing; found: an entry");
    Ok(())
}
