//! Room given back beside what is in its way: large writes, damage, a kill, readers.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kv_core::{Durability, Event, Events, Store};
use libtest_mimic::{Failed, Trial};

use crate::child::{say, wait_for_parent};
use crate::support::{PATIENCE, Running, block_on, child, fail, open, trial, until, value};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("sweeping::goes_on_beside_large_writes", beside_large_writes),
        trial("sweeping::passes_over_what_is_damaged", beside_damage),
        trial("sweeping::of_files_comes_after_the_drop_for_good", || {
            [Durability::Volatile, Durability::Process].into_iter().try_for_each(undone_drop)
        }),
        trial("sweeping::shows_no_reader_a_part_of_a_bucket", listing),
        trial("sweeping::leaves_no_id_to_be_given_twice", lost_count),
    ]
}

/// Waits for so many entries to expire.
async fn expired(events: &mut Events, entries: usize) -> Result<(), Failed> {
    let mut seen = 0;
    let all = async {
        while seen < entries {
            match events.next().await {
                Some(Event::Expired { .. }) => seen += 1,
                Some(_) => {}
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, all).await;
    if seen < entries { fail(format!("{seen} of {entries} entries were removed in {PATIENCE:?}")) } else { Ok(()) }
}

/// There is always one that waits to have the store for itself.
fn beside_large_writes() -> Result<(), Failed> {
    const ENTRIES: usize = 500;
    const WRITERS: usize = 32;
    let folder = tempfile::tempdir()?;
    block_on(async {
        let store = open(&folder.path().join("store"), Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        let is_over = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|writer| {
            let (bucket, is_over) = (bucket.clone(), Arc::clone(&is_over));
            let (key, value) = (format!("large{writer}"), bytes::Bytes::from(value("large", 256 << 10)));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    bucket.set(&key, value.clone()).await?;
                }
                Ok::<_, kv_core::Error>(())
            })
        });
        let writers: Vec<_> = writers.collect();
        let mut events = bucket.watch("short").await?;
        for n in 0..ENTRIES {
            bucket.set_with_ttl(&format!("short{n}"), "v", Duration::from_millis(500)).await?;
        }
        let done = expired(&mut events, ENTRIES).await;
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await??;
        }
        store.close().await?;
        done
    })
}

/// One entry that can't be read keeps neither the others nor what was dropped.
fn beside_damage() -> Result<(), Failed> {
    const ENTRIES: usize = 100;
    const BYTES: usize = 3_000;
    const TTL: Duration = Duration::from_millis(2_500);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let victim = |n: usize| value(&format!("victim{n}"), BYTES);
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        for name in ["damaged", "other"] {
            let bucket = store.open_bucket(name).await?;
            for n in 0..ENTRIES {
                bucket.set_with_ttl(&format!("k{n:03}"), victim(n), TTL).await?;
            }
        }
        Ok::<_, Failed>(store.close().await?)
    })?;
    let needle = &victim(ENTRIES / 2)[..64];
    let mut is_hit = false;
    for file in files(&path, "sst")? {
        let mut bytes = std::fs::read(&file)?;
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            bytes[at] ^= 1;
            std::fs::write(&file, bytes)?;
            is_hit = true;
        }
    }
    if !is_hit {
        return fail("the value to be damaged is in no table");
    }
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        let mut events = store.open_bucket("other").await?.watch("").await?;
        expired(&mut events, ENTRIES).await?;
        // Also what comes later.
        let other = store.open_bucket("other").await?;
        other.set_with_ttl("late", "v", Duration::from_millis(10)).await?;
        expired(&mut events, 1).await?;
        Ok(store.close().await?)
    })
}

fn files(path: &Path, kind: &str) -> Result<Vec<PathBuf>, Failed> {
    let files = std::fs::read_dir(path)?.flatten().map(|file| file.path());
    Ok(files.filter(|file| file.extension().is_some_and(|extension| extension == kind)).collect())
}

/// Entries of the bucket that is dropped, and deadlines beside it, all of which are looked at after its files are gone.
const DROPPED: usize = 20_000;
const DEADLINES: usize = 50_000;

/// The child: drops the bucket once the parent says so.
pub(crate) async fn drop_old(store: &Store) {
    say("open");
    wait_for_parent();
    store.drop_bucket("b").await.expect("a bucket is dropped");
    say("DROPPED");
    // Until it is killed.
    std::future::pending().await
}

