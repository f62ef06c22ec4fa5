//! Many records under one state of the store.

use bytes::Bytes;
use kv_core::{Error, IncomingValue};
use rocksdb::{DBPinnableSlice, ReadOptions};

use crate::engine::View;
use crate::entry::{Old, body};
use crate::error::Fault;
use crate::layout::PhysicalKey;
use crate::options::body_options;
use crate::record::{Record, Value};
use crate::registry::BucketState;

/// Keys that the engine looks up together: as many as it does itself.
const TOGETHER: usize = 32;

/// Bytes of values that a task copies in one step.
const INLINE_BYTES: usize = 512 << 10;

/// Keys to be looked up, in their order in the store.
struct Sorted {
    keys: Vec<PhysicalKey>,
    /// Where each was asked for.
    places: Vec<usize>,
}

impl Sorted {
    fn new<K: AsRef<str>>(id: u64, keys: &[K]) -> Self {
        let mut places: Vec<usize> = (0..keys.len()).collect();
        let key = |place: &usize| keys.get(*place).map(AsRef::as_ref);
        if !keys.is_sorted_by_key(|key| key.as_ref()) {
            places.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        }
        let keys = places.iter().filter_map(|place| Some(PhysicalKey::entry(id, key(place)?))).collect();
        Self { keys, places }
    }

    /// Looks all up and hands each record, with the place where it was asked for, to `take`.
    fn look_up(
        &self,
        view: View<'_>,
        options: &ReadOptions,
        mut take: impl FnMut(usize, DBPinnableSlice<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let family = view.family()?;
        for (keys, places) in self.keys.chunks(TOGETHER).zip(self.places.chunks(TOGETHER)) {
            let found = view.db.db.batched_multi_get_cf_opt(family, keys, true, options);
            for (found, place) in found.into_iter().zip(places) {
                if let Some(raw) = found.map_err(Fault::read)? {
                    take(*place, raw)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads the values of many keys, at most `budget` bytes of them. On a task it refuses what takes long.
pub(crate) fn values<K: AsRef<str>>(
    view: View<'_>,
    state: &BucketState,
    keys: &[K],
    budget: usize,
    is_task: bool,
) -> Result<Vec<Option<IncomingValue>>, Fault> {
    loop {
        let Some(id) = state.id() else { return Ok(vec![None; keys.len()]) };
        let found = values_of(view, id, keys, budget, is_task);
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
    is_task: bool,
) -> Result<Vec<Option<IncomingValue>>, Fault> {
    let mut values = vec![None; keys.len()];
    let sorted = Sorted::new(id, keys);
    // One call of the engine sees one state by itself. Bodies are read by further calls, but not here.
    let snapshot = (keys.len() > TOGETHER || !is_task).then(|| view.db.db.snapshot());
    let at = |mut options: ReadOptions| {
        snapshot.as_ref().inspect(|snapshot| options.set_snapshot(snapshot));
        options
    };
    let own = snapshot.is_some().then(|| at(view.own_options()));
    let options = own.as_ref().unwrap_or(view.options());
    let mut left = budget;
    let mut here = 0;
    sorted.look_up(view, options, |place, raw| {
        let record = Record::read(&raw)?;
        if !record.is_live() {
            return Ok(());
        }
        let bytes = match record.value {
            Value::Inline(value) => value.len(),
            Value::Large(bytes) => bytes as usize,
        };
        left = left.checked_sub(bytes).ok_or_else(|| Error::reply_limit(budget))?;
        here += bytes;
        let value = match record.value {
            Value::Inline(value) if here <= INLINE_BYTES || !is_task => Bytes::copy_from_slice(value),
            Value::Large(bytes) if !is_task => {
                let key = keys.get(place).map(AsRef::as_ref).unwrap_or_default();
                let found = view.db.db.get_pinned_opt(PhysicalKey::body(id, key), &at(body_options()));
                body(found.map_err(Fault::read)?, bytes)?
            }
            _ => return Err(Fault::Alone),
        };
        if let Some(slot) = values.get_mut(place) {
            *slot = Some(value.into());
        }
        Ok(())
    })?;
    Ok(values)
}

/// What stands under many keys, each of them once.
pub(crate) fn heads(view: View<'_>, id: u64, keys: &[&str]) -> Result<Vec<Option<Old>>, Fault> {
    let mut heads = vec![None; keys.len()];
    Sorted::new(id, keys).look_up(view, view.options(), |place, raw| {
        if let Some(slot) = heads.get_mut(place) {
            *slot = Some(Old::new(Record::read(&raw)?.head()));
        }
        Ok(())
    })?;
    Ok(heads)
}
