//! Reads by a clock that the test sets, and a stall that lasts until the test ends it.

use std::cell::Cell;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use kv_core::{Batch as _, ReadWrite as _};
use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::info::info;
use crate::open::open_with;
use crate::trust::tests::{enough, meters, reads_take};

/// 4 MiB in values of 4 KiB, beside a block cache of 1 MiB.
const ENTRIES: usize = 1_024;
const BYTES: usize = 4 << 10;

pub(crate) fn name(n: usize) -> String {
    format!("key{n:05}")
}

/// Values do not compress, and differ.
fn value(n: usize) -> Vec<u8> {
    let mut state = n as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as u8
    };
    (0..BYTES).map(|_| next()).collect()
}

fn bucket(folder: &TempDir) -> Bucket {
    let config = Config { cache_mb: 1, ..Config::new(folder.path()) };
    let handle = Arc::new(open_with(config, meters()).unwrap());
    let inner = &handle.inner;
    let state = inner.engine.run(Way::Shared, |view| inner.registry.state(view, "b")).unwrap();
    Bucket::new(&handle, state)
}

/// A bucket whose rows are in tables, of which the cache holds a quarter.
pub(crate) async fn cold_bucket(folder: &TempDir) -> Bucket {
    let bucket = bucket(folder);
    for n in 0..ENTRIES {
        bucket.set(&name(n), value(n).into()).await.unwrap();
    }
    let engine = &bucket.inner.engine;
    engine.wait("writing out", |view| view.db.db.flush().map_err(Fault::Read)).unwrap();
    // It may tell that it is done a moment before reads look into the table.
    let last = name(ENTRIES - 1);
    while !matches!(engine.run(Way::Quick, |view| load(view, &bucket.state, &last)), Err(Fault::Cold)) {
        tokio::task::yield_now().await;
    }
    bucket
}

async fn read_all(bucket: &Bucket) {
    read(bucket, 0..ENTRIES).await;
}

pub(crate) async fn read(bucket: &Bucket, entries: Range<usize>) {
    for n in entries {
        assert_eq!(bucket.get(&name(n)).await.unwrap().unwrap(), value(n)[..]);
    }
}

/// How often a future is polled until it ends.
async fn polls(future: impl Future<Output = ()>) -> usize {
    let (mut future, mut polls) = (pin!(future), 0);
    poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    })
    .await;
    polls
}

#[tokio::test]
async fn reads_from_the_systems_memory_stay_on_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = cold_bucket(&folder).await;
    let counts = &bucket.inner.counts;
    reads_take(Duration::from_micros(5));
    // Nearly each read misses a block, and earns a point on the pool.
    for _ in 0..8 {
        read_all(&bucket).await;
    }
    assert!(bucket.inner.trust.is_enough());
    let (misses, trusted) = (counts.misses.sum(), counts.trusted.sum());
    assert!(misses >= 4_096, "{misses}");
    read_all(&bucket).await;
    assert_eq!(counts.misses.sum(), misses);
    let rows = info(&bucket.inner).unwrap();
    assert!(rows.contains(&("reads without a probe", counts.trusted.sum().to_string())), "{rows:?}");
    let trusted = counts.trusted.sum() - trusted;
    assert!(trusted >= ENTRIES as u64 / 2, "{trusted} reads were made without a probe, and none missed one");
}

#[tokio::test]
async fn a_read_that_waits_on_the_task_sends_the_next_ones_away() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = cold_bucket(&folder).await;
    let counts = &bucket.inner.counts;
    enough(&bucket.inner.trust);
    reads_take(Duration::from_micros(201));
    for n in 0..3 {
        bucket.get(&name(n * 100)).await.unwrap();
    }
    assert_eq!((counts.trusted.sum(), counts.misses.sum()), (1, 2));
    enough(&bucket.inner.trust_many);
    reads_take(Duration::from_micros(501));
    for n in 4..7 {
        bucket.get_many(&[&name(n * 100), &name(n * 100 + 50)], usize::MAX).await.unwrap();
    }
    assert_eq!((counts.trusted.sum(), counts.misses.sum()), (3, 4));
}

