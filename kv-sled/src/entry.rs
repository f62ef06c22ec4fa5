//! One entry under its key's lock: the one place where records are replaced, guards told, and changes published.

use std::sync::Arc;

use bytes::Bytes;
use kv_core::local::{KeyLock, Version};
use kv_core::{Durability, Event, IncomingValue};
use sled::IVec;

use crate::engine::{Trees, settle};
use crate::error::Fault;
use crate::layout::{EntryKey, Part, chunk_key, deadline_key};
use crate::overflow::{Pin, Writing};
use crate::record::{Head, Record, plain};
use crate::registry::BucketState;
use crate::store::Inner;

/// A value to be stored, its pieces already written if it or its key is too large for a record.
pub(crate) struct Content {
    pub(crate) value: Bytes,
    pub(crate) writing: Option<Box<Writing>>,
}

impl Content {
    /// The record that this content becomes.
    pub(crate) fn record(&self, deadline: Option<u64>) -> IVec {
        let overflow = self.writing.as_ref().map(|writing| writing.overflow());
        let is_cut = overflow.is_some_and(|overflow| overflow.value.is_some());
        Head { deadline, overflow }.record(if is_cut { &[] } else { &self.value })
    }
}

impl Content {
    /// Makes `at` the owner of the pieces, before a record there refers to them: the bucket may have been dropped
    /// since they were written, and be another one now.
    pub(crate) fn own(&self, trees: &Trees, at: &EntryKey) -> Result<(), Fault> {
        if let Some(writing) = self.writing.as_ref().filter(|writing| writing.owner().as_slice() != at.as_slice()) {
            let owner = chunk_key(writing.overflow().id, Part::Owner, 0);
            trees.chunks.insert(owner, at.as_slice())?;
        }
        Ok(())
    }
}

/// A value as found: at hand, or with its pieces kept from being removed until they are read.
pub(crate) enum Seen {
    Whole(Bytes),
    // Boxed, so that the usual value stays small.
    Cut(Box<(Arc<Pin>, Record)>),
}

/// Reads the raw record under a physical key, live or not.
pub(crate) fn find(inner: &Inner, trees: &Trees, at: &EntryKey) -> Result<Option<IVec>, Fault> {
    match inner.torn.before(at.as_slice()) {
        None => Ok(trees.entries.get(at)?),
        Some(before) => Ok(before.clone()),
    }
}

/// Reads the live record of a key, if there is one.
pub(crate) fn lookup(inner: &Inner, trees: &Trees, state: &BucketState, key: &str) -> Result<Option<Record>, Fault> {
    let Some(id) = state.id() else { return Ok(None) };
    let Some(raw) = find(inner, trees, &EntryKey::new(id, key))? else { return Ok(None) };
    let record = Record::read(raw)?;
    Ok(record.is_live().then_some(record))
}

/// Reads the value of a key, or how to get at it.
pub(crate) fn see(inner: &Inner, trees: &Trees, state: &BucketState, key: &str) -> Result<Option<Seen>, Fault> {
    let Some(id) = state.id() else { return Ok(None) };
    let Some(raw) = find(inner, trees, &EntryKey::new(id, key))? else { return Ok(None) };
    let record = match plain(raw) {
        Ok(value) => return Ok(Some(Seen::Whole(value))),
        Err(raw) => Record::read(raw)?,
    };
    if !is_cut(&record) {
        return Ok(record.is_live().then(|| Seen::Whole(record.into_inline())));
    }
    // Pieces are kept only for readers who pin before they read the record.
    let pin = Arc::new(inner.overflows.pin());
    let Some(record) = lookup(inner, trees, state, key)? else { return Ok(None) };
    Ok(Some(seen(pin, record)))
}

/// Makes of a record, read after the pin was taken, its value or how to get at it.
pub(crate) fn seen(pin: Arc<Pin>, record: Record) -> Seen {
    match is_cut(&record) {
        true => Seen::Cut(Box::new((pin, record))),
        false => Seen::Whole(record.into_inline()),
    }
}

pub(crate) fn is_cut(record: &Record) -> bool {
    record.head.overflow.is_some_and(|overflow| overflow.value.is_some())
}

