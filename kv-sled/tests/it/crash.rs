//! kill -9 of a child with 64 writers: what was acknowledged is there, and batches are whole.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use kv_core::{Bucket, Durability, Store};
use libtest_mimic::{Failed, Trial};

use crate::child::say;
use crate::support::{block_on, child, open, trial, value};

const WRITERS: usize = 64;
const BATCH: usize = 40;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("crash::process_keeps_what_was_acknowledged", || kills("process", 4)),
        trial("crash::power_keeps_what_was_acknowledged", || kills("power", 4)),
        trial("crash::relaxed_keeps_batches_whole", || kills("relaxed", 2)),
    ]
}

fn size(writer: usize, n: usize) -> usize {
    match (writer + n) % 16 {
        0 => 16 << 10,
        1 => 100 << 10,
        2 if n.is_multiple_of(4) => 1 << 20,
        _ => 100,
    }
}

/// The child: writes until it is killed, and says what was acknowledged.
pub(crate) async fn write(store: &Store) {
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    let tasks: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(writer_task(bucket.clone(), writer))).collect();
    for task in tasks {
        let _ = task.await;
    }
}

async fn writer_task(bucket: Bucket, writer: usize) {
    let start = bucket.increment(&format!("start{writer}"), 1_000_000).await.expect("a counter counts") as usize;
    for n in start.. {
        let done = match writer % 4 {
            0 => bucket.set_many((0..BATCH).map(|at| (format!("batch{writer}-{at}"), n.to_string()))).await,
            1 => bucket.increment(&format!("count{writer}"), 1).await.map(|_| ()),
            _ => {
                let name = format!("{writer}-{n}");
                let text = [name.as_bytes(), b" ", &value(&name, size(writer, n))[..]].concat();
                bucket.set(&format!("own{writer}-{}", n % 5), text).await
            }
        };
        done.expect("a write succeeds");
        say(&format!("{writer} {n}"));
    }
}

fn kills(durability: &str, rounds: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    for round in 0..rounds {
        let acknowledged = run_and_kill(&path, durability, 300 + round * 400)?;
        let found = block_on(check(&path, durability, acknowledged));
        found.map_err(|failed| format!("round {round}: {}", failed.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// Gives the last acknowledged number of each writer, and how many there were.
fn run_and_kill(path: &Path, durability: &str, lines: usize) -> Result<HashMap<usize, (usize, usize)>, Failed> {
    let mut running = child("write", &[&path.to_string_lossy(), durability]).stdout(Stdio::piped()).spawn()?;
    let mut out = BufReader::new(running.stdout.take().ok_or("no output")?).lines();
    let mut acknowledged = HashMap::new();
    let mut take = |line: String| {
        let (writer, n) = line.split_once(' ').and_then(|(w, n)| Some((w.parse().ok()?, n.parse().ok()?)))?;
        let entry = acknowledged.entry(writer).or_insert((n, 0));
        *entry = (n, entry.1 + 1);
        Some(())
    };
    for _ in 0..lines {
        let line = out.next().ok_or("the child ended by itself")??;
        take(line.clone()).ok_or_else(|| format!("the child said {line}"))?;
    }
    running.kill()?;
    // What it said before it died counts too; its last line may be cut.
    out.map_while(Result::ok).for_each(|line| {
        take(line);
    });
    let status = running.wait()?;
    if status.success() {
        return Err(Failed::from("the child was not killed"));
    }
    Ok(acknowledged)
}

async fn check(path: &Path, durability: &str, acknowledged: HashMap<usize, (usize, usize)>) -> Result<(), Failed> {
    let store = open(path, Durability::Process).await?;
    let bucket = Arc::new(store.open_bucket("b").await?);
    let keeps = durability != "relaxed";
    for (writer, (last, count)) in acknowledged {
        match writer % 4 {
            0 => {
                let keys: Vec<String> = (0..BATCH).map(|at| format!("batch{writer}-{at}")).collect();
                let found = bucket.get_many(&keys).await?;
                if found.windows(2).any(|pair| pair[0] != pair[1]) {
                    return Err(Failed::from(format!("writer {writer}: half a batch")));
                }
                let n = found[0].as_ref().map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap_or(0));
                if keeps && n != last && n != last + 1 {
                    return Err(Failed::from(format!("writer {writer}: batch {n}, acknowledged {last}")));
                }
            }
            1 => {
                let key = format!("count{writer}");
                let n = bucket.increment(&key, 0).await?;
                if keeps && n < count as i64 {
                    return Err(Failed::from(format!("writer {writer}: counted {n}, acknowledged {count}")));
                }
            }
            _ => check_values(&bucket, writer, last, count, keeps).await?,
        }
    }
    store.close().await?;
    Ok(())
}

async fn check_values(bucket: &Bucket, writer: usize, last: usize, count: usize, keeps: bool) -> Result<(), Failed> {
    for n in (last + 1).saturating_sub(5.min(count))..=last {
        let key = format!("own{writer}-{}", n % 5);
        let found = bucket.get(&key).await?;
        let Some(found) = found else {
            if keeps {
                return Err(Failed::from(format!("{key} is missing, acknowledged {n}")));
            }
            continue;
        };
        let at = found.iter().position(|byte| *byte == b' ').ok_or("a value without a name")?;
        let name = String::from_utf8_lossy(&found[..at]).into_owned();
        let written: usize =
            name.split_once('-').and_then(|(_, n)| n.parse().ok()).ok_or("a value without a number")?;
        if found[at + 1..] != value(&name, size(writer, written)) {
            return Err(Failed::from(format!("{key}: a value that was not written")));
        }
        // One more may have been under way.
        if keeps && written != n && written != n + 5 {
            return Err(Failed::from(format!("{key} holds {written}, acknowledged {n}")));
        }
    }
    Ok(())
}