#[tokio::test]
async fn long_reads_end_a_turn_by_their_time() {
    const READS: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let bucket = cold_bucket(&folder).await;
    enough(&bucket.inner.trust);
    // As much as a read may take: a turn of 128 units, 5 µs each, ends after the fourth.
    reads_take(Duration::from_micros(200));
    let singles = polls(async {
        for n in 0..READS {
            bucket.get(&name(n * 16)).await.unwrap();
        }
    });
    assert!(singles.await >= READS / 4, "too few turns");
    assert_eq!(bucket.inner.counts.trusted.sum(), READS as u64);
    let looks = polls(async {
        for n in 0..READS {
            assert!(bucket.exists(&name(n * 16)).await.unwrap());
        }
    });
    assert!(looks.await >= READS / 4, "too few turns");
    // And these after the second, whether they are trusted or found all in the cache.
    reads_take(Duration::from_micros(500));
    for is_trusted in [false, true] {
        if is_trusted {
            enough(&bucket.inner.trust_many);
        }
        let many = polls(async {
            for _ in 0..READS {
                bucket.get_many(&["key00001", "key00002"], usize::MAX).await.unwrap();
            }
        });
        assert!(many.await >= READS / 2, "too few turns");
    }
    let writes = polls(async {
        for _ in 0..READS {
            bucket.set_many(&[("new1", "v".into()), ("new2", "v".into())]).await.unwrap();
        }
    });
    assert!(writes.await >= READS / 2, "too few turns");
}

#[test]
fn what_was_charged_is_not_charged_again() {
    let rests = [0, 4, 5, 9, 10, 200].map(|micros| rest(Duration::from_micros(micros), SHORT_UNITS));
    assert_eq!(rests, [0, 0, 0, 0, 1, 39]);
    assert_eq!(rest(Duration::from_micros(100), 30), 0);
}

/// Has the engine stop writes, or go on: it does where it has that many tables that are not sorted in yet.
fn stop_at(inner: &Inner, tables: usize) {
    let tables = tables.to_string();
    let limits = [("level0_slowdown_writes_trigger", &*tables), ("level0_stop_writes_trigger", &*tables)];
    inner.engine.wait("setting limits", |view| view.db.db.set_options(&limits).map_err(Fault::Read)).unwrap();
}

/// All on one thread, so that a call that blocks it blocks everybody.
#[tokio::test]
async fn a_stalled_write_holds_up_no_other_task() {
    const WRITERS: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let bucket = cold_bucket(&folder).await;
    stop_at(&bucket.inner, 1);
    // Ends the stall when it is told, or when the other thread is blocked by it.
    let (end, ends) = mpsc::channel();
    let inner = Arc::clone(&bucket.inner);
    let ender = thread::spawn(move || {
        let told = ends.recv_timeout(Duration::from_secs(30));
        stop_at(&inner, 100);
        told.is_ok()
    });
    let local = tokio::task::LocalSet::new();
    let begun = Rc::new(Cell::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (bucket, begun) = (bucket.clone(), Rc::clone(&begun));
            local.spawn_local(async move {
                begun.set(begun.get() + 1);
                bucket.set(&format!("new{n}"), "v".into()).await
            })
        })
        .collect();
    let all = async {
        while begun.get() < WRITERS {
            tokio::task::yield_now().await;
        }
        assert_eq!(bucket.get(&name(1)).await.unwrap().unwrap(), value(1)[..]);
        let waiting = writers.iter().filter(|writer| !writer.is_finished()).count();
        let _ = end.send(());
        assert!(ender.join().unwrap(), "a write that had to wait blocked its thread");
        assert_eq!(waiting, WRITERS, "writes went on although the engine had stopped them");
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
    };
    local.run_until(all).await;
    for n in 0..WRITERS {
        assert_eq!(bucket.get(&format!("new{n}")).await.unwrap().unwrap(), b"v"[..]);
    }
    let rows = info(&bucket.inner).unwrap();
    assert!(rows.contains(&("stalled writes", "1".to_owned())), "{rows:?}");
}
