//! Copies of a store in use: a state that existed, a store like any other, and nothing where that can't be.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kv_core::{Durability, ErrorKind, Store, Ttl};
use libtest_mimic::{Failed, Trial};

use crate::model::{State, Writer, states};
use crate::refusals::{content, expect};
use crate::support::{block_on, fail, open, refused, trial, value, within};

const WRITERS: usize = 16;

/// Copies made while they write.
const COPIES: usize = 6;

/// Calls of all writers between two copies.
const BETWEEN: usize = 400;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("checkpoint::of_a_store_in_use_is_a_state_that_existed", || while_writing("process")),
        trial("checkpoint::of_a_relaxed_store_has_what_was_acknowledged", || while_writing("relaxed")),
        trial("checkpoint::nothing_is_left_where_it_is_refused", refusals),
        trial("checkpoint::holds_large_values_deadlines_and_drops", contents),
        trial("checkpoint::copy_and_origin_go_their_own_ways", independent),
    ]
}

/// How many calls a writer began, and how many were acknowledged.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    acknowledged: AtomicUsize,
}

fn while_writing(class: &'static str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let store = open(&folder.path().join("store"), crate::support::class(class)).await?;
        let progress: Arc<Vec<Progress>> = Arc::new((0..WRITERS).map(|_| Progress::default()).collect());
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, progress, is_over) = (store.clone(), Arc::clone(&progress), Arc::clone(&is_over));
                tokio::spawn(async move {
                    let own = &progress[writer];
                    for n in 0.. {
                        if is_over.load(Ordering::SeqCst) {
                            break;
                        }
                        own.begun.store(n + 1, Ordering::SeqCst);
                        Writer(writer).make(&store, n).await?;
                        own.acknowledged.store(n + 1, Ordering::SeqCst);
                    }
                    Ok::<_, kv_core::Error>(())
                })
            })
            .collect();
        let copies = copy_some(&store, folder.path(), &progress).await;
        is_over.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await??;
        }
        let copies = copies?;
        store.close().await?;
        for (nth, bounds) in copies.into_iter().enumerate() {
            let copied = open(&folder.path().join(format!("copy{nth}")), Durability::Process).await?;
            let found = states(&copied, WRITERS).await?;
            for (writer, ((least, most), found)) in bounds.into_iter().zip(&found).enumerate() {
                let came = Writer(writer).came(&mut State::new(), 0, least, most, found);
                within(&format!("copy {nth}"), came)?;
            }
            copied.close().await?;
        }
        Ok(())
    })
}

/// Makes copies; gives for each the fewest and the most calls that each writer may have made in it.
async fn copy_some(store: &Store, folder: &Path, progress: &[Progress]) -> Result<Vec<Vec<(usize, usize)>>, Failed> {
    let acknowledged = || progress.iter().map(|own| own.acknowledged.load(Ordering::SeqCst)).collect::<Vec<_>>();
    let mut copies = Vec::new();
    for nth in 0..COPIES {
        crate::support::until("the writers go on", async || {
            Ok((acknowledged().iter().sum::<usize>() >= nth * BETWEEN).then_some(()))
        })
        .await?;
        let least = acknowledged();
        store.checkpoint(folder.join(format!("copy{nth}"))).await?;
        let most = progress.iter().map(|own| own.begun.load(Ordering::SeqCst));
        copies.push(least.into_iter().zip(most).collect());
    }
    Ok(copies)
}

fn refusals() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("empty"))?;
    fs::create_dir(at("full"))?;
    fs::write(at("full/file"), "precious")?;
    fs::write(at("file"), "precious")?;
    block_on(async {
        let store = open(&at("store"), Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        bucket.set("k", "v").await?;
        let before = content(folder.path())?;
        for name in ["empty", "full", "file", "store", "store/.", "missing/copy", "file/copy", ""] {
            let error = refused(name, store.checkpoint(at(name)).await)?;
            within(name, expect(&error, ErrorKind::InvalidArgument, ""))?;
        }
        let empty = refused("an empty path", store.checkpoint("").await)?;
        expect(&empty, ErrorKind::InvalidArgument, "")?;
        let after = content(folder.path())?;
        let is_others = |path: &&std::path::PathBuf| !path.starts_with(at("store"));
        if before.keys().filter(is_others).ne(after.keys().filter(is_others)) || at("missing").exists() {
            return fail(format!("something was left: {:?}", after.keys()));
        }
        if fs::read(at("full/file"))? != b"precious" || fs::read_dir(at("empty"))?.next().is_some() {
            return fail("what was there was changed");
        }
        if bucket.get("k").await?.as_deref() != Some(b"v") {
            return fail("the store does not work on");
        }
        store.close().await?;
        let closed = refused("a closed store", store.checkpoint(at("later")).await)?;
        expect(&closed, ErrorKind::Unavailable, "closed")?;
        if at("later").exists() {
            return fail("a closed store made a copy");
        }
        Ok(())
    })
}

