//! Values of 1 MiB beside small ones, under the same keys.

use std::collections::HashSet;
use std::path::Path;

use kv_core::{Bucket, Durability, Store};
use libtest_mimic::{Failed, Trial};

use crate::child::say;
use crate::support::{block_on, child, fail, folder_bytes, open, random, trial, until, value};

const LARGE: usize = 1 << 20;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("large::and_small_by_turns_across_reopening", turns),
        trial("large::ones_that_were_replaced_take_no_room", replaced),
        trial("large::ones_that_became_small_take_no_room", shrunk),
        trial("large::small_overwrites_beside_them_do_not_copy_them", beside),
    ]
}

/// Sizes around those from which an engine keeps a value apart, and absence.
const SIZES: [Option<usize>; 6] = [Some(LARGE), Some(10), None, Some((4 << 10) + 1), Some(0), Some(100 << 10)];

/// Enough rounds and keys for each size to follow each, alone and in a batch.
const ROUNDS: usize = 60;
const KEYS: usize = 8;

fn choice(round: usize, key: usize) -> usize {
    random(&format!("size {round} {key}")) as usize / 2 % SIZES.len()
}

/// What a key holds after a round.
fn sizes(round: usize, key: usize) -> Option<usize> {
    SIZES[choice(round, key)]
}

/// Whether a key is written by a call of its own in a round, or in a batch.
fn is_alone(round: usize, key: usize) -> bool {
    (random(&format!("way {round} {key}")) / 2).is_multiple_of(2)
}

/// How many of the ways in which one size can follow another are tried.
fn follow_ups() -> usize {
    let all = (1..ROUNDS).flat_map(|round| (0..KEYS).map(move |key| (round, key)));
    let ways = all.map(|(round, key)| (choice(round - 1, key), choice(round, key), is_alone(round, key)));
    ways.collect::<HashSet<_>>().len()
}

fn turns() -> Result<(), Failed> {
    let tried = follow_ups();
    if tried != 2 * SIZES.len() * SIZES.len() {
        return fail(format!("only {tried} ways of one size after another are tried"));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    block_on(async {
        for round in 0..ROUNDS {
            let store = open(&path, Durability::Process).await?;
            let bucket = store.open_bucket("b").await?;
            if round > 0 {
                check(&bucket, round - 1).await?;
            }
            let made = |key: usize, bytes: usize| (format!("k{key}"), value(&format!("{round}/{key}"), bytes));
            let (alone, together): (Vec<_>, Vec<_>) = (0..KEYS).partition(|key| is_alone(round, *key));
            for key in alone {
                match sizes(round, key) {
                    Some(bytes) => bucket.set(&format!("k{key}"), made(key, bytes).1).await?,
                    None => bucket.delete(&format!("k{key}")).await?,
                }
            }
            let (there, gone): (Vec<_>, Vec<_>) = together.into_iter().partition(|key| sizes(round, *key).is_some());
            bucket.set_many(there.into_iter().filter_map(|key| Some(made(key, sizes(round, key)?)))).await?;
            bucket.delete_many(&gone.into_iter().map(|key| format!("k{key}")).collect::<Vec<_>>()).await?;
            check(&bucket, round).await?;
            if round % 3 == 2 {
                // A batch that holds a key twice, large and small: the last one counts.
                bucket.set_many([("twice", value("first", LARGE)), ("twice", b"last".to_vec())]).await?;
                if bucket.get("twice").await?.as_deref() != Some(b"last") {
                    return fail("of a key twice in a batch the first counts");
                }
            }
            store.close().await?;
        }
        Ok(())
    })
}

async fn check(bucket: &Bucket, round: usize) -> Result<(), Failed> {
    let names: Vec<String> = (0..KEYS).map(|key| format!("k{key}")).collect();
    let many = bucket.get_many(&names).await?;
    for (key, found) in many.iter().enumerate() {
        let expected = sizes(round, key).map(|bytes| value(&format!("{round}/{key}"), bytes));
        let alone = bucket.get(&names[key]).await?;
        if found.as_deref() != expected.as_deref() || alone.as_deref() != expected.as_deref() {
            return fail(format!("round {round}: k{key} is not of {:?} bytes", expected.map(|value| value.len())));
        }
        if bucket.exists(&names[key]).await? != expected.is_some() {
            return fail(format!("round {round}: exists of k{key} is wrong"));
        }
    }
    let listed = bucket.keys("k", None, None).await?.keys;
    let expected: Vec<&String> =
        names.iter().enumerate().filter(|(key, _)| sizes(round, *key).is_some()).map(|(_, name)| name).collect();
    if listed.iter().ne(expected.iter().copied()) {
        return fail(format!("round {round}: listed {listed:?}, expected {expected:?}"));
    }
    Ok(())
}

/// Room that an engine may hold for what it has not yet tidied up: two logs and what it is merging.
const SLACK: u64 = 200 << 20;

/// What it may hold once it had time: one log, which is as large as a buffer of 64 MiB may become.
const REST: u64 = 80 << 20;

async fn rests(path: &Path) -> Result<u64, Failed> {
    until("what was replaced takes no room", async || {
        let bytes = folder_bytes(path)?;
        Ok((bytes < REST).then_some(bytes))
    })
    .await
}

/// 1,000 overwrites of values that are 512 MiB together, of which 2 MiB are left.
fn replaced() -> Result<(), Failed> {
    const OVERWRITES: usize = 1_000;
    const BYTES: usize = 512 << 10;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        let mut most = 0;
        for n in 0..OVERWRITES {
            bucket.set(&format!("k{}", n % 4), value(&format!("{n}"), BYTES)).await?;
            if n % 20 == 0 {
                most = most.max(folder_bytes(&path)?);
            }
        }
        let rest = rests(&path).await?;
        eprintln!("512 MiB of overwrites: {most} bytes at most, {rest} in the end");
        if most > SLACK {
            return fail(format!("{most} bytes for 2 MiB of values"));
        }
        for n in OVERWRITES - 4..OVERWRITES {
            if bucket.get(&format!("k{}", n % 4)).await?.as_deref() != Some(&value(&format!("{n}"), BYTES)[..]) {
                return fail(format!("overwrite {n} is not there"));
            }
        }
        Ok(store.close().await?)
    })
}

