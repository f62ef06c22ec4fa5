//! Many entries in one call.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Batch, Event, IncomingValue, Page, PageRequest, Result};
use rocksdb::WriteBatch;
use tokio::task::yield_now;

use crate::call::{charge, charge_rest};
use crate::engine::{View, Way};
use crate::entry::{Old, change};
use crate::error::Fault;
use crate::io::offload;
use crate::many;
use crate::record::INLINE_VALUE_BYTES;
use crate::registry::BucketState;
use crate::store::{Bucket, Inner};

/// Batches up to this many entries are applied on the caller's task: they take well under the 1 ms that a poll may last.
/// The contract asks for the pool above 1,024 entries.
const INLINE_ENTRIES: usize = 128;

/// Bytes of a batch up to which it is applied on the caller's task.
const INLINE_BYTES: usize = 64 << 10;

/// Keys that count as one call, and bytes of a batch that do.
const KEYS_PER_UNIT: usize = 16;
const BYTES_PER_UNIT: usize = 16 << 10;

/// What a task copies in one turn, where an entry counts that much besides its key: a tenth of a millisecond's work.
const TURN_BYTES: usize = 128 << 10;
const ENTRY_BYTES: usize = 64;

#[async_trait]
impl Batch for Bucket {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        const DOING: &str = "reading entries";
        let charged = keys.len().div_ceil(KEYS_PER_UNIT);
        charge(charged).await;
        let inner = &*self.inner;
        if keys.len() <= many::TOGETHER
            && let Some((way, is_trusted)) = inner.reading_many()
        {
            let read =
                || inner.engine.run(way, |view| many::values_here(view, &inner.counts, &self.state, keys, budget));
            let trust = &inner.trust_many;
            let (done, took) = if is_trusted { trust.watch_on_task(read) } else { trust.time(read) };
            charge_rest(took, charged).await;
            match done {
                Err(Fault::Cold) => inner.counts.misses.note(),
                // More than a task should copy, or a batch came between.
                Err(Fault::Alone) => {}
                done => {
                    if is_trusted {
                        inner.counts.trusted.add(keys.len());
                    } else if way == Way::Quick {
                        trust.earn();
                        inner.counts.hits.add(keys.len());
                    }
                    return done.map_err(|fault| fault.into_error(DOING));
                }
            }
        }
        let bucket = self.clone();
        let keys: Vec<String> = in_turns(keys, |key| key.len(), |key| (*key).to_owned()).await;
        offload(move || {
            let read = |view: View<'_>| many::values(view, &bucket.state, &keys, budget);
            bucket.inner.trust_many.watch(|| bucket.inner.engine.wait(DOING, read))
        })
        .await?
    }

    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()> {
        let change = |(key, value): &(&str, Bytes)| ((*key).to_owned(), Some(value.clone()));
        self.apply(in_turns(entries, |(key, _)| key.len(), change).await).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.apply(in_turns(keys, |key| key.len(), |key| ((*key).to_owned(), None)).await).await
    }

    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        self.page(request).await
    }
}

/// One change of a batch: a key with its new value, or with `None` for its removal.
type Change = (String, Option<Bytes>);

/// Copies what a call was given, in turns: 65,536 keys of a KiB take tens of milliseconds.
async fn in_turns<T: Sync, U: Send>(
    given: &[T],
    bytes: impl Fn(&T) -> usize + Send,
    copy: impl Fn(&T) -> U + Send,
) -> Vec<U> {
    let mut copied = Vec::with_capacity(given.len());
    let mut in_turn = 0;
    for one in given {
        in_turn += ENTRY_BYTES + bytes(one);
        if in_turn > TURN_BYTES {
            yield_now().await;
            in_turn = 0;
        }
        copied.push(copy(one));
    }
    copied
}

/// Of the changes of each key the last, which is the one that counts.
fn last_of_each(changes: &[Change]) -> Vec<&Change> {
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(changes.len());
    for (at, (key, _)) in changes.iter().enumerate() {
        last.insert(key, at);
    }
    let changes = changes.iter().enumerate();
    changes.filter(|(at, (key, _))| last.get(&**key) == Some(at)).map(|(_, change)| change).collect()
}

