//! Bit flips and cuts over a real store: never a panic, never a value that was not written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kv_core::{Durability, ErrorKind, Store};
use libtest_mimic::{Failed, Trial};

use crate::child::say;
use crate::support::{block_on, child, ended, open, trial, value};

const KEYS: usize = 1_000;
const DAMAGES: usize = 80;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("damage::of_a_closed_store_is_told", || damages(true)),
        trial("damage::of_a_killed_store_gives_no_false_value", || damages(false)),
    ]
}

fn name(n: usize) -> (String, usize) {
    let bytes = if n.is_multiple_of(50) { 40 << 10 } else { 10 + n % 300 };
    (format!("key{n:05}"), bytes)
}

async fn fill(store: &Store) -> kv_core::Result<()> {
    let bucket = store.open_bucket("b").await?;
    for n in 0..KEYS {
        let (key, bytes) = name(n);
        bucket.set(&key, value(&key, bytes)).await?;
    }
    Ok(())
}

/// The child: reads all, and says what it found.
pub(crate) async fn read(store: &Store) {
    let (mut right, mut corrupt, mut missing, mut wrong) = (0, 0, 0, 0);
    match store.open_bucket("b").await {
        Err(error) => return say(&format!("refused {} {}", error.kind(), error.trace())),
        Ok(bucket) => {
            for n in 0..KEYS {
                let (key, bytes) = name(n);
                match bucket.get(&key).await {
                    Ok(Some(found)) if found[..] == value(&key, bytes) => right += 1,
                    Ok(Some(_)) => wrong += 1,
                    Ok(None) => missing += 1,
                    Err(error) if error.kind() == ErrorKind::Corrupt => corrupt += 1,
                    Err(error) => return say(&format!("refused {} {}", error.kind(), error.trace())),
                }
            }
        }
    }
    say(&format!("read {right} {corrupt} {missing} {wrong}"));
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy(&file.path(), &target)?;
        } else {
            fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

fn damages(closed: bool) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let whole = folder.path().join("whole");
    block_on(async {
        let store = open(&whole, Durability::Process).await?;
        fill(&store).await?;
        if closed {
            return store.close().await;
        }
        // What a kill leaves: everything is flushed, nothing was closed.
        copy(&whole, &folder.path().join("killed"))
            .map_err(|cause| kv_core::Error::invalid("copying").with_source(cause))?;
        store.close().await
    })?;
    let whole = if closed { whole } else { folder.path().join("killed") };
    let (mut refused, mut told, mut silent, mut unharmed) = (0, 0, 0, 0);
    let mut gaps = Vec::new();
    for n in 0..DAMAGES {
        let copied = folder.path().join("copy");
        copy(&whole, &copied)?;
        let what = damage(&copied, n)?;
        match outcome(&copied).map_err(|failed| format!("{what}: {}", failed.message().unwrap_or_default()))? {
            Outcome::Refused => refused += 1,
            Outcome::Read { missing: 0, corrupt: 0 } => unharmed += 1,
            Outcome::Read { missing: 0, .. } => told += 1,
            Outcome::Read { missing, .. } => {
                silent += 1;
                gaps.push(format!("{what}: {missing} keys"));
            }
        }
        fs::remove_dir_all(&copied)?;
    }
    eprintln!(
        "closed {closed}: refused {refused}, told by reads {told}, unharmed {unharmed}, keys silently missing {silent}"
    );
    // A log that ends early looks like a crash's tail: known for a store that was not closed (README, known gaps).
    if closed && silent > 0 {
        return Err(Failed::from(format!("silently missing: {}", gaps.join("; "))));
    }
    if refused + told == 0 {
        return Err(Failed::from("no damage was ever noticed"));
    }
    Ok(())
}

/// Damages one file, the n-th way.
fn damage(folder: &Path, n: usize) -> Result<String, Failed> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.filter_map(Result::ok).map(|file| file.path()).filter(|path| path.is_file()).collect();
    files.sort();
    // Mostly the log, which holds the data.
    let file = if n.is_multiple_of(4) { files[(n / 4) % files.len()].clone() } else { folder.join("db") };
    let mut bytes = fs::read(&file)?;
    // The used part of the log; the rest is padding.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let mut random = value(&format!("damage{n}"), 8);
    random.truncate(8);
    let at = u64::from_le_bytes(random.try_into().unwrap_or_default()) as usize % used;
    let shown = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let what = if n % 5 == 4 {
        bytes.truncate(at);
        format!("{shown} cut at {at}")
    } else {
        bytes[at] ^= 1 << (n % 8);
        format!("{shown} bit {} of byte {at} of {used}", n % 8)
    };
    fs::write(&file, bytes)?;
    Ok(what)
}

enum Outcome {
    Refused,
    Read { corrupt: usize, missing: usize },
}

fn outcome(folder: &Path) -> Result<Outcome, Failed> {
    let mut running = child("read", &[&folder.to_string_lossy()]).stdout(Stdio::piped()).spawn()?;
    let is_ended = ended(&mut running);
    let output = running.wait_with_output()?;
    if !is_ended || !output.status.success() {
        return Err(Failed::from(format!("the reader hung or died: {}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["refused", "Corrupt" | "InvalidArgument", ..] => Ok(Outcome::Refused),
        ["read", right, corrupt, missing, wrong] => {
            let [right, corrupt, missing, wrong] =
                [right, corrupt, missing, wrong].map(|n| n.parse::<usize>().unwrap_or(0));
            if wrong > 0 || right + corrupt + missing != KEYS {
                return Err(Failed::from(format!("{wrong} values were never written")));
            }
            Ok(Outcome::Read { corrupt, missing })
        }
        _ => Err(Failed::from(format!("the reader said: {text}"))),
    }
}
