//! Reads of cold data and stalled writes wait somewhere else, not on the task that asked.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use kv_core::{Bucket, Durability, Store};
use kv_rocksdb::Config;
use libtest_mimic::{Failed, Trial};
use parking_lot::Mutex;

use crate::support::{block_on, fact, fail, open, open_with, trial, value};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("blocking::cold_reads_are_probed_and_sent_away", cold_reads),
        trial("blocking::cold_reads_of_many_are_sent_away", cold_reads_of_many),
        trial("blocking::reads_from_the_system's_memory_stay_on_the_task", trusted_reads),
        trial("blocking::a_stalled_write_holds_up_no_other_task", stalled),
    ]
}

/// 20 MiB in values of 4 KiB.
const ENTRIES: usize = 5_000;
const BYTES: usize = 4 << 10;

fn name(n: usize) -> String {
    format!("key{n:05}")
}

/// Rows of `info()`: reads that were answered where they were asked, and reads that were sent away.
async fn probes(store: &Store) -> Result<(u64, u64), Failed> {
    Ok((fact(store, &["probe", "hits"]).await?, fact(store, &["probe", "misses"]).await?))
}

/// A store of more than its block cache holds, opened anew.
async fn cold_store(path: &Path) -> Result<(Store, Bucket), Failed> {
    let store = open(path, Durability::Process).await?;
    let bucket = store.open_bucket("b").await?;
    for n in (0..ENTRIES).step_by(100) {
        bucket.set_many((n..n + 100).map(|n| (name(n), value(&name(n), BYTES)))).await?;
    }
    store.close().await?;
    let store = open_with(Config { cache_mb: 1, ..Config::new(path) }).await?;
    let bucket = store.open_bucket("b").await?;
    Ok((store, bucket))
}

async fn read(bucket: &Bucket, keys: impl Iterator<Item = usize>) -> Result<(), Failed> {
    for n in keys {
        if bucket.get(&name(n)).await?.as_deref() != Some(&value(&name(n), BYTES)[..]) {
            return fail(format!("{} is not as it was", name(n)));
        }
    }
    Ok(())
}

fn cold_reads() -> Result<(), Failed> {
    const READS: usize = 1_000;
    let folder = tempfile::tempdir()?;
    block_on(async {
        let (store, bucket) = cold_store(&folder.path().join("store")).await?;
        read(&bucket, 0..READS).await?;
        let (hits, misses) = probes(&store).await?;
        eprintln!("{READS} cold reads with a cache of 1 MiB: {hits} hits, {misses} misses");
        // Several neighbours share a block, so not each read misses; with 4 MiB in order, one a block does.
        if misses < READS as u64 / 50 {
            return fail(format!("of {READS} cold reads {misses} were probed and missed"));
        }
        for _ in 0..READS {
            bucket.get(&name(7)).await?;
        }
        let (hot_hits, hot_misses) = probes(&store).await?;
        if hot_hits < hits + 990 || hot_misses > misses + 10 {
            return fail(format!(
                "of {READS} reads of one entry {} hit and {} missed",
                hot_hits - hits,
                hot_misses - misses
            ));
        }
        Ok(store.close().await?)
    })
}

/// The engine's lookup of many reads the disk even where it is told to look in its cache only.
fn cold_reads_of_many() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let (store, bucket) = cold_store(&folder.path().join("store")).await?;
        let keys: Vec<String> = (0..ENTRIES).step_by(ENTRIES / 10).map(name).collect();
        let wanted: Vec<_> = keys.iter().map(|key| Some(value(key, BYTES))).collect();
        let found = bucket.get_many(&keys).await?;
        if !found.iter().zip(&wanted).all(|(found, wanted)| found.as_deref() == wanted.as_deref()) {
            return fail("the values are not as they were");
        }
        let (hits, misses) = probes(&store).await?;
        if (hits, misses) != (0, 1) {
            return fail(format!("a cold read of 10 keys counts as {hits} hits and {misses} misses, not as one miss"));
        }
        Ok(store.close().await?)
    })
}

/// The files were just written, so the system has them in memory: the pool is not needed for long.
fn trusted_reads() -> Result<(), Failed> {
    const ROUNDS: usize = 20;
    let folder = tempfile::tempdir()?;
    block_on(async {
        let (store, bucket) = cold_store(&folder.path().join("store")).await?;
        for _ in 0..ROUNDS {
            read(&bucket, 0..ENTRIES).await?;
            let (_, before) = probes(&store).await?;
            read(&bucket, 0..ENTRIES).await?;
            let (_, after) = probes(&store).await?;
            if after == before {
                let trusted = fact(&store, &["without", "probe"]).await?;
                eprintln!("{ENTRIES} reads in a row from the system's memory on the task, of {trusted} in all");
                return match trusted >= ENTRIES as u64 {
                    true => Ok(store.close().await?),
                    false => fail(format!("{trusted} reads were made without a probe, and none missed one")),
                };
            }
        }
        fail(format!(
            "in {ROUNDS} rounds of {ENTRIES} reads from the system's memory there were always some in the pool"
        ))
    })
}

