//! Dropped buckets: their room is given back, their entries never come back, and a drop that was cut is finished.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kv_core::{Bucket, Durability, Store};
use libtest_mimic::{Failed, Trial};

use crate::child::{say, wait_for_parent};
use crate::support::{Running, block_on, child, fail, folder_bytes, open, random, trial, until, value, within};

/// Entries of a bucket that a child drops, in batches, and their size.
const BATCHES: usize = 8;
const BATCH: usize = 500;
const BYTES: usize = 1_000;

/// Times that a drop is cut, and within what after it was asked for.
const CUTS: usize = 12;
const CUT_MICROS: u64 = 2_000;

/// Times that a bucket is dropped, killed and made again.
const LIVES: usize = 8;

/// What an almost empty store takes at most: logs and tables of a few entries, and the engine's own files.
const LEFT_BYTES: u64 = 12 << 20;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("drops::give_room_back_from_tables", || give_room_back(true)),
        trial("drops::give_room_back_at_once_after_writing", || give_room_back(false)),
        trial("drops::never_revive_an_entry", never_revive),
        trial("drops::cut_by_a_kill_are_whole_and_finished", cut),
    ]
}

/// The child: fills a bucket, says so, drops it, says so, makes it again, says so.
pub(crate) async fn drop_one(store: &Store) {
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    for batch in 0..BATCHES {
        let entries = (0..BATCH).map(|n| (format!("{batch}-{n}"), value(&format!("{batch}-{n}"), BYTES)));
        bucket.set_many(entries).await.expect("a batch is set");
    }
    say("FILLED");
    store.drop_bucket("b").await.expect("a bucket is dropped");
    say("DROPPED");
    bucket.set("again", "v").await.expect("a value is set");
    say("AGAIN");
    wait_for_parent();
}

async fn neighbour(store: &Store) -> Result<Bucket, Failed> {
    Ok(store.open_bucket("b ").await?)
}

fn give_room_back(from_tables: bool) -> Result<(), Failed> {
    const ENTRIES: usize = 12_800;
    const LARGE: usize = 10;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    block_on(async {
        let mut store = open(&path, Durability::Process).await?;
        let mut bucket = store.open_bucket("b").await?;
        // 50 MiB, most in entries of usual size, some in large ones, which an engine may keep elsewhere.
        for n in (0..ENTRIES).step_by(200) {
            bucket.set_many((n..n + 200).map(|n| (format!("k{n}"), value(&format!("{n}"), 3_300)))).await?;
        }
        for n in 0..LARGE {
            bucket.set(&format!("large{n}"), value(&format!("large{n}"), 1 << 20)).await?;
        }
        neighbour(&store).await?.set("k", "stays").await?;
        if from_tables {
            store.close().await?;
            store = open(&path, Durability::Process).await?;
            bucket = store.open_bucket("b").await?;
        }
        let full = folder_bytes(&path)?;
        if full < 40 << 20 {
            return fail(format!("50 MiB take only {full} bytes"));
        }
        store.drop_bucket("b").await?;
        let begun = Instant::now();
        if bucket.exists("k1").await? || store.buckets().await? != ["b "] {
            return fail("the bucket is still there");
        }
        let mut last = full;
        let given = until("the room is given back", async || {
            last = folder_bytes(&path)?;
            Ok((last < LEFT_BYTES).then_some(()))
        });
        within(&format!("{full} bytes when full"), given.await)?;
        eprintln!("from tables {from_tables}: {full} bytes, {last} {:?} after the drop", begun.elapsed());
        if neighbour(&store).await?.get("k").await?.as_deref() != Some(b"stays") {
            return fail("the neighbour's entry is gone");
        }
        Ok(store.close().await?)
    })
}

/// Starts a child that fills and drops; waits until it said the word.
fn dropping(
    path: &Path,
    word: &str,
) -> Result<(Running, impl Iterator<Item = std::io::Result<String>> + use<>), Failed> {
    let mut command = child("drop", &[&path.to_string_lossy(), "process"]);
    let mut running = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(running.0.stdout.take().ok_or("no output")?).lines();
    loop {
        let line = lines.next().ok_or_else(|| format!("the child ended before it said {word}"))??;
        if line == word {
            return Ok((running, lines));
        }
        if !["opening", "FILLED", "DROPPED"].contains(&line.as_str()) {
            return fail(format!("the child said {line}"));
        }
    }
}