fn contents() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (origin, target) = (folder.path().join("store"), folder.path().join("copy"));
    let large = |n: usize| value(&format!("large{n}"), (1 << 20) + n);
    block_on(async {
        let store = open(&origin, Durability::Volatile).await?;
        let bucket = store.open_bucket("b").await?;
        for n in 0..8 {
            bucket.set(&format!("large{n}"), large(n)).await?;
        }
        // Large ones that are no more: replaced, deleted, dropped.
        bucket.set("large0", "small").await?;
        bucket.delete("large1").await?;
        let dropped = store.open_bucket("dropped").await?;
        dropped.set_many((0..2_000).map(|n| (format!("k{n}"), value("dropped", 1_000)))).await?;
        store.drop_bucket("dropped").await?;
        bucket.set_with_ttl("hour", "v", Duration::from_secs(3_600)).await?;
        // Expired in the copy, whose clock is the same.
        bucket.set_with_ttl("gone", "v", Duration::from_millis(1)).await?;
        bucket.increment("count", 41).await?;
        store.checkpoint(&target).await?;
        // The origin's end must not be the copy's.
        store.close().await?;
        fs::remove_dir_all(&origin)?;
        let copied = open(&target, Durability::Power).await?;
        let bucket = copied.open_bucket("b").await?;
        if copied.buckets().await? != ["b"] {
            return fail(format!("buckets: {:?}", copied.buckets().await?));
        }
        for n in 2..8 {
            if bucket.get(&format!("large{n}")).await?.as_deref() != Some(&large(n)[..]) {
                return fail(format!("large{n} is not as it was"));
            }
        }
        if bucket.get("large0").await?.as_deref() != Some(b"small") || bucket.exists("large1").await? {
            return fail("a large value that is no more is back");
        }
        crate::support::until("an expired entry is gone", async || Ok((!bucket.exists("gone").await?).then_some(())))
            .await?;
        if !matches!(bucket.ttl("hour").await?, Ttl::Left(left) if left > Duration::from_secs(3_000)) {
            return fail(format!("a deadline is not as it was: {:?}", bucket.ttl("hour").await?));
        }
        if bucket.increment("count", 1).await? != 42 {
            return fail("a counter is not as it was");
        }
        let again = copied.open_bucket("dropped").await?;
        again.set("new", "v").await?;
        let keys = again.keys("", None, None).await?.keys;
        if keys != ["new"] {
            return fail(format!("a dropped bucket's entries are back: {keys:?}"));
        }
        Ok(copied.close().await?)
    })
}

fn independent() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    block_on(async {
        let store = open(&at("store"), Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        for n in 0..500 {
            bucket.set(&format!("k{n}"), value(&format!("{n}"), 5_000)).await?;
        }
        store.checkpoint(at("copy")).await?;
        // Both are open at once, and each changes what both had.
        let copied = open(&at("copy"), Durability::Process).await?;
        let other = copied.open_bucket("b").await?;
        for n in 0..500 {
            bucket.set(&format!("k{n}"), "origin").await?;
            match n % 2 {
                0 => other.delete(&format!("k{n}")).await?,
                _ => other.set(&format!("k{n}"), "copy").await?,
            }
        }
        // Files that both share must survive either's tidying up.
        copied.drop_bucket("b").await?;
        other.set("k1", "copy").await?;
        store.checkpoint(at("second")).await?;
        copied.checkpoint(at("copy of copy")).await?;
        copied.close().await?;
        store.close().await?;
        for (name, keys, text) in
            [("store", 500, "origin"), ("second", 500, "origin"), ("copy", 1, "copy"), ("copy of copy", 1, "copy")]
        {
            let store = open(&at(name), Durability::Process).await?;
            let bucket = store.open_bucket("b").await?;
            let listed = bucket.keys("", None, None).await?.keys;
            let found = bucket.get_many(&listed).await?;
            if listed.len() != keys || found.iter().any(|found| found.as_deref() != Some(text.as_bytes())) {
                return fail(format!("{name}: {} keys, not {keys} of {text}", listed.len()));
            }
            store.close().await?;
        }
        Ok(())
    })
}
