//! Each call dropped before its first poll and after each poll in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::try_join_all;
use kv_core::{Batches, Bucket, IncomingValue};
use tokio::task::JoinHandle;

use super::super::atomic::stored::ensure_stored;
use super::super::store::entries::{joined, prompt};
use super::polls::{MOST_POLLS, Write, drop_after, reads, twin};
use crate::check::{ensure, ensure_eq, show};
use crate::{Context, Outcome, Stop};

/// A writer of batches that makes others wait.
pub(super) struct Busy {
    stop: Arc<AtomicBool>,
    batches: Arc<AtomicUsize>,
    task: JoinHandle<Outcome>,
}

impl Busy {
    /// Begins to write, to keys of its own.
    pub(super) fn start(bucket: &Bucket) -> Self {
        // Over 1,024, so that a batch is applied off the runtime and others wait for it as futures.
        const ENTRIES: usize = 1_100;
        let (stop, batches) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (bucket, stopped, written) = (bucket.clone(), Arc::clone(&stop), Arc::clone(&batches));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Acquire) {
                bucket.set_many((0..ENTRIES).map(|at| (format!("busy {at}"), "v"))).await?;
                written.fetch_add(1, Ordering::Release);
                tokio::task::yield_now().await;
            }
            Ok(())
        });
        Self { stop, batches, task }
    }

    /// Ends the writing, once at least one batch was written.
    pub(super) async fn end(self) -> Outcome {
        while self.batches.load(Ordering::Acquire) == 0 && !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
        self.stop.store(true, Ordering::Release);
        prompt("the end of the batches", joined(self.task)).await?
    }
}

/// Drops the write after each number of polls until it ends before that; gives the keys it was tried on, each with
/// how often it was polled and whether it ended.
async fn drop_each(bucket: &Bucket, write: Write, atomic_batches: bool) -> Result<Vec<(String, bool)>, Stop> {
    let mut tried = Vec::new();
    for polls in 0..MOST_POLLS {
        let key = format!("{write:?} {polls}");
        if let Some(old) = write.before() {
            bucket.set_many([(key.clone(), old.clone()), (twin(&key), old)]).await?;
        }
        let ended = drop_after(write.call(bucket, &key), polls).await?;
        if let Some(Err(error)) = ended {
            return Err(error.into());
        }
        let is_new = check(bucket, write, &key, atomic_batches).await?;
        let what = || format!("{write:?} dropped after {polls} polls");
        ensure!(polls > 0 || !is_new, "{}: expected that a call never polled does nothing; found it applied", what());
        ensure!(
            ended.is_none() || is_new,
            "{}: expected the new value, as the call had ended; found the old one",
            what()
        );
        works(bucket).await?;
        tried.push((key, is_new));
        if ended.is_some() {
            return Ok(tried);
        }
    }
    Err(Stop::failed(format_args!(
        "{write:?}: expected that it ends; found that it wants more than {MOST_POLLS} polls"
    )))
}

/// The entry is the old one or the new one, whole; gives whether it is the new one.
async fn check(bucket: &Bucket, write: Write, key: &str, atomic_batches: bool) -> Result<bool, Stop> {
    let found = bucket.get_many(&[key.to_owned(), twin(key)]).await?;
    let is_batch = matches!(write, Write::SetMany | Write::DeleteMany);
    let mut states = Vec::new();
    for value in found.iter().take(if is_batch { 2 } else { 1 }) {
        states.push(is_new(write, key, value.as_ref())?);
    }
    let is_new = states.first().copied().unwrap_or_default();
    if is_batch && atomic_batches {
        ensure!(states.iter().all(|state| *state == is_new), "{write:?}: expected both entries or none; found one");
    }
    Ok(is_new)
}

fn is_new(write: Write, key: &str, found: Option<&IncomingValue>) -> Result<bool, Stop> {
    let found = found.map(AsRef::as_ref);
    if found == write.after().as_deref() {
        return Ok(true);
    }
    if found == write.before().as_deref() {
        return Ok(false);
    }
    let found =
        found.map_or_else(|| "no entry".to_owned(), |found| show(found.get(..found.len().min(20)).unwrap_or(found)));
    Err(Stop::failed(format_args!("{key}: expected the old value or the new one, whole; found {found}")))
}

/// The handle works on.
async fn works(bucket: &Bucket) -> Outcome {
    prompt("a set after a dropped call", bucket.set("works", "on")).await??;
    prompt("a get after a dropped call", ensure_stored(bucket, "works", Some(b"on"))).await?
}

