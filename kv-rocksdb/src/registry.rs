//! Which bucket has which id.
//!
//! A bucket gets its id with its first write and loses it when it is dropped; an id is never given twice. A handle
//! shares one small state with the other handles on the name, so that finding the id costs one atomic load, and
//! the state goes with the last handle.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rocksdb::WriteBatch;

use crate::engine::{View, Way};
use crate::error::{Fault, no_more_ids};
use crate::layout::{LAST_ID, NEXT_ID, garbage_key, id_of, id_ranges, registry_key};
use crate::list::iterate;

/// The bucket has, or had, a large value.
const HAS_LARGE: u8 = 1;
/// The bucket has, or had, an entry with a deadline.
const HAS_DEADLINES: u8 = 2;

/// A bucket as its registry row has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) id: u64,
    flags: u8,
}

impl Owner {
    /// Whether it has, or had, a large value: only then may one have to be removed.
    pub(crate) fn has_large(self) -> bool {
        self.flags & HAS_LARGE != 0
    }

    pub(crate) fn has_deadlines(self) -> bool {
        self.flags & HAS_DEADLINES != 0
    }

    /// The owner once it has such an entry.
    pub(crate) fn with(self, is_large: bool, has_deadline: bool) -> Self {
        let large = if is_large { HAS_LARGE } else { 0 };
        let deadlines = if has_deadline { HAS_DEADLINES } else { 0 };
        Self { flags: self.flags | large | deadlines, ..self }
    }

    /// Reads a registry row.
    pub(crate) fn read(row: &[u8]) -> Result<Self, Fault> {
        match row.split_first_chunk() {
            Some((id, [flags])) => Ok(Self { id: u64::from_be_bytes(*id), flags: *flags }),
            _ => Err(Fault::damaged("a bucket's row has the wrong size")),
        }
    }

    fn row(self) -> [u8; 9] {
        let mut row = [self.flags; 9];
        if let Some(id) = row.first_chunk_mut() {
            *id = self.id.to_be_bytes();
        }
        row
    }

    /// The row of a dropped bucket: what is to be removed, and whose it was.
    fn garbage(self, name: &str) -> Vec<u8> {
        [&[self.flags], name.as_bytes()].concat()
    }

    /// Reads the row of a dropped bucket.
    pub(crate) fn of_garbage(id: u64, row: &[u8]) -> Self {
        Self { id, flags: row.first().copied().unwrap_or(u8::MAX) }
    }
}

/// No bucket has this id: the bucket has no entry yet.
const NO_ID: u64 = 0;

/// Bits of a state that are the flags.
const FLAG_BITS: u32 = 8;

/// What all handles on one name share.
pub(crate) struct BucketState {
    pub(crate) name: Box<str>,
    /// The id and, below it, the flags.
    owner: AtomicU64,
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
    /// The bucket's id and flags; `None` where it holds nothing.
    pub(crate) fn owner(&self) -> Option<Owner> {
        match self.owner.load(Ordering::Acquire) {
            NO_ID => None,
            owner => Some(Owner { id: owner >> FLAG_BITS, flags: owner as u8 }),
        }
    }

    pub(crate) fn id(&self) -> Option<u64> {
        self.owner().map(|owner| owner.id)
    }

    fn set(&self, owner: Option<Owner>) {
        let packed = owner.map_or(NO_ID, |owner| owner.id << FLAG_BITS | u64::from(owner.flags));
        self.owner.store(packed, Ordering::Release);
    }

    /// Adds to a batch that the bucket has other flags from then on. The caller calls [`became`](Self::became) once the
    /// batch was written.
    pub(crate) fn note(&self, batch: &mut WriteBatch, owner: Owner) {
        if self.owner() != Some(owner) {
            batch.put(registry_key(&self.name), owner.row());
        }
    }

    /// Takes over the flags that were written. Two writers may have added one each: none is lost.
    pub(crate) fn became(&self, owner: Owner) {
        self.owner.fetch_or(u64::from(owner.flags), Ordering::AcqRel);
    }
}

pub(crate) struct Registry {
    names: Mutex<HashMap<Box<str>, Weak<BucketState>>>,
    /// The id that the next bucket gets.
    next: AtomicU64,
}