impl Bucket {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        const DOING: &str = "writing a batch";
        let bytes: usize = changes.iter().map(|(key, new)| key.len() + new.as_ref().map_or(0, Bytes::len)).sum();
        let charged = changes.len().div_ceil(KEYS_PER_UNIT).max(bytes / BYTES_PER_UNIT);
        charge(charged).await;
        if let Some(way) = self.inner.config.io.inline()
            && changes.len() <= INLINE_ENTRIES
            && bytes <= INLINE_BYTES
        {
            let shared = self.inner.gate.share().await;
            self.inner.engine.check_writable()?;
            let write = || self.inner.engine.run(way, |view| apply(&self.inner, view, &self.state, &changes));
            let (done, took) = self.inner.trust_many.time(write);
            // Before the wait for the disk, and before a future that nobody polls any more can keep it.
            drop(shared);
            charge_rest(took, charged).await;
            match done {
                Err(elsewhere) if elsewhere.is_elsewhere() => self.note_stall(&elsewhere),
                done => {
                    done.map_err(|fault| fault.into_error(DOING))?;
                    return self.inner.acknowledge().await;
                }
            }
        }
        let state = Arc::clone(&self.state);
        self.inner.run_alone(DOING, move |inner, view| apply(inner, view, &state, &changes)).await?;
        self.inner.acknowledge().await
    }
}

/// Applies a batch in one step.
fn apply(inner: &Inner, view: View<'_>, state: &BucketState, changes: &[Change]) -> Result<(), Fault> {
    let changes = last_of_each(changes);
    let has_large = changes.iter().any(|(_, new)| new.as_ref().is_some_and(|new| new.len() > INLINE_VALUE_BYTES));
    if has_large && view.way != Way::Alone {
        return Err(Fault::Alone);
    }
    let mut locks = inner.locks.lock_all(&state.name, changes.iter().map(|(key, _)| &**key));
    let is_removal = changes.iter().all(|(_, new)| new.is_none());
    let owner = match (is_removal, state.owner()) {
        (true, None) => return Ok(()),
        (true, Some(owner)) => owner,
        (false, _) => inner.registry.owner_for_write(view, state)?.with(has_large, false),
    };
    // Whoever removes must know what was there, and so must watchers.
    let olds = if is_removal || inner.hub.is_watched() {
        let keys: Vec<&str> = changes.iter().map(|(key, _)| &**key).collect();
        Some(many::heads(view, owner.id, &keys)?)
    } else {
        None
    };
    let old_at = |at: usize| olds.as_ref().map(|olds| olds.get(at).copied().flatten());
    let is_nothing = |at: usize, new: &Option<Bytes>| new.is_none() && old_at(at).is_some_and(|old| old.is_none());
    let mut batch = WriteBatch::default();
    state.note(&mut batch, owner);
    for (at, (key, new)) in changes.iter().enumerate() {
        if !is_nothing(at, new) {
            change(&mut batch, state, owner, key, new.as_ref().map(|new| (&**new, None)), old_at(at));
        }
    }
    if !batch.is_empty() {
        inner.counts.begun.fetch_add(1, Ordering::SeqCst);
        let done = view.write(batch);
        inner.counts.ended.fetch_add(1, Ordering::SeqCst);
        done?;
    }
    state.became(owner);
    for (at, (key, new)) in changes.iter().enumerate() {
        let old = old_at(at).flatten();
        if new.is_some() || old.is_some_and(|old| old.was_live) {
            locks.written(key);
        }
        publish(inner, state, key, new.as_ref(), old);
    }
    Ok(())
}

fn publish(inner: &Inner, state: &BucketState, key: &str, new: Option<&Bytes>, old: Option<Old>) {
    if !inner.hub.is_watched() {
        return;
    }
    let tell = |event: &dyn Fn() -> Event| inner.hub.publish(&state.name, key, event);
    let was_live = old.map(|old| old.was_live);
    if was_live == Some(false) {
        tell(&|| Event::Expired { key: key.to_owned() });
    }
    match new {
        Some(new) => tell(&|| Event::Set { key: key.to_owned(), value: IncomingValue::from(new.clone()) }),
        None if was_live == Some(true) => tell(&|| Event::Deleted { key: key.to_owned() }),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn many_keys_are_copied_in_turns() {
        let key = "k".repeat(1_024);
        let keys = vec![&*key; 4_096];
        let mut copying = pin!(in_turns(&keys, |key| key.len(), |key| (*key).to_owned()));
        let mut turns = 1;
        let copied = loop {
            match copying.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(copied) => break copied,
                Poll::Pending => turns += 1,
            }
        };
        assert_eq!(copied, keys);
        assert!(turns >= 4_096 * 1_024 / TURN_BYTES, "{turns}");
    }

    #[test]
    fn the_last_change_of_a_key_counts() {
        let changes: Vec<Change> = ["a", "b", "a", "c", "b"]
            .into_iter()
            .zip(0_u8..)
            .map(|(key, n)| (key.to_owned(), Some(Bytes::from(vec![n]))))
            .collect();
        let last: Vec<(&str, u8)> =
            last_of_each(&changes).into_iter().map(|(key, new)| (&**key, new.as_ref().unwrap()[0])).collect();
        assert_eq!(last, [("a", 2), ("c", 3), ("b", 4)]);
    }
}
