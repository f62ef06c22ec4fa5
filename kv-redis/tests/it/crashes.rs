//! Servers that crash and freeze.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Effect, ErrorKind, Event};
use libtest_mimic::Failed;

use crate::Row;
use crate::support::{PATIENCE, Server, block_on, ensure_eq, store, store_with};

/// How long after a server's return calls succeed again.
pub(crate) const SERVICE: Duration = Duration::from_secs(1);

pub(crate) const TESTS: &[Row] = &[
    (&[], "crashes::a_restart_is_survived_without_reopening", restart),
    (&["--appendonly", "yes", "--appendfsync", "always"], "crashes::increments_are_applied_once", increments),
    (&[], "crashes::a_frozen_server_times_out_and_comes_back", freeze),
    (&[], "crashes::cut_connections_reach_no_wrong_caller", cuts),
];

/// A bucket, a guard and a watcher go on after the server was started again, and scripts that it has forgotten work.
fn restart(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let store = store(server, "restart");
        let bucket = store.open_bucket("b").await?;
        bucket.set("k", "1").await?;
        ensure_eq!(bucket.compare_and_swap("k", Some(b"1"), Some("2".into())).await?, kv_core::Swap::Swapped);
        let guard = bucket.cas("k").await?;
        let mut events = bucket.watch("").await?;
        server.kill();
        let error = bucket.get("k").await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None));
        server.resume()?;
        let begun = Instant::now();
        while let Err(error) = bucket.set("k", "3").await {
            ensure_eq!(error.effect(), Effect::None);
            if begun.elapsed() > SERVICE {
                return Err(format!("{SERVICE:?} after the server's return: {error}").into());
            }
            tokio::task::yield_now().await;
        }
        let lost = matches!(guard.swap("4").await?, kv_core::CasSwap::Lost(_));
        ensure_eq!(lost, true);
        ensure_eq!(bucket.compare_and_swap("k", Some(b"3"), Some("5".into())).await?, kv_core::Swap::Swapped);
        let resync = async { while events.next().await.is_some_and(|event| event != Event::Resync) {} };
        tokio::time::timeout(PATIENCE, resync).await?;
        bucket.set("seen", "6").await?;
        let seen = async { while !matches!(events.next().await, Some(Event::Set { key, .. }) if key == "seen") {} };
        tokio::time::timeout(PATIENCE, seen).await?;
        Ok(())
    })
}

/// 64 callers count while the server is killed again and again.
fn increments(server: &mut Server) -> Result<(), Failed> {
    const CALLERS: usize = 64;
    const CRASHES: usize = 20;
    block_on(async {
        let store = store(server, "crashes");
        let bucket = store.open_bucket("b").await?;
        let (acknowledged, unknown) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let done = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (bucket, done) = (bucket.clone(), Arc::clone(&done));
                let (acknowledged, unknown) = (Arc::clone(&acknowledged), Arc::clone(&unknown));
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        match bucket.increment("n", 1).await {
                            Ok(_) => _ = acknowledged.fetch_add(1, Ordering::Relaxed),
                            Err(error) if error.effect() == Effect::Unknown => {
                                unknown.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(_) => tokio::task::yield_now().await,
                        }
                    }
                })
            })
            .collect();
        for _ in 0..CRASHES {
            server.kill();
            server.resume()?;
            let (back, before) = (Instant::now(), acknowledged.load(Ordering::Relaxed));
            // Soon there is service again, and then enough of it that there is something to lose.
            for (further, bound) in [(1, SERVICE), (100, PATIENCE)] {
                while acknowledged.load(Ordering::Relaxed) < before + further {
                    if back.elapsed() > bound {
                        return Err(format!("{bound:?} after the server's return {further} were not counted").into());
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await?;
        }
        let (acknowledged, unknown) = (acknowledged.load(Ordering::Relaxed), unknown.load(Ordering::Relaxed));
        let counter = bucket.increment("n", 0).await?;
        println!("{acknowledged} acknowledged, {unknown} unknown, the counter says {counter}");
        if !(acknowledged..=acknowledged + unknown).contains(&counter) {
            return Err(format!("{acknowledged} acknowledged, {unknown} unknown, but {counter} counted").into());
        }
        Ok(())
    })
}

fn freeze(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let store = store_with(server, "freeze", |config| {
            config.timeout = Duration::from_millis(100);
            config.connect_timeout = Duration::from_millis(200);
        });
        let bucket = store.open_bucket("b").await?;
        bucket.set("k", "1").await?;
        server.signal("STOP")?;
        let write = bucket.set("k", "2").await.unwrap_err();
        ensure_eq!((write.kind(), write.effect()), (ErrorKind::Timeout, Effect::Unknown));
        let read = bucket.get("k").await.unwrap_err();
        ensure_eq!((read.kind(), read.effect(), read.is_retryable()), (ErrorKind::Timeout, Effect::None, true));
        // After some of these the connection is given up, and the next ones fail while a new one is tried.
        for _ in 0..5 {
            ensure_eq!(bucket.get("k").await.unwrap_err().effect(), Effect::None);
            ensure_eq!(bucket.cas("k").await.unwrap_err().effect(), Effect::None);
        }
        server.signal("CONT")?;
        let begun = Instant::now();
        while bucket.get("k").await.is_err() {
            if begun.elapsed() > PATIENCE {
                return Err("it did not come back".into());
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    })
}

/// Connections are cut 200 times while callers read keys of their own.
fn cuts(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let store = store(server, "cuts");
        let bucket = store.open_bucket("b").await?;
        let done = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..64)
            .map(|caller| {
                let (bucket, done) = (bucket.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    let key = format!("k{caller}");
                    let mut answers = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        match bucket.get(&key).await {
                            Ok(Some(found)) if *found == *key.as_bytes() => answers += 1,
                            Ok(Some(found)) => return Err(format!("{key} was answered with {found:?}")),
                            Ok(None) => drop(bucket.set(&key, key.clone()).await),
                            Err(error) if error.effect() != Effect::None => return Err(format!("a read: {error}")),
                            Err(_) => tokio::task::yield_now().await,
                        }
                    }
                    Ok(answers)
                })
            })
            .collect();
        let mut other = server.client()?;
        for _ in 0..200 {
            let _: i64 = redis::cmd("CLIENT")
                .arg("KILL")
                .arg("TYPE")
                .arg("normal")
                .arg("SKIPME")
                .arg("yes")
                .query(&mut other)?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            if caller.await?? == 0 {
                return Err("a caller was never answered".into());
            }
        }
        Ok(())
    })
}
