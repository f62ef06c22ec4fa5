//! Calls over many entries, dropped half way.

use std::time::Duration;

use kv_core::{Bucket, IncomingValue, Ttl};

use super::super::atomic::stored::ensure_stored;
use super::super::store::entries::{listed, prompt};
use super::drops::Busy;
use super::polls::{Call, MOST_POLLS, drop_after};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Looks at a dropped call's keys until two looks agree, as it may apply late; each look is whole.
async fn whole(
    bucket: &Bucket,
    keys: &[String],
    is_new: impl Fn(Option<&IncomingValue>) -> bool,
) -> Result<bool, Stop> {
    let mut before = None;
    loop {
        let found = bucket.get_many(keys).await?;
        let new = found.iter().filter(|value| is_new(value.as_ref())).count();
        ensure!(
            new == 0 || new == keys.len(),
            "expected: all {} entries of the dropped call or none; found {new}",
            keys.len()
        );
        let all = new == keys.len();
        if before == Some(all) {
            return Ok(all);
        }
        before = Some(all);
        tokio::task::yield_now().await;
    }
}

/// BAT-4: a large batch dropped after each poll in turn is applied whole or not at all.
pub(super) async fn dropped_batch_is_whole(cx: &Context) -> Outcome {
    const ENTRIES: usize = 1_500;
    let bucket = cx.bucket("b").await?;
    let keys: Vec<String> = (0..ENTRIES).map(|at| format!("k{at}")).collect();
    for polls in 0..MOST_POLLS {
        let (writer, names) = (bucket.clone(), keys.clone());
        let set: Call = Box::pin(async move { writer.set_many(names.iter().map(|key| (key, "v"))).await });
        let set = drop_after(set, polls).await?.transpose()?;
        let is_there = whole(&bucket, &keys, |value| value.is_some()).await?;
        ensure!(set.is_none() || is_there, "expected: a batch that had ended is there; found: it is not");
        prompt("set_many after a dropped one", bucket.set_many(keys.iter().map(|key| (key, "w")))).await??;
        let (writer, names) = (bucket.clone(), keys.clone());
        let delete: Call = Box::pin(async move { writer.delete_many(&names).await });
        let delete = drop_after(delete, polls).await?.transpose()?;
        let is_gone = whole(&bucket, &keys, |value| value.is_none()).await?;
        ensure!(delete.is_none() || is_gone, "expected: what an ended batch deletes is gone; found: it is there");
        prompt("delete_many after a dropped one", bucket.delete_many(&keys)).await??;
        ensure_eq!(listed(&bucket, "").await?.len(), 0, "keys after {polls} polls");
        if set.is_some() && delete.is_some() {
            return Ok(());
        }
    }
    Err(Stop::failed(format_args!("expected: a batch ends; found: it wants more than {MOST_POLLS} polls")))
}

/// BKT-3: dropping a bucket, dropped after each poll in turn, removes all its entries or none, and no others.
pub(super) async fn dropped_drop_is_whole(cx: &Context) -> Outcome {
    const ENTRIES: usize = 200;
    // How many polls a call wants depends on who else holds the lock just then, so each number is tried again.
    const TURNS: usize = 4;
    let (bucket, other) = (cx.bucket("b").await?, cx.bucket("bb").await?);
    let keys: Vec<String> = (0..ENTRIES).map(|at| format!("k{at}")).collect();
    other.set("k0", "stays").await?;
    let busy = Busy::start(&other);
    let mut ends = 0;
    for polls in (0..MOST_POLLS).flat_map(|polls| [polls; TURNS]) {
        prompt("set_many", bucket.set_many(keys.iter().map(|key| (key, "v")))).await??;
        let store = cx.store();
        let ended =
            drop_after(Box::pin(async move { store.drop_bucket("b").await }) as Call, polls).await?.transpose()?;
        let is_gone = if cx.declared().batches == kv_core::Batches::Atomic {
            whole(&bucket, &keys, |value| value.is_none()).await?
        } else {
            listed(&bucket, "").await?.is_empty()
        };
        ensure!(polls > 0 || !is_gone, "expected: a call never polled does nothing; found: the bucket dropped");
        ensure!(ended.is_none() || is_gone, "expected: the bucket is empty once it was dropped; found: it is not");
        ensure_stored(&other, "k0", Some(b"stays")).await?;
        prompt("a set after a dropped drop", bucket.set("k0", "again")).await??;
        prompt("dropping the bucket", cx.store().drop_bucket("b")).await??;
        ensure_eq!(listed(&bucket, "").await?, Vec::<String>::new(), "keys after the bucket was dropped");
        ends += usize::from(ended.is_some());
        if ends == TURNS {
            return busy.end().await;
        }
    }
    Err(Stop::failed(format_args!("expected: drop_bucket ends; found: it wants more than {MOST_POLLS} polls")))
}

/// TTL-1: `set_with_ttl` of an absent key, dropped after each poll in turn, leaves nothing or an entry with its
/// deadline, never one that stays for ever.
pub(super) async fn dropped_ttl_keeps_its_deadline(cx: &Context) -> Outcome {
    const TTL: Duration = Duration::from_secs(600);
    let bucket = cx.bucket("b").await?;
    for is_busy in [false, true] {
        let busy = is_busy.then(|| Busy::start(&bucket));
        let mut ended = None;
        for polls in 0..MOST_POLLS {
            let key = format!("k{is_busy}{polls}");
            let (writer, name) = (bucket.clone(), key.clone());
            let call: Call = Box::pin(async move { writer.set_with_ttl(&name, "v", TTL).await });
            ended = drop_after(call, polls).await?.transpose()?;
            let ttl = bucket.ttl(&key).await?;
            ensure!(
                ttl != Ttl::Forever,
                "expected: an entry with its deadline, or none; found one that stays for ever"
            );
            ensure!(ended.is_none() || ttl != Ttl::Absent, "expected: an ended write is there; found: it is absent");
            if ended.is_some() {
                break;
            }
        }
        ensure!(ended.is_some(), "expected: set_with_ttl ends; found: it wants more than {MOST_POLLS} polls");
        if let Some(busy) = busy {
            busy.end().await?;
        }
    }
    Ok(())
}

/// BKT-5: `close` dropped after each poll in turn can be called again, and the store opens with all that it held.
pub(super) async fn dropped_close_can_be_repeated(cx: &Context) -> Outcome {
    let mut held = 0;
    for polls in 0..MOST_POLLS {
        let (store, bucket) = (cx.store(), cx.bucket("b").await?);
        bucket.set(&format!("k{polls}"), "v").await?;
        held += 1;
        let closing = store.clone();
        let ended = drop_after(Box::pin(async move { closing.close().await }) as Call, polls).await?.transpose()?;
        if polls == 0 {
            ensure_stored(&bucket, "k0", Some(b"v")).await?;
        }
        prompt("close after a dropped close", store.close()).await??;
        drop((store, bucket));
        let reopened = prompt("open after close", cx.reopen()).await??;
        ensure_eq!(listed(&reopened.open_bucket("b").await?, "").await?.len(), held, "keys after a dropped close");
        if ended.is_some() {
            return Ok(());
        }
    }
    Err(Stop::failed(format_args!("expected: close ends; found: it wants more than {MOST_POLLS} polls")))
}
