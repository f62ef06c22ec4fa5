//! Many records under one state of the store.

use bytes::Bytes;
use kv_core::{Error, IncomingValue};
use rocksdb::{DBPinnableSlice, ReadOptions};

use crate::engine::{View, Way};
use crate::entry::{Old, body};
use crate::error::Fault;
use crate::layout::PhysicalKey;
use crate::options::body_options;
use crate::record::{Record, Value};
use crate::registry::BucketState;
use crate::store::Counts;

/// Keys that the engine looks up together, under one state of the store: as many as a task asks for.
pub(crate) const TOGETHER: usize = 128;

/// Bytes of values that a task copies in one step.
const INLINE_BYTES: usize = 512 << 10;

/// Looks up all keys, waiting for the disk, and hands each record, with its key's place, to `take`.
fn look_up<K: AsRef<str>>(
    view: View<'_>,
    id: u64,
    keys: &[K],
    options: &ReadOptions,
    mut take: impl FnMut(usize, DBPinnableSlice<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let family = view.family()?;
    for (n, keys) in keys.chunks(TOGETHER).enumerate() {
        let keys: Vec<_> = keys.iter().map(|key| PhysicalKey::entry(id, key.as_ref())).collect();
        let found = view.db.db.batched_multi_get_cf_opt(family, &keys, false, options);
        for (place, found) in found.into_iter().enumerate() {
            if let Some(raw) = found.map_err(Fault::read)? {
                take(n * TOGETHER + place, raw)?;
            }
        }
    }
    Ok(())
}

/// Reads the values of up to [`TOGETHER`] keys on a task, at most `budget` bytes of them; refuses what takes long or meets a
/// batch.
pub(crate) fn values_here(
    view: View<'_>,
    counts: &Counts,
    state: &BucketState,
    keys: &[&str],
    budget: usize,
) -> Result<Vec<Option<IncomingValue>>, Fault> {
    unless_met(counts, state, |id| match id {
        Some(id) => short_values(view, id, keys, budget),
        None => Ok(vec![None; keys.len()]),
    })
}

/// Runs a read on the state that the bucket has, and refuses what it gives where a batch or a drop came between. Errors too:
/// a limit may be passed by values that never stood there together.
fn unless_met<T>(
    counts: &Counts,
    state: &BucketState,
    read: impl FnOnce(Option<u64>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let before = counts.batches().ok_or(Fault::Alone)?;
    let id = state.id();
    let done = read(id);
    // Single writes may come between two keys, but no reader sees a part of a batch (BAT-4).
    let is_whole = counts.batches() == Some(before) && state.id() == id;
    if is_whole { done } else { Err(Fault::Alone) }
}

fn short_values(view: View<'_>, id: u64, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>, Fault> {
    let mut left = Left::new(budget);
    let mut values = vec![None; keys.len()];
    let mut take = |place: usize, raw: DBPinnableSlice<'_>| {
        let value = match left.value(&raw)? {
            None => return Ok(()),
            Some(Value::Inline(value)) if left.taken() <= INLINE_BYTES => Bytes::copy_from_slice(value),
            Some(_) => return Err(Fault::Alone),
        };
        if let Some(slot) = values.get_mut(place) {
            *slot = Some(value.into());
        }
        Ok(())
    };
    if view.way == Way::Quick {
        // One by one: the engine's lookup of many waits for the disk whatever it is told.
        for (place, key) in keys.iter().enumerate() {
            if let Some(raw) = view.get(PhysicalKey::entry(id, key))? {
                take(place, raw)?;
            }
        }
    } else {
        look_up(view, id, keys, view.options(), take)?;
    }
    Ok(values)
}

/// Reads the values of many keys, at most `budget` bytes of them, under one state of the store. For a thread that may wait.
pub(crate) fn values<K: AsRef<str>>(
    view: View<'_>,
    state: &BucketState,
    keys: &[K],
    budget: usize,
) -> Result<Vec<Option<IncomingValue>>, Fault> {
    loop {
        let Some(id) = state.id() else { return Ok(vec![None; keys.len()]) };
        let found = values_of(view, id, keys, budget);
        // Or the bucket was dropped meanwhile, and some of its rows may be gone already.
        if state.id() == Some(id) {
            return found;
        }
    }
}

fn values_of<K: AsRef<str>>(
    view: View<'_>,
    id: u64,
    keys: &[K],
    budget: usize,
) -> Result<Vec<Option<IncomingValue>>, Fault> {
    let mut values = vec![None; keys.len()];
    let snapshot = view.db.db.snapshot();
    let at = |mut options: ReadOptions| {
        options.set_snapshot(&snapshot);
        options
    };
    let mut left = Left::new(budget);
    look_up(view, id, keys, &at(view.own_options()), |place, raw| {
        let value = match left.value(&raw)? {
            None => return Ok(()),
            Some(Value::Inline(value)) => Bytes::copy_from_slice(value),
            Some(Value::Large(bytes)) => {
                let key = keys.get(place).map(AsRef::as_ref).unwrap_or_default();
                let found = view.db.db.get_pinned_opt(PhysicalKey::body(id, key), &at(body_options()));
                body(found.map_err(Fault::read)?, bytes)?
            }
        };
        if let Some(slot) = values.get_mut(place) {
            *slot = Some(value.into());
        }
        Ok(())
    })?;
    Ok(values)
}

/// What is left of a reply's limit.
struct Left {
    bytes: usize,
    of: usize,
}

impl Left {
    fn new(of: usize) -> Self {
        Self { bytes: of, of }
    }

    /// The value of a record, if it is live; takes its bytes from the limit.
    fn value<'a>(&mut self, raw: &'a [u8]) -> Result<Option<Value<'a>>, Fault> {
        let record = Record::read(raw)?;
        if !record.is_live() {
            return Ok(None);
        }
        let bytes = match record.value {
            Value::Inline(value) => value.len(),
            Value::Large(bytes) => bytes as usize,
        };
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| Error::reply_limit(self.of))?;
        Ok(Some(record.value))
    }

    fn taken(&self) -> usize {
        self.of - self.bytes
    }
}

/// What stands under many keys, each of them once.
pub(crate) fn heads(view: View<'_>, id: u64, keys: &[&str]) -> Result<Vec<Option<Old>>, Fault> {
    let old = |raw: &[u8]| Ok::<_, Fault>(Old::new(Record::read(raw)?.head()));
    if view.way == Way::Quick {
        let look = |key: &&str| view.get(PhysicalKey::entry(id, key))?.map(|raw| old(&raw)).transpose();
        return keys.iter().map(look).collect();
    }
    let mut heads = vec![None; keys.len()];
    look_up(view, id, keys, view.options(), |place, raw| {
        if let Some(slot) = heads.get_mut(place) {
            *slot = Some(old(&raw)?);
        }
        Ok(())
    })?;
    Ok(heads)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::config::Config;
    use crate::open::open;

    #[test]
    fn what_met_a_batch_counts_for_nothing_not_even_as_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let handle = open(Config::new(folder.path())).unwrap();
        let inner = &handle.inner;
        let state = inner.engine.run(Way::Shared, |view| inner.registry.state(view, "b")).unwrap();
        let read = |batches| {
            unless_met::<()>(&inner.counts, &state, |_| {
                inner.counts.begun.fetch_add(batches, Ordering::SeqCst);
                inner.counts.ended.fetch_add(batches, Ordering::SeqCst);
                Err(Error::reply_limit(0).into())
            })
        };
        assert!(matches!(read(0), Err(Fault::Own(_))));
        assert!(matches!(read(1), Err(Fault::Alone)));
    }
}