/// Files go at once and for good. If the drop before them could come undone, half a bucket would be back.
fn undone_drop(class: Durability) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        for n in (0..DROPPED).step_by(200) {
            bucket.set_many((n..n + 200).map(|n| (format!("{n:06}"), value(&format!("{n}"), 1_000)))).await?;
        }
        const DAY: Duration = Duration::from_secs(86_400);
        bucket.set_with_ttl("000000", "v", DAY).await?;
        let others = store.open_bucket("others").await?;
        for n in 0..DEADLINES {
            others.set_with_ttl(&format!("{n}"), "v", DAY).await?;
        }
        Ok::<_, Failed>(store.close().await?)
    })?;
    // Many small tables below the first level: only those of lower levels go as whole files.
    let mut options = rocksdb::Options::default();
    options.set_target_file_size_base(1 << 20);
    let database = rocksdb::DB::open(&options, &path)?;
    let mut compact = rocksdb::CompactOptions::default();
    compact.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
    database.compact_range_opt(None::<&[u8]>, None::<&[u8]>, &compact);
    drop(database);

    let before = files(&path, "sst")?.len();
    let word = if class == Durability::Volatile { "relaxed" } else { "process" };
    let mut command = child("drop-old", &[&path.to_string_lossy(), word]);
    let mut running = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(running.0.stdout.take().ok_or("no output")?).lines();
    while lines.next().ok_or("the child ended before the store was open")?? != "open" {}
    drop(running.0.stdin.take());
    block_on(until("files are gone", async || Ok((files(&path, "sst")?.len() + 2 < before).then_some(()))))?;
    running.0.kill()?;
    running.0.wait()?;
    let keys = block_on(async {
        let store = open(&path, class).await?;
        let bucket = store.open_bucket("b").await?;
        let (mut keys, mut cursor) = (0, None);
        loop {
            let page = bucket.keys("", cursor.as_deref(), 10_000).await?;
            keys += page.keys.len();
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        store.close().await?;
        Ok::<_, Failed>(keys)
    })?;
    match keys {
        0 => Ok(()),
        keys => {
            fail(format!("{word}: {keys} of {DROPPED} entries are back after a kill, and the others' files are gone"))
        }
    }
}

/// A listing in steps sees the bucket as it was or empty, though its rows go one after another.
fn listing() -> Result<(), Failed> {
    const ROUNDS: u64 = 200;
    const ENTRIES: usize = 4_000;
    let folder = tempfile::tempdir()?;
    block_on(async {
        let store = open(&folder.path().join("store"), Durability::Volatile).await?;
        for round in 0..ROUNDS {
            let bucket = store.open_bucket("b").await?;
            for n in (0..ENTRIES).step_by(100) {
                bucket.set_many((n..n + 100).map(|n| (format!("{n:06}"), "v"))).await?;
            }
            let dropper = tokio::spawn({
                let store = store.clone();
                async move {
                    let (begun, wait) = (std::time::Instant::now(), Duration::from_micros(round * 37 % 3_000));
                    while begun.elapsed() < wait {
                        std::hint::spin_loop();
                    }
                    store.drop_bucket("b").await
                }
            });
            loop {
                let page = bucket.keys("", None, 10_000).await?;
                match page.keys.len() {
                    0 => break,
                    ENTRIES => {}
                    some => return fail(format!("round {round}: {some} of {ENTRIES} keys")),
                }
            }
            dropper.await??;
        }
        Ok(store.close().await?)
    })
}

/// What a power cut leaves that took the end of an older log and left a newer one: entries, and not the row that counts ids.
fn lost_count() -> Result<(), Failed> {
    const BUCKETS: usize = 5;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let fill = |names: &'static str| {
        block_on(async {
            let store = open(&path, Durability::Process).await?;
            for n in 0..BUCKETS {
                store
                    .open_bucket(&format!("{names}{n}"))
                    .await?
                    .set(&format!("{names}{n}"), value("large", 64 << 10))
                    .await?;
            }
            for n in 0..BUCKETS {
                let keys = store.open_bucket(&format!("{names}{n}")).await?.keys("", None, None).await?.keys;
                if keys != [format!("{names}{n}")] {
                    return fail(format!("bucket {names}{n} holds {keys:?}"));
                }
            }
            Ok(store.close().await?)
        })
    };
    fill("old")?;
    let database = rocksdb::DB::open_default(&path)?;
    database.delete(b"N")?;
    drop(database);
    fill("new")
}