async fn drop_all_writes(cx: &Context, bucket: &Bucket) -> Outcome {
    let atomic_batches = cx.declared().batches == Batches::Atomic;
    let mut tried = Vec::new();
    for write in Write::declared(cx.declared()) {
        for (key, was_new) in drop_each(bucket, write, atomic_batches).await? {
            tried.push((write, key, was_new));
        }
    }
    // A dropped call may apply late; what it leaves is whole then, too, and what was new stays.
    for (write, key, was_new) in &tried {
        let now_new = check(bucket, *write, key, atomic_batches).await?;
        ensure!(now_new || !was_new, "{key}: expected that a new value stays; found the old one back");
    }
    let writes = Write::declared(cx.declared()).count();
    ensure!(
        tried.len() >= 2 * writes,
        "expected: each of {writes} writes dropped at least once; found: {}",
        tried.len()
    );
    Ok(())
}

/// RW-6: every write, dropped before its first poll and after each poll in turn, leaves the old value or the new one.
pub(super) async fn dropped_writes_after_each_poll(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    drop_all_writes(cx, &bucket).await?;
    let reopened = cx.reopen().await?.open_bucket("b").await?;
    works(&reopened).await
}

/// RW-6: the same while another caller writes large batches, so that calls have to wait.
pub(super) async fn dropped_writes_beside_a_batch(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let busy = Busy::start(&cx.bucket("b").await?);
    let ended = drop_all_writes(cx, &bucket).await;
    busy.end().await?;
    ended
}

/// CAN-1: every read, and every call that fails, dropped likewise, changes nothing and leaves the handle working.
pub(super) async fn dropped_reads_after_each_poll(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let mut drops = 0;
    for is_busy in [false, true] {
        let busy = is_busy.then(|| Busy::start(&bucket));
        let store = cx.store();
        let calls = reads(cx, &store, &bucket).len();
        for at in 0..calls {
            for polls in 0..MOST_POLLS {
                let Some((what, call)) = reads(cx, &store, &bucket).into_iter().nth(at) else { break };
                let ended = drop_after(call, polls).await?;
                drops += 1;
                works(&bucket).await?;
                ensure_stored(&bucket, "k", Some(b"v")).await?;
                ensure!(
                    polls + 1 < MOST_POLLS,
                    "{what}: expected that it ends; found that it wants {MOST_POLLS} polls"
                );
                if let Some(ended) = ended {
                    ended?;
                    break;
                }
            }
        }
        ensure!(drops >= calls, "expected: each call was dropped; found: {drops} drops of {calls} calls");
        if let Some(busy) = busy {
            busy.end().await?;
        }
    }
    ensure_stored(&bucket, "absent", None).await?;
    ensure_eq!(bucket.keys("k", None, None).await?.keys, ["k"]);
    Ok(())
}

/// CAN-1: after each kind of call was dropped half way, no key anywhere is locked: its own, hundreds of neighbours,
/// and those of other buckets can be written, counted, swapped and dropped.
pub(super) async fn dropped_calls_hold_no_lock(cx: &Context) -> Outcome {
    const NEIGHBOURS: usize = 300;
    let bucket = cx.bucket("b").await?;
    let busy = Busy::start(&bucket);
    for write in Write::declared(cx.declared()) {
        for polls in 1..4 {
            let key = format!("{write:?} {polls}");
            if let Some(old) = write.before() {
                bucket.set(&key, old).await?;
            }
            drop(drop_after(write.call(&bucket, &key), polls).await?);
            let again = prompt("a write of the key itself", write.call(&bucket, &key)).await?;
            ensure!(again.is_ok(), "{key} once more: expected success, found {again:?}");
            prompt("a set of the key itself", bucket.set(&key, "after")).await??;
        }
    }
    busy.end().await?;
    let keys: Vec<String> = (0..NEIGHBOURS).map(|at| format!("n{at}")).collect();
    for name in ["b", "another"] {
        let bucket = cx.bucket(name).await?;
        let some = keys.iter().map(|key| bucket.set(key, "1"));
        prompt("sets of neighbours", try_join_all(some)).await??;
        if cx.declared().atomic {
            let sums =
                prompt("increments of neighbours", try_join_all(keys.iter().map(|key| bucket.increment(key, 1))))
                    .await??;
            ensure!(sums.iter().all(|sum| *sum == 2), "expected: each neighbour counts to 2; found {sums:?}");
        }
        prompt("a batch over neighbours", bucket.delete_many(&keys)).await??;
    }
    prompt("dropping the bucket", cx.store().drop_bucket("b")).await??;
    works(&bucket).await
}
