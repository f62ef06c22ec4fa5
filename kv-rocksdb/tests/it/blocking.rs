//! Reads of cold data wait somewhere else, not on the task that asked. What is judged by a clock is tried where a test can set
//! it, in `src/call_tests.rs`, and so is a write that the engine holds up.

use std::path::Path;

use kv_core::{Bucket, Durability, Store};
use kv_rocksdb::Config;
use libtest_mimic::{Failed, Trial};

use crate::support::{block_on, fact, fail, open, open_with, trial, value};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("blocking::cold_reads_are_probed_and_sent_away", cold_reads),
        trial("blocking::cold_reads_of_many_are_sent_away", cold_reads_of_many),
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