/// 320 MiB of large values, each overwritten by a small one or deleted soon after.
fn shrunk() -> Result<(), Failed> {
    const EACH: usize = 16;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        for round in 0..20 {
            let names: Vec<String> = (0..EACH).map(|n| format!("k{round}/{n}")).collect();
            for name in &names {
                bucket.set(name, value(name, LARGE)).await?;
            }
            for (n, name) in names.iter().enumerate() {
                match n % 4 {
                    0 => bucket.delete(name).await?,
                    1 => bucket.set_many([(name, name.as_bytes())]).await?,
                    2 => bucket.delete_many(&[name]).await?,
                    _ => bucket.set(name, name.as_bytes()).await?,
                }
            }
        }
        let rest = rests(&path).await?;
        eprintln!("320 MiB of large values that are no more take {rest} bytes");
        let keys = bucket.keys("", None, None).await?.keys;
        if keys.len() != 20 * EACH / 2 || bucket.get(&keys[0]).await?.as_deref() != Some(keys[0].as_bytes()) {
            return fail(format!("{} small values are left", keys.len()));
        }
        Ok(store.close().await?)
    })
}

/// Large values and small overwrites of [`write_beside`].
const BETWEEN: usize = 20;
const OVERWRITES: usize = 20_000;

/// The child: overwrites small entries that lie between large ones, and says how many bytes it gave to be written.
pub(crate) async fn write_beside(store: &Store) {
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    for n in 0..BETWEEN {
        bucket.set(&format!("k{n}/large"), value(&format!("large{n}"), LARGE)).await.expect("a value is set");
    }
    let before = written();
    for n in 0..OVERWRITES {
        bucket.set(&format!("k{}/small", n % BETWEEN), value(&format!("{n}"), 200)).await.expect("a value is set");
    }
    say(&format!("WROTE {}", written() - before));
    store.close().await.expect("the store closes");
}

/// Bytes that this process gave to be written.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").expect("the system counts what a process writes");
    let bytes = text.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
    bytes.expect("there is a count of bytes written")
}

/// Small overwrites must not copy the large values beside them again and again. In a child, because the count is the
/// whole process's.
fn beside() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let output = child("beside", &[&path.to_string_lossy(), "process"]).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let by = said.lines().find_map(|line| line.strip_prefix("WROTE ")?.parse::<u64>().ok());
    let by = by.ok_or_else(|| format!("the child said {said}"))?;
    eprintln!("{OVERWRITES} small overwrites beside {BETWEEN} MiB of large values wrote {by} bytes");
    // 4 MB of values: log, buffer and merges; one or two copies of the large values may fall into the time.
    if by > 60 << 20 {
        return fail(format!("{by} bytes were written for 4 MB of small values"));
    }
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        for n in 0..BETWEEN {
            if bucket.get(&format!("k{n}/large")).await?.as_deref() != Some(&value(&format!("large{n}"), LARGE)[..]) {
                return fail(format!("k{n}/large is not as it was"));
            }
        }
        Ok(store.close().await?)
    })
}
