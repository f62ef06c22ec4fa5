//! Sentinels: a primary that is replaced, and writes that wait for a replica.

use std::path::Path;
use std::time::{Duration, Instant};

use kv_core::{CasSwap, Effect, ErrorKind, Event, Store};
use libtest_mimic::Failed;

use crate::GroupRow;
use crate::load::Load;
use crate::support::sentinel::Sentinels;
use crate::support::{PATIENCE, block_on, ensure_eq, open};

pub(crate) const TESTS: &[GroupRow] = &[
    ("sentinel::a_primary_dies_under_load", |program| under_load(program, false)),
    ("sentinel::a_primary_freezes_under_load", |program| under_load(program, true)),
    ("sentinel::watchers_and_guards_outlive_a_primary", outlive),
    ("sentinel::a_write_waits_for_replicas", waits),
    ("sentinel::names_and_sentinels_that_are_not_there", absent),
];

fn store(group: &Sentinels, options: &str) -> Result<Store, Failed> {
    let timeouts = "timeout_ms=1000&connect_timeout_ms=500";
    Ok(open(&format!("redis+sentinel://{}/main?{timeouts}{options}", group.hosts()))?)
}

fn under_load(program: &Path, freezes: bool) -> Result<(), Failed> {
    let mut group = Sentinels::start(program, &[])?;
    block_on(async {
        let bucket = store(&group, "")?.open_bucket("b").await?;
        let load = Load::start(&bucket);
        load.recovers(Instant::now()).await?;
        load.may_lose();
        let since = Instant::now();
        let old = if freezes { group.pause_primary()? } else { group.kill_primary()? };
        let new = tokio::task::block_in_place(|| group.wait_for_new_primary(old))?;
        ensure_eq!(old == new, false);
        let failover = since.elapsed();
        let recovery = load.recovers(since).await?;
        let sum = load.end().await?;
        println!("a new primary after {failover:?}, no call failed after {recovery:?}; {sum:?}");
        // The sentinels' word, and a second for us.
        ensure_eq!(recovery < failover + Duration::from_secs(1), true, "{recovery:?} {failover:?}");
        Ok(())
    })
}

fn outlive(program: &Path) -> Result<(), Failed> {
    let mut group = Sentinels::start(program, &[])?;
    block_on(async {
        let bucket = store(&group, "")?.open_bucket("b").await?;
        bucket.set("k", "1").await?;
        let guard = bucket.cas("k").await?;
        let mut events = bucket.watch("").await?;
        group.wait_until_settled()?;
        let old = group.kill_primary()?;
        tokio::task::block_in_place(|| group.wait_for_new_primary(old))?;
        let begun = Instant::now();
        while let Err(error) = bucket.set("k", "2").await {
            ensure_eq!(begun.elapsed() < PATIENCE, true, "{error}");
        }
        ensure_eq!(matches!(guard.swap("late").await?, CasSwap::Lost(_)), true);
        let resync = async { while events.next().await.is_some_and(|event| event != Event::Resync) {} };
        tokio::time::timeout(PATIENCE, resync).await?;
        bucket.set("k", "seen").await?;
        let seen =
            async { while !matches!(events.next().await, Some(Event::Set { value, .. }) if *value == *b"seen") {} };
        tokio::time::timeout(PATIENCE, seen).await?;
        // The old one comes back as a replica, and nobody writes to it.
        group.resume(old)?;
        group.wait_until_settled()?;
        ensure_eq!(bucket.get("k").await?.as_deref(), Some(&b"seen"[..]));
        Ok(())
    })
}

fn waits(program: &Path) -> Result<(), Failed> {
    let mut group = Sentinels::start(program, &[])?;
    block_on(async {
        let bucket = store(&group, "&wait_replicas=1")?.open_bucket("b").await?;
        bucket.set("k", "1").await?;
        bucket.set("k", "2").await?;
        let guard = bucket.cas("k").await?;
        ensure_eq!(matches!(guard.swap("3").await?, CasSwap::Swapped), true);
        ensure_eq!(group.server(1)?.ask::<String>(&["GET", "kv:e:b:0:k"])?, "3");
        let guard = bucket.cas("guarded").await?;
        group.freeze(1)?;
        for (what, error) in [
            ("set", bucket.set("k", "4").await),
            ("set of a new key", bucket.set("new", "4").await),
            ("increment", bucket.increment("n", 1).await.map(drop)),
            ("swap", guard.swap("5").await.map(drop)),
            ("set_many", bucket.set_many([("a", "1"), ("b", "2")]).await),
        ] {
            let Err(error) = error else { return Err(format!("{what} did not wait").into()) };
            ensure_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown), "{what}: {error}");
            ensure_eq!(error.to_string().contains("only 0 of 1 replicas"), true, "{what}: {error}");
        }
        // Reads do not wait, and the writes were done.
        ensure_eq!(bucket.get("k").await?.as_deref(), Some(&b"4"[..]));
        ensure_eq!(bucket.get("guarded").await?.as_deref(), Some(&b"5"[..]));
        group.unpause(1)?;
        bucket.set("k", "6").await?;
        Ok(())
    })
}

fn absent(program: &Path) -> Result<(), Failed> {
    let mut group = Sentinels::start(program, &[])?;
    block_on(async {
        let wrong = open(&format!("redis+sentinel://{}/other", group.hosts()))?;
        let error = wrong.open_bucket("b").await?.get("k").await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::InvalidArgument, Effect::None), "{error}");
        ensure_eq!(error.to_string().contains("no primary of the name"), true, "{error}");
        // One sentinel is enough, also if the first ones are gone.
        group.kill_sentinel(0);
        group.kill_sentinel(1);
        let bucket = store(&group, "")?.open_bucket("b").await?;
        bucket.set("k", "v").await?;
        group.kill_sentinel(2);
        ensure_eq!(bucket.get("k").await?.is_some(), true);
        let late = store(&group, "")?.open_bucket("b").await?;
        let begun = Instant::now();
        let error = late.get("k").await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
        ensure_eq!(begun.elapsed() < Duration::from_secs(5), true);
        // A server is no sentinel.
        let server = open(&format!("redis+sentinel://127.0.0.1:{}/main", group.port(0)))?;
        let error = server.open_bucket("b").await?.get("k").await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::InvalidArgument, Effect::None), "{error}");
        Ok(())
    })
}
