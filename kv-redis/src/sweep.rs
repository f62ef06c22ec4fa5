//! Gives back the space of dropped buckets, a little at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kv_core::Result;
use redis::Value;

use crate::error::{Call, odd};
use crate::generation::number;
use crate::layout::{BucketKeys, Group, parse_member, slot};
use crate::script;
use crate::store::Inner;

/// Entries that one step removes: some 0.2 ms of the server's time.
const STEP: usize = 500;

const DOING: &str = "removing a dropped bucket's entries";

/// Looks, once, for what earlier processes left. Space, not truth: if that fails, the next process looks again.
pub(crate) fn look(inner: &Arc<Inner>) {
    if !inner.has_looked.swap(true, Ordering::Relaxed) {
        start(inner);
    }
}

/// Begins to remove what is in the trash, unless that is under way. Ends when it is empty, or at the first failure: then
/// the next drop, or the next process, goes on.
pub(crate) fn start(inner: &Arc<Inner>) {
    if inner.is_sweeping.swap(true, Ordering::SeqCst) {
        return;
    }
    let weak = Arc::downgrade(inner);
    let Ok(background) = inner.background.handle() else {
        return inner.is_sweeping.store(false, Ordering::SeqCst);
    };
    background.spawn(async move {
        while let Some(inner) = weak.upgrade() {
            match sweep(&inner).await {
                Ok(true) => {}
                Ok(false) => {
                    inner.is_sweeping.store(false, Ordering::SeqCst);
                    // Something may have been dropped since the look, by somebody who saw this one at work.
                    if !sweep(&inner).await.unwrap_or(false) || inner.is_sweeping.swap(true, Ordering::SeqCst) {
                        return;
                    }
                }
                Err(_) => return inner.is_sweeping.store(false, Ordering::SeqCst),
            }
        }
    });
}

/// Removes one dropped generation; whether there was one.
async fn sweep(inner: &Arc<Inner>) -> Result<bool> {
    let trash = inner.namespace.trash();
    let at = slot(&trash);
    let mut pick = redis::cmd("SRANDMEMBER");
    pick.arg(&trash);
    let Value::BulkString(member) = inner.one(at, DOING, Call::Read, pick).await? else { return Ok(false) };
    if let Some((bucket, dropped)) = parse_member(&member) {
        let keys = inner.namespace.escaped(bucket);
        let mut ask = redis::cmd("GET");
        ask.arg(keys.generation(Group::FIRST));
        let found = inner.one(keys.slot(Group::FIRST), DOING, Call::Read, ask).await?;
        let living = number(&found).ok_or_else(|| odd(DOING, Call::Read))?;
        for group in keys.groups() {
            // One that lives is no garbage: a drop that was refused half-way notes such a one.
            while step(inner, &keys, group, living, dropped).await? {
                inner.links.check_open()?;
            }
        }
        if living > dropped {
            return forget(inner, &keys, dropped).await.map(|()| true);
        }
    }
    let mut remove = redis::cmd("SREM");
    remove.arg(&trash).arg(&member);
    inner.one(at, DOING, Call::Read, remove).await.map(|_| true)
}

/// Notes that nothing is left of a dropped generation.
pub(crate) async fn forget(inner: &Inner, keys: &BucketKeys, dropped: u64) -> Result<()> {
    let mut remove = redis::cmd("ZREM");
    remove.arg(&*inner.registry).arg(keys.member(dropped));
    inner.one(slot(&inner.registry), DOING, Call::Read, remove).await?;
    if inner.namespace.is_spread() {
        let hints = inner.namespace.hints();
        let mut remove = redis::cmd("HDEL");
        remove.arg(&hints).arg(keys.member(dropped));
        inner.one(slot(&hints), DOING, Call::Read, remove).await?;
    }
    let trash = inner.namespace.trash();
    let mut remove = redis::cmd("SREM");
    remove.arg(&trash).arg(keys.member(dropped));
    inner.one(slot(&trash), DOING, Call::Read, remove).await.map(drop)
}

/// Tells a group that a generation was dropped, and removes some of its entries. Whether there may be more.
pub(crate) async fn step(inner: &Inner, keys: &BucketKeys, group: Group, living: u64, dropped: u64) -> Result<bool> {
    let fill = |command: &mut redis::Cmd| {
        command.arg(2).arg(keys.generation(group)).arg(keys.index(group, dropped));
        command.arg(living).arg(dropped).arg(keys.entries(group, dropped)).arg(STEP);
    };
    let answer = script::run_on(inner, keys.slot(group), DOING, Call::Read, &script::SWEEP, fill).await?;
    Ok(answer == Value::Int(1))
}