/// Kills a child, and waits until it is gone.
fn kill(mut running: Running) -> Result<(), Failed> {
    running.0.kill()?;
    running.0.wait()?;
    Ok(())
}

/// Each life of a bucket sees only its own entries, whatever was dropped and whenever the process died.
fn never_revive() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    for life in 0..LIVES {
        let (running, _lines) = dropping(&path, "AGAIN")?;
        kill(running)?;
        block_on(async {
            let store = open(&path, Durability::Process).await?;
            let bucket = store.open_bucket("b").await?;
            let old: Vec<String> = (0..BATCHES).map(|batch| format!("{batch}-{life}")).collect();
            let expect = async |expected: &[&str]| {
                let keys = bucket.keys("", None, None).await?.keys;
                if keys != expected || bucket.get_many(&old).await?.iter().any(Option::is_some) {
                    return fail(format!("life {life}: old entries are back: {keys:?}, expected {expected:?}"));
                }
                Ok(())
            };
            expect(&["again"]).await?;
            // By turns the next life begins with the bucket as it is, dropped, and made again.
            if life % 3 > 0 {
                store.drop_bucket("b").await?;
                expect(&[]).await?;
                if !store.buckets().await?.is_empty() {
                    return fail(format!("life {life}: buckets after the drop: {:?}", store.buckets().await?));
                }
            }
            if life % 3 > 1 {
                bucket.set("new", "v").await?;
                expect(&["new"]).await?;
            }
            Ok(store.close().await?)
        })?;
    }
    Ok(())
}

/// Starts a child that has opened the store.
fn holding(path: &Path) -> Result<Running, Failed> {
    let mut command = child("hold", &[&path.to_string_lossy(), "process"]);
    let mut running = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(running.0.stdout.take().ok_or("no output")?).lines();
    while lines.next().ok_or("the child ended before the store was open")?? != "open" {}
    Ok(running)
}

/// A drop is one step, and what it left to be tidied up is tidied up by whoever opens the store next.
fn cut() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        neighbour(&store).await?.set("k", "stays").await?;
        Ok::<_, Failed>(store.close().await?)
    })?;
    let (mut before, mut after) = (0, 0);
    for round in 0..CUTS {
        let (running, mut lines) = dropping(&path, "FILLED")?;
        let (begun, wait) = (Instant::now(), Duration::from_micros(random(&format!("cut {round}")) % CUT_MICROS));
        while begun.elapsed() < wait {
            std::hint::spin_loop();
        }
        kill(running)?;
        let said: Vec<String> = lines.by_ref().map_while(Result::ok).collect();
        let is_told = said.first().is_some_and(|line| line == "DROPPED");
        // By turns the tidying up after it is cut as well.
        if round % 2 == 0 {
            kill(holding(&path)?)?;
        }
        let keys = block_on(async {
            let store = open(&path, Durability::Process).await?;
            let bucket = store.open_bucket("b").await?;
            let keys = bucket.keys("", None, 10_000).await?.keys;
            if neighbour(&store).await?.get("k").await?.as_deref() != Some(b"stays") {
                return fail("the neighbour's entry is gone");
            }
            store.close().await?;
            Ok(keys)
        })?;
        // What a round left is there in the next, until it drops it.
        let mut held = keys;
        held.retain(|key| key != "again");
        match held.len() {
            0 => after += 1,
            held if held == BATCHES * BATCH && !is_told => before += 1,
            held => return fail(format!("round {round}: {held} entries are left, it said {said:?}")),
        }
    }
    eprintln!("{CUTS} drops cut: {before} before the step, {after} after it");
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        store.drop_bucket("b").await?;
        let mut last = 0;
        let given = until("the room of all that was dropped is given back", async || {
            last = folder_bytes(&path)?;
            Ok((last < LEFT_BYTES).then_some(()))
        });
        let given = given.await;
        within(&format!("{last} bytes"), given)?;
        Ok(store.close().await?)
    })
}
