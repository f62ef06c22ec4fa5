use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use kv_core::Store;

use super::super::store::entries::{buckets, ensure_bytes, noise};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// How long files and threads may take to go once their owner is gone.
const SETTLE: Duration = Duration::from_secs(2);

/// What this process holds open.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    files: usize,
    threads: usize,
    resident_kib: usize,
}

impl Footprint {
    /// Reads the counts; where there is no `/proc` the case does not apply.
    fn take() -> Result<Self, Stop> {
        let absent = |error| Stop::NotApplicable(format!("this machine does not tell what a process holds: {error}"));
        let files = std::fs::read_dir("/proc/self/fd").map_err(absent)?.count();
        let status = std::fs::read_to_string("/proc/self/status").map_err(absent)?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok())
        };
        match (field("Threads:"), field("VmRSS:")) {
            (Some(threads), Some(resident_kib)) => Ok(Self { files, threads, resident_kib }),
            _ => Err(Stop::NotApplicable("this machine does not tell a process's threads and memory".to_owned())),
        }
    }

    /// Waits until no more files and threads are there than before, but for `slack`.
    async fn settles(before: Self, slack: usize) -> Result<Self, Stop> {
        let until = Instant::now() + SETTLE;
        loop {
            let now = Self::take()?;
            let is_back = now.files <= before.files + slack && now.threads <= before.threads + slack;
            if is_back || Instant::now() > until {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// BKT-4: open and drop rounds by the ten thousand leave no file, thread or memory behind.
pub(super) async fn ten_thousand_opens_leave_nothing(cx: &Context) -> Outcome {
    const ROUNDS: usize = 10_000;
    // A connection pool or a blocking pool may grow by a few on the way; a leak of one in a hundred shows.
    const SLACK: usize = 16;
    // What 20,000 names of 250 bytes need is more, even if nothing else leaks.
    const MEMORY_KIB: usize = 4 << 10;
    let store = cx.store();
    let kept = store.open_bucket("kept").await?;
    kept.set("k", "v").await?;
    // The first 10,000 fill caches and the allocator's free lists.
    rounds(&store, 0..ROUNDS).await?;
    let before = Footprint::take()?;
    rounds(&store, ROUNDS..3 * ROUNDS).await?;
    let after = Footprint::settles(before, SLACK).await?;
    let held = format!("{before:?} before and {after:?} after {} open and drop rounds", 2 * ROUNDS);
    ensure!(after.files <= before.files + SLACK, "expected: no open files left behind; found: {held}");
    ensure!(after.threads <= before.threads + SLACK, "expected: no threads left behind; found: {held}");
    ensure!(after.resident_kib <= before.resident_kib + MEMORY_KIB, "expected: no memory left behind; found: {held}");
    ensure_bytes("a handle opened before", kept.get("k").await?.as_ref(), b"v")?;
    ensure_eq!(buckets(&store).await?, vec!["kept".to_owned()]);
    Ok(())
}

/// Opens a bucket of a new long name in each round and drops it; two more handles share it meanwhile.
async fn rounds(store: &Store, rounds: std::ops::Range<usize>) -> Outcome {
    for round in rounds {
        let name = format!("{round:0>250}");
        let bucket = store.open_bucket(&name).await?;
        let again = store.open_bucket(&name).await?;
        ensure!(bucket.clone().name() == again.name(), "expected: the name {name:?}; found: {:?}", again.name());
    }
    Ok(())
}

/// BKT-4, BKT-5: closing gives back what opening took, time after time.
pub(super) async fn reopening_leaves_nothing(cx: &Context) -> Outcome {
    const WARM: usize = 4;
    const ROUNDS: usize = 16;
    const SLACK: usize = 6;
    let mut before = Footprint::take()?;
    for round in 0..WARM + ROUNDS {
        let store = cx.reopen().await?;
        let bucket = store.open_bucket("b").await?;
        bucket.set("round", format!("{round}")).await?;
        ensure_bytes("the value just set", bucket.get("round").await?.as_ref(), format!("{round}").as_bytes())?;
        if round == WARM {
            before = Footprint::take()?;
        }
    }
    let after = Footprint::settles(before, SLACK).await?;
    let held = format!("{before:?} before and {after:?} after {ROUNDS} reopenings");
    ensure!(after.files <= before.files + SLACK, "expected: no open files left behind; found: {held}");
    ensure!(after.threads <= before.threads + SLACK, "expected: no threads left behind; found: {held}");
    Ok(())
}

/// BKT-1: opening a bucket and writing to it first costs as much among 4,096 buckets as among few.
pub(super) async fn many_buckets_cost_the_same(cx: &Context) -> Outcome {
    const AT_ONCE: usize = 32;
    const CHUNKS: usize = 128;
    const COMPARED: usize = 8;
    // Far beyond noise, far below what a cost that grows with the number of buckets comes to.
    const TIMES: u32 = 8;
    const SLACK: Duration = Duration::from_micros(500);
    let store = cx.store();
    let value = noise(1, 16);
    let mut took = Vec::new();
    for chunk in 0..CHUNKS {
        let names: Vec<String> = (0..AT_ONCE).map(|at| format!("bucket {chunk}/{at}")).collect();
        let started = Instant::now();
        try_join_all(names.iter().map(|name| async {
            let bucket = store.open_bucket(name).await?;
            bucket.set("k", value.clone()).await
        }))
        .await?;
        took.push(started.elapsed());
    }
    ensure_eq!(store.buckets().await?.len(), AT_ONCE * CHUNKS, "the number of buckets made");
    // The least of several: what other work on the machine adds is never negative.
    let first = took.iter().take(COMPARED).min().copied().unwrap_or_default();
    let last = took.iter().rev().take(COMPARED).min().copied().unwrap_or_default();
    ensure!(
        last <= first * TIMES + SLACK,
        "expected: {AT_ONCE} buckets are opened and written among {} as fast as at first ({first:?}); found: {last:?}",
        AT_ONCE * CHUNKS
    );
    Ok(())
}
