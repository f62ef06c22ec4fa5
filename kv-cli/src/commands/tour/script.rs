//! What the tour does. The code that it prints is the code that runs.

use std::future::Future;
use std::time::{Duration, Instant};

use kv::{Bucket, Event, Events, Store, Swap};

use super::steps::Steps;
use crate::commands::wasi;
use crate::exit::Failure;
use crate::session;

/// How long to wait for what comes by itself, such as an expiry. Only a broken store takes as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to look meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A short time to live that still lets the entry be seen.
const MOMENT: Duration = Duration::from_millis(50);

/// Tasks that race for one key.
const RACERS: usize = 8;

/// Shows a call beside its result.
macro_rules! call {
    ($steps:ident, $call:expr, $promised:expr) => {
        $steps.check(concat!(stringify!($call), ".await?"), $call.await, $promised)?
    };
    ($steps:ident, let $name:ident = $call:expr, $promised:expr) => {
        $steps.keep(concat!("let ", stringify!($name), " = ", stringify!($call), ".await?"), $call.await, $promised)?
    };
}

/// Goes through everything in the bucket `name`, which is new, and removes it.
pub(super) async fn play(url: &str, store: &Store, name: &str, steps: &mut Steps<'_>) -> Result<(), Failure> {
    let declared = store.declared();
    steps.section("Read and write")?;
    let bucket = call!(steps, let bucket = store.open_bucket(name), "a bucket");
    call!(steps, bucket.set("greeting", "hello"), "()");
    call!(steps, bucket.get("greeting"), "Some(\"hello\")");
    call!(steps, bucket.set("greeting", "hi"), "()");
    call!(steps, bucket.get("greeting"), "Some(\"hi\")");
    steps.section("A missing key is no error, and the empty value is a value")?;
    call!(steps, bucket.get("nobody"), "None");
    call!(steps, bucket.exists("nobody"), "false");
    call!(steps, bucket.set("empty", ""), "()");
    call!(steps, bucket.get("empty"), "Some(\"\")");
    call!(steps, bucket.delete("empty"), "()");
    steps.section("Many at once, in the order asked")?;
    call!(steps, bucket.set_many([("a/1", "x"), ("a/2", "y")]), "()");
    call!(steps, bucket.get_many(&["a/2", "nobody", "a/1"]), "[Some(\"y\"), None, Some(\"x\")]");
    call!(steps, bucket.keys("a/", None, None), "[\"a/1\", \"a/2\"]");
    if declared.atomic {
        atomic(&bucket, steps).await?;
    }
    if declared.cache {
        expiry(&bucket, steps).await?;
    }
    if declared.watch.is_some() {
        watch(&bucket, steps).await?;
    }
    for (has, power) in
        [(declared.atomic, "atomic operations"), (declared.cache, "expiry"), (declared.watch.is_some(), "watch")]
    {
        if !has {
            steps.remark(&format!("This provider declares no {power}."))?;
        }
    }
    reopen(url, store, name, steps).await
}

async fn atomic(bucket: &Bucket, steps: &mut Steps<'_>) -> Result<(), Failure> {
    steps.section("A counter")?;
    call!(steps, bucket.increment("visits", 1), "1");
    call!(steps, bucket.increment("visits", 41), "42");
    call!(steps, bucket.get("visits"), "Some(\"42\")");
    steps.section("A race: tasks swap at once, and exactly one wins")?;
    let (found, winner) = race(bucket).await?;
    let call = format!("{RACERS} x bucket.compare_and_swap(\"seat\", None, task).await?");
    steps.compare(&call, found, &format!("1 swapped, {} found its value", RACERS - 1))?;
    let first = call!(steps, let first = bucket.cas("seat"), &format!("a handle on Some({winner:?})"));
    let second = call!(steps, let second = bucket.cas("seat"), &format!("a handle on Some({winner:?})"));
    call!(steps, first.swap("ann"), "Swapped");
    call!(steps, second.swap("bob"), "Lost to Some(\"ann\")");
    Ok(())
}

/// Lets tasks race for one key; says how many won, and which value did.
async fn race(bucket: &Bucket) -> Result<(String, String), Failure> {
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(RACERS));
    let mut tasks = tokio::task::JoinSet::new();
    for racer in 0..RACERS {
        let (bucket, start) = (bucket.clone(), start.clone());
        tasks.spawn(async move {
            start.wait().await;
            let value = format!("task {racer}");
            let swap = bucket.compare_and_swap("seat", None, Some(value.clone().into())).await?;
            Ok::<_, kv::Error>((value, swap))
        });
    }
    let (mut won, mut found) = (Vec::new(), Vec::new());
    while let Some(ended) = tasks.join_next().await {
        let (own, swap) =
            ended.map_err(|cause| Failure::other(format!("a task of the race ended early: {cause}")))??;
        match swap {
            Swap::Swapped => won.push(own),
            Swap::Found(other) => found.push(other),
        }
    }
    let winner = won.first().cloned().unwrap_or_default();
    let saw = found.iter().filter(|value| value.as_deref() == Some(winner.as_bytes())).count();
    Ok((format!("{} swapped, {saw} found its value", won.len()), winner))
}