/// How long this thread could have run and was not let, by the kernel's account.
fn waited_for_a_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// A future whose polls are timed, without the time in which other threads had the core.
struct Timed<F> {
    polls: Arc<Mutex<Vec<Duration>>>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let (waited, begun) = (waited_for_a_core(), Instant::now());
        let polled = self.future.as_mut().poll(cx);
        let took = begun.elapsed().saturating_sub(waited_for_a_core().saturating_sub(waited));
        self.polls.lock().push(took);
        polled
    }
}

/// What a poll takes at most where nothing waits for the disk: many times the contract's 1 ms, and less than it takes to
/// write a buffer of 64 MiB out, which is what a stalled write waits for.
const LONG: Duration = Duration::from_millis(20);

/// Polls that may be longer all the same, for what else the machine does. A write that waits takes one at each stall.
const LONG_POLLS: usize = 1;

/// Stalls after which enough was seen.
const STALLS: usize = 5;

/// What the contract lets one poll in a thousand exceed (RUN-2); told, but not judged here.
const PROMISED: Duration = Duration::from_millis(1);

/// Writers, and the bytes of each write.
const WRITERS: usize = 64;
const WRITE: usize = 32 << 10;

/// Bytes in all after which the engine must have stalled. It does when its buffers fill faster than it writes them out.
const MOST_BYTES: usize = 3 << 30;

/// How often the engine stopped writers, by its own diary: the provider's count is what is tried.
fn stops(path: &Path) -> Result<usize, Failed> {
    let diary = std::fs::read_to_string(path.join("LOG"))?;
    Ok(diary.lines().filter(|line| line.contains("Stopping writes because")).count())
}

fn stalled() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stall(&path))
}

/// All on one thread, so that a call that blocks it blocks everybody.
async fn stall(path: &Path) -> Result<(), Failed> {
    let store = open(path, Durability::Volatile).await?;
    let polls = Arc::new(Mutex::new(Vec::new()));
    let is_over = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let made = Arc::new(value("stall", WRITE + 4_096));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (polls, is_over, written) = (Arc::clone(&polls), Arc::clone(&is_over), Arc::clone(&written));
            let (store, made) = (store.clone(), Arc::clone(&made));
            tokio::spawn(async move {
                let bucket = store.open_bucket("b").await?;
                for n in 0.. {
                    // The end of bytes counts here too: a call that never waits may let nobody else say that it is over.
                    if is_over.load(Ordering::Relaxed) || written.load(Ordering::Relaxed) > MOST_BYTES {
                        break;
                    }
                    let bytes = &made[n % 4_096..][..WRITE];
                    // The same keys again and again, so that the disk does not fill up.
                    let key = format!("{writer}-{}", n % 100);
                    let write = Box::pin(bucket.set(&key, bytes));
                    Timed { polls: Arc::clone(&polls), future: write }.await?;
                    written.fetch_add(WRITE, Ordering::Relaxed);
                }
                Ok::<_, kv_core::Error>(())
            })
        })
        .collect();
    // The other task: it reads now and then, and sees whether there was a stall.
    let bucket = store.open_bucket("b").await?;
    let mut stops_seen = 0;
    while stops_seen < STALLS && written.load(Ordering::Relaxed) < MOST_BYTES {
        let read = Timed { polls: Arc::clone(&polls), future: Box::pin(bucket.get("0-0")) };
        read.await?;
        stops_seen = stops(path)?;
        tokio::task::yield_now().await;
    }
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await??;
    }
    let (stops_seen, told) = (stops(path)?, fact(&store, &["stall"]).await?);
    let mut polls = std::mem::take(&mut *polls.lock());
    polls.sort_unstable();
    let long = polls.iter().filter(|took| **took > LONG).count();
    let over = polls.iter().filter(|took| **took > PROMISED).count();
    let bytes = written.load(Ordering::Relaxed);
    eprintln!(
        "{stops_seen} stalls, {told} writes sent away, after {} MiB; of {} polls {over} were over {PROMISED:?}, {long} over {LONG:?}, the longest {:?}",
        bytes >> 20,
        polls.len(),
        polls.last()
    );
    store.close().await?;
    if stops_seen < STALLS {
        return fail(format!("{stops_seen} stalls in {bytes} bytes, so little was tried"));
    }
    if long > LONG_POLLS {
        return fail(format!("{long} of {} polls over {LONG:?}, the longest {:?}", polls.len(), polls.last()));
    }
    if told == 0 {
        return fail("info() does not tell of the writes that were stalled");
    }
    Ok(())
}