/// An entry with its key locked. For one synchronous step, in which the caller shares the gate or holds it alone.
pub(crate) struct Entry<'a> {
    inner: &'a Inner,
    trees: &'a Trees,
    state: &'a BucketState,
    key: &'a str,
    lock: KeyLock<'a>,
}

impl<'a> Entry<'a> {
    pub(crate) fn lock(inner: &'a Inner, trees: &'a Trees, state: &'a BucketState, key: &'a str) -> Self {
        Self { inner, trees, state, key, lock: inner.locks.lock(&state.name, key) }
    }

    /// The live record, if there is one.
    pub(crate) fn load(&self) -> Result<Option<Record>, Fault> {
        lookup(self.inner, self.trees, self.state, self.key)
    }

    /// The value, if there is one, or how to get at it.
    pub(crate) fn see(&self) -> Result<Option<Seen>, Fault> {
        see(self.inner, self.trees, self.state, self.key)
    }

    /// Keeps the pieces of the record that [`load`](Self::load) gives.
    pub(crate) fn pin(&self) -> Arc<Pin> {
        Arc::new(self.inner.overflows.pin())
    }

    /// The key's version now (CAS-2).
    pub(crate) fn version(&mut self) -> Version {
        self.lock.version()
    }

    /// Creates or replaces the entry.
    pub(crate) fn store(&mut self, content: Content, deadline: Option<u64>) -> Result<(), Fault> {
        let id = self.inner.registry.id_for_write(self.trees, self.state)?;
        let at = EntryKey::new(id, self.key);
        content.own(self.trees, &at)?;
        if let Some(deadline) = deadline {
            // Before the record: no crash leaves a record whose deadline nobody watches.
            self.trees.deadlines.insert(deadline_key(deadline, at.as_slice()), self.state.name.as_bytes())?;
        }
        let old = self.trees.entries.insert(&at, content.record(deadline))?;
        if old.is_none() {
            self.settle(&at)?;
        }
        let Content { value, writing } = content;
        if let Some(writing) = writing {
            (*writing).keep();
        }
        self.lock.written();
        self.replaced(&at, old, deadline)?;
        let key = self.key;
        self.inner.hub.publish(&self.state.name, key, || Event::Set {
            key: key.to_owned(),
            value: IncomingValue::from(value.clone()),
        });
        if let Some(deadline) = deadline {
            self.inner.bell.at(deadline);
        }
        Ok(())
    }

    /// Removes the entry, if it is there.
    pub(crate) fn remove(&mut self) -> Result<(), Fault> {
        let Some(id) = self.state.id() else { return Ok(()) };
        let at = EntryKey::new(id, self.key);
        let old = self.trees.entries.remove(&at)?;
        if old.is_some() {
            self.settle(&at)?;
        }
        // Removing what is absent or expired is no write: guards stay good.
        if old.is_some() && self.replaced(&at, old, None)? {
            self.lock.written();
            let key = self.key;
            self.inner.hub.publish(&self.state.name, key, || Event::Deleted { key: key.to_owned() });
        }
        Ok(())
    }

    /// Settles the tree after a write, unless nothing is promised: then it is not paid for.
    fn settle(&self, at: &EntryKey) -> Result<(), Fault> {
        match self.inner.config.durability {
            Durability::Volatile => Ok(()),
            Durability::Process | Durability::Power => settle(&self.trees.entries, at),
        }
    }

    /// Sees to what the old record leaves behind; tells whether the entry was there until now.
    fn replaced(&self, at: &EntryKey, old: Option<IVec>, deadline: Option<u64>) -> Result<bool, Fault> {
        // A damaged record was never seen by anybody, and is gone now.
        let Some(Ok(old)) = old.map(Record::read) else { return Ok(false) };
        if let Some(past) = old.head.deadline.filter(|past| Some(*past) != deadline) {
            // Or the rows of an entry that is written again and again pile up until their deadlines.
            self.trees.deadlines.remove(deadline_key(past, at.as_slice()))?;
        }
        if let Some(overflow) = old.head.overflow {
            self.inner.overflows.retire(overflow.id);
        }
        let was_live = old.is_live();
        if !was_live {
            let key = self.key;
            self.inner.hub.publish(&self.state.name, key, || Event::Expired { key: key.to_owned() });
        }
        Ok(was_live)
    }
}