impl Registry {
    pub(crate) fn open(view: View<'_>) -> Result<Self, Fault> {
        let mut next = match view.get(NEXT_ID)? {
            Some(next) => read_number(&next)?,
            None => NO_ID + 1,
        };
        // A power cut may take the end of one log and leave the next one. No bucket may get an id under which there are rows.
        for range in id_ranges() {
            let mut iterator = iterate(view, range);
            iterator.seek_to_last();
            if let Some(id) = iterator.key().and_then(id_of) {
                next = next.max(id.saturating_add(1));
            }
            iterator.status().map_err(Fault::read)?;
        }
        Ok(Self { names: Mutex::default(), next: AtomicU64::new(next) })
    }

    /// The state of `name`, the same for all handles. With [`Way::Alone`] the caller holds the gate alone.
    pub(crate) fn state(self: &Arc<Self>, view: View<'_>, name: &str) -> Result<Arc<BucketState>, Fault> {
        if view.way == Way::Quick {
            let mut names = self.names.lock();
            if let Some(state) = names.get(name).and_then(Weak::upgrade) {
                return Ok(state);
            }
            // In memory only, so the lock is not held for long; and under it, so that no first write comes between.
            let owner = stored(view, name)?;
            return Ok(self.insert(&mut names, name, owner));
        }
        // The gate keeps first writes and drops out.
        let owner = stored(view, name)?;
        let mut names = self.names.lock();
        match names.get(name).and_then(Weak::upgrade) {
            Some(state) => Ok(state),
            None => Ok(self.insert(&mut names, name, owner)),
        }
    }

    fn insert(
        self: &Arc<Self>,
        names: &mut HashMap<Box<str>, Weak<BucketState>>,
        name: &str,
        owner: Option<Owner>,
    ) -> Arc<BucketState> {
        let state = BucketState { name: name.into(), owner: AtomicU64::new(NO_ID), registry: Arc::clone(self) };
        state.set(owner);
        let state = Arc::new(state);
        names.insert(name.into(), Arc::downgrade(&state));
        state
    }

    /// The bucket's id and flags, made with its first write. The caller shares the gate or holds it alone.
    pub(crate) fn owner_for_write(&self, view: View<'_>, state: &BucketState) -> Result<Owner, Fault> {
        match state.owner() {
            Some(owner) => Ok(owner),
            None => self.create(view, state),
        }
    }

    #[cold]
    fn create(&self, view: View<'_>, state: &BucketState) -> Result<Owner, Fault> {
        // Held only for a write that does not wait. One that may wait has no other writer beside it.
        let _names = (view.way != Way::Alone).then(|| self.names.lock());
        if let Some(owner) = state.owner() {
            return Ok(owner);
        }
        let owner = Owner { id: self.next.load(Ordering::Relaxed), flags: 0 };
        if owner.id > LAST_ID {
            return Err(Fault::Own(no_more_ids()));
        }
        // By itself, in front of the first entry: a row without an entry shows nowhere, and the log keeps the order.
        let mut batch = WriteBatch::default();
        batch.put(registry_key(&state.name), owner.row());
        batch.put(NEXT_ID, (owner.id + 1).to_be_bytes());
        view.write(batch)?;
        self.next.store(owner.id + 1, Ordering::Relaxed);
        state.set(Some(owner));
        Ok(owner)
    }

    /// Takes the bucket's id away; its entries are garbage from then on. The caller holds the gate alone.
    pub(crate) fn drop_bucket(&self, view: View<'_>, name: &str, owner: Owner) -> Result<(), Fault> {
        let mut batch = WriteBatch::default();
        batch.delete(registry_key(name));
        batch.put(garbage_key(owner.id), owner.garbage(name));
        view.write(batch)?;
        let state = self.names.lock().get(name).and_then(Weak::upgrade);
        if let Some(state) = state {
            state.set(None);
        }
        Ok(())
    }
}

/// What is stored of a bucket.
pub(crate) fn stored(view: View<'_>, name: &str) -> Result<Option<Owner>, Fault> {
    view.get(registry_key(name))?.map(|row| Owner::read(&row)).transpose()
}

/// Reads a number back.
pub(crate) fn read_number(bytes: &[u8]) -> Result<u64, Fault> {
    match bytes.try_into() {
        Ok(number) => Ok(u64::from_be_bytes(number)),
        Err(_) => Err(Fault::damaged("a number has the wrong size")),
    }
}