async fn expiry(bucket: &Bucket, steps: &mut Steps<'_>) -> Result<(), Failure> {
    steps.section("Expiry")?;
    call!(steps, bucket.set_with_ttl("session", "x", HOUR), "()");
    call!(steps, bucket.ttl("session"), "Left(60 min)");
    call!(steps, bucket.set_with_ttl("flash", "y", MOMENT), "()");
    let began = Instant::now();
    while began.elapsed() < PATIENCE && bucket.exists("flash").await? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    steps.remark("// when a MOMENT, 50 ms, has passed")?;
    call!(steps, bucket.get("flash"), "None");
    Ok(())
}

async fn watch(bucket: &Bucket, steps: &mut Steps<'_>) -> Result<(), Failure> {
    steps.section("Watching changes")?;
    let mut events = call!(steps, let events = bucket.watch("news"), "a stream");
    call!(steps, bucket.set("news", "first"), "()");
    call!(steps, bucket.delete("news"), "()");
    let set = next(&mut events, |_| true).await;
    // A stream of latest values may leave the first one out.
    if !matches!(set, Some(Event::Deleted { .. })) {
        steps.check("events.next().await", Ok(set), "Some(Set { \"news\", \"first\" })")?;
        let deleted = next(&mut events, |event| !matches!(event, Event::Set { .. })).await;
        steps.check("events.next().await", Ok(deleted), "Some(Deleted { \"news\" })")?;
    }
    Ok(())
}

/// The next event that is wanted, if it comes in time.
async fn next(events: &mut Events, is_wanted: impl Fn(&Event) -> bool) -> Option<Event> {
    let wanted = async {
        loop {
            let event = events.next().await?;
            if is_wanted(&event) {
                return Some(event);
            }
        }
    };
    in_time(wanted).await.flatten()
}

async fn in_time<T>(what: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, what).await.ok()
}

async fn reopen(url: &str, store: &Store, name: &str, steps: &mut Steps<'_>) -> Result<(), Failure> {
    steps.section("Closing and opening again")?;
    call!(steps, store.close(), "()");
    let store = call!(steps, let store = kv::open(url), "a store");
    let ended = reopened(&store, name, steps).await;
    let closed = store.close().await;
    ended?;
    Ok(closed?)
}

async fn reopened(store: &Store, name: &str, steps: &mut Steps<'_>) -> Result<(), Failure> {
    let bucket = call!(steps, let bucket = store.open_bucket(name), "a bucket");
    call!(steps, bucket.get("greeting"), "Some(\"hi\")");
    guest(store, name, steps).await?;
    call!(steps, store.drop_bucket(name), "()");
    call!(steps, bucket.exists("greeting"), "false");
    Ok(())
}

/// A program compiled to WebAssembly reads what was stored, and stores what is read.
async fn guest(store: &Store, name: &str, steps: &mut Steps<'_>) -> Result<(), Failure> {
    if !wasi::IS_INCLUDED {
        return Ok(());
    }
    steps.section("A program compiled to a WebAssembly component, each call in an instance of its own")?;
    for (call, arguments, promised) in [
        ("get", format!("{name:?}, \"greeting\""), "some([104, 105])"),
        ("set", format!("{name:?}, \"from a guest\", b\"hello\""), ""),
        ("get", format!("{name:?}, \"from a guest\""), "some([104, 101, 108, 108, 111])"),
        ("get", format!("{name:?}, \"nobody\""), "none"),
    ] {
        let found = wasi::example(store, &format!("golem:examples/api.{call}({arguments})")).await?;
        let shown = arguments.replacen(&format!("{name:?}"), "name", 1);
        steps.compare(&format!("api.{call}({shown})"), found, promised)?;
    }
    Ok(())
}

/// Removes the bucket after a failure, as far as the store lets us.
pub(super) async fn clean_up(url: &str, name: &str) {
    if let Ok(store) = session::open(url).await {
        // The failure that led here is what is told.
        let _ = store.drop_bucket(name).await;
        let _ = store.close().await;
    }
}
