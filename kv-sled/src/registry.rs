//! Which bucket has which id.
//!
//! A bucket gets its id with its first write and loses it when it is dropped; an id is never given twice. A handle
//! shares one small state with the other handles on the name, so that finding the id costs one atomic load, and
//! the state goes with the last handle.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::engine::{Trees, settle};
use crate::error::Fault;

/// No bucket has this id: the bucket has no entry yet.
const NO_ID: u64 = 0;

/// The key in `meta` of the id that the next bucket gets.
const NEXT_ID: &[u8] = b"next bucket id";

/// What all handles on one name share.
pub(crate) struct BucketState {
    pub(crate) name: Box<str>,
    id: AtomicU64,
    registry: Arc<Registry>,
}

impl Drop for BucketState {
    fn drop(&mut self) {
        let mut names = self.registry.names.lock();
        // A new handle may have made a new state meanwhile.
        if names.get(&self.name).is_some_and(|state| state.strong_count() == 0) {
            names.remove(&self.name);
        }
    }
}

impl BucketState {
    /// The bucket's id; `None` where it holds nothing.
    pub(crate) fn id(&self) -> Option<u64> {
        match self.id.load(Ordering::Acquire) {
            NO_ID => None,
            id => Some(id),
        }
    }
}

#[derive(Default)]
pub(crate) struct Registry {
    names: Mutex<HashMap<Box<str>, Weak<BucketState>>>,
}

impl Registry {
    /// The state of `name`; the same for all handles.
    pub(crate) fn state(self: &Arc<Self>, trees: &Trees, name: &str) -> Result<Arc<BucketState>, Fault> {
        let mut names = self.names.lock();
        if let Some(state) = names.get(name).and_then(Weak::upgrade) {
            return Ok(state);
        }
        let id = stored_id(trees, name)?.unwrap_or(NO_ID);
        let state = Arc::new(BucketState { name: name.into(), id: AtomicU64::new(id), registry: Arc::clone(self) });
        names.insert(name.into(), Arc::downgrade(&state));
        Ok(state)
    }

    /// The bucket's id, made with its first write. The caller shares the gate.
    pub(crate) fn id_for_write(&self, trees: &Trees, state: &BucketState) -> Result<u64, Fault> {
        if let Some(id) = state.id() {
            return Ok(id);
        }
        let _names = self.names.lock();
        if let Some(id) = state.id() {
            return Ok(id);
        }
        let id = match trees.meta.get(NEXT_ID)? {
            Some(next) => read_id(&next)?,
            None => NO_ID + 1,
        };
        // Counted before it is used: no crash gives it out twice.
        trees.meta.insert(NEXT_ID, &(id + 1).to_be_bytes())?;
        trees.buckets.insert(state.name.as_bytes(), &id.to_be_bytes())?;
        state.id.store(id, Ordering::Release);
        settle(&trees.buckets, state.name.as_bytes())?;
        Ok(id)
    }

    /// Takes the bucket's id away; its entries are garbage from then on. The caller holds the gate alone.
    pub(crate) fn drop_bucket(&self, trees: &Trees, name: &str) -> Result<(), Fault> {
        let names = self.names.lock();
        if let Some(id) = stored_id(trees, name)? {
            // The removal is the commit; until then `recover` takes the note of garbage back.
            trees.garbage.insert(id.to_be_bytes(), name.as_bytes())?;
            trees.buckets.remove(name.as_bytes())?;
        }
        let state = names.get(name).and_then(Weak::upgrade);
        // The state locks the names when it goes.
        drop(names);
        if let Some(state) = state {
            state.id.store(NO_ID, Ordering::Release);
        }
        settle(&trees.buckets, name.as_bytes())
    }
}

/// Takes back drops that a crash cut short before their commit.
pub(crate) fn recover(trees: &Trees) -> Result<(), Fault> {
    for note in trees.garbage.iter() {
        let (id, name) = note?;
        if trees.buckets.get(&name)?.is_some_and(|stored| stored == id) {
            trees.garbage.remove(id)?;
        }
    }
    Ok(())
}

/// The id that is stored for a bucket.
pub(crate) fn stored_id(trees: &Trees, name: &str) -> Result<Option<u64>, Fault> {
    trees.buckets.get(name.as_bytes())?.map(|id| read_id(&id)).transpose()
}

/// Reads an id back.
pub(crate) fn read_id(bytes: &[u8]) -> Result<u64, Fault> {
    match bytes.try_into() {
        Ok(id) => Ok(u64::from_be_bytes(id)),
        Err(_) => Err(Fault::damaged("a bucket's id has the wrong size")),
    }
}
