//! One entry under its key's lock: the one place where single records are replaced, guards told, and changes published.

use bytes::Bytes;
use kv_core::local::{KeyLock, Version, now};
use kv_core::{Event, IncomingValue};
use rocksdb::{ReadOptions, WriteBatch};

use crate::engine::{View, Way};
use crate::error::Fault;
use crate::layout::{PhysicalKey, deadline_key};
use crate::options::body_options;
use crate::record::{Head, INLINE_VALUE_BYTES, Record, Value, with_record};
use crate::registry::{BucketState, Owner};
use crate::store::Inner;

/// Reads the record of a key and hands it to `take` if it is live.
#[inline(always)]
pub(crate) fn look<T>(
    view: View<'_>,
    state: &BucketState,
    key: &str,
    take: impl FnOnce(Option<Record<'_>>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    loop {
        let Some(id) = state.id() else { return take(None) };
        let found = view.get(PhysicalKey::entry(id, key))?;
        // Or the bucket was dropped meanwhile, and some of its rows may be gone already.
        if state.id() == Some(id) {
            return match found {
                None => take(None),
                Some(raw) => take(Some(Record::read(&raw)?).filter(Record::is_live)),
            };
        }
    }
}

/// Reads a value under one state of the store, large or not. For a thread that may wait.
pub(crate) fn load(view: View<'_>, state: &BucketState, key: &str) -> Result<Option<Bytes>, Fault> {
    loop {
        let Some(id) = state.id() else { return Ok(None) };
        let found = load_of(view, id, key);
        // Or the bucket was dropped meanwhile, and some of its rows may be gone already.
        if state.id() == Some(id) {
            return found;
        }
    }
}

fn load_of(view: View<'_>, id: u64, key: &str) -> Result<Option<Bytes>, Fault> {
    let snapshot = view.db.db.snapshot();
    let get = |at: PhysicalKey, mut options: ReadOptions| {
        options.set_snapshot(&snapshot);
        view.db.db.get_pinned_opt(at, &options).map_err(Fault::read)
    };
    let Some(raw) = get(PhysicalKey::entry(id, key), view.own_options())? else { return Ok(None) };
    let record = Record::read(&raw)?;
    if !record.is_live() {
        return Ok(None);
    }
    match record.value {
        Value::Inline(value) => Ok(Some(Bytes::copy_from_slice(value))),
        Value::Large(bytes) => body(get(PhysicalKey::body(id, key), body_options())?, bytes).map(Some),
    }
}

/// Checks the body of a large value against its record.
pub(crate) fn body(found: Option<impl AsRef<[u8]>>, bytes: u32) -> Result<Bytes, Fault> {
    match found.as_ref().map(AsRef::as_ref) {
        Some(body) if body.len() == bytes as usize => Ok(Bytes::copy_from_slice(body)),
        Some(_) => Err(Fault::damaged("a large value has another size than its record says")),
        None => Err(Fault::damaged("a large value is missing")),
    }
}

/// What a write found in an entry's place.
#[derive(Clone, Copy)]
pub(crate) struct Old {
    pub(crate) head: Head,
    pub(crate) was_live: bool,
}

impl Old {
    pub(crate) fn new(head: Head) -> Self {
        Self { head, was_live: head.is_live() }
    }
}

/// Puts into a batch what becomes of an entry, and of what the old one leaves behind. `old` is `None` where nobody looked,
/// and holds `None` where nothing was there.
pub(crate) fn change(
    batch: &mut WriteBatch,
    state: &BucketState,
    owner: Owner,
    key: &str,
    new: Option<(&[u8], Option<u64>)>,
    old: Option<Option<Old>>,
) {
    let at = PhysicalKey::entry(owner.id, key);
    let deadline = new.and_then(|(_, deadline)| deadline);
    let is_large = new.is_some_and(|(value, _)| value.len() > INLINE_VALUE_BYTES);
    match new {
        Some((value, deadline)) => with_record(value, deadline, |record| batch.put(&at, record)),
        None => batch.delete(&at),
    }
    match new {
        Some((value, _)) if is_large => batch.put(PhysicalKey::body(owner.id, key), value),
        // Whoever did not look must take it that a body is there.
        _ if owner.has_large() && old.is_none_or(|old| old.is_some_and(|old| old.head.is_large)) => {
            batch.delete(PhysicalKey::body(owner.id, key));
        }
        _ => {}
    }
    if let Some(past) = old.flatten().and_then(|old| old.head.deadline).filter(|past| Some(*past) != deadline) {
        // Or the rows of an entry that is written again and again pile up until their deadlines.
        batch.delete(deadline_key(past, owner.id, key));
    }
    if let Some(deadline) = deadline {
        batch.put(deadline_key(deadline, owner.id, key), state.name.as_bytes());
    }
}

/// An entry with its key locked. For one synchronous step, in which the caller shares the gate or holds it alone.
pub(crate) struct Entry<'a> {
    inner: &'a Inner,
    view: View<'a>,
    state: &'a BucketState,
    key: &'a str,
    lock: KeyLock<'a>,
    /// What stands there, once somebody looked.
    old: Option<Option<Old>>,
}

impl<'a> Entry<'a> {
    pub(crate) fn lock(inner: &'a Inner, view: View<'a>, state: &'a BucketState, key: &'a str) -> Self {
        Self { inner, view, state, key, lock: inner.locks.lock(&state.name, key), old: None }
    }

    /// Hands the live record to `take`, if there is one.
    pub(crate) fn look<T>(&mut self, take: impl FnOnce(Option<Record<'_>>) -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(id) = self.state.id() else {
            self.old = Some(None);
            return take(None);
        };
        let Some(raw) = self.view.get(PhysicalKey::entry(id, self.key))? else {
            self.old = Some(None);
            return take(None);
        };
        let record = Record::read(&raw)?;
        let old = Old::new(record.head());
        self.old = Some(Some(old));
        take(Some(record).filter(|_| old.was_live))
    }

    /// The value, if there is one. A large one is only read where nobody else waits for the key's lock.
    pub(crate) fn load(&mut self) -> Result<Option<Bytes>, Fault> {
        let (view, key) = (self.view, PhysicalKey::body(self.state.id().unwrap_or_default(), self.key));
        self.look(|record| match record.map(|record| record.value) {
            None => Ok(None),
            Some(Value::Inline(value)) => Ok(Some(Bytes::copy_from_slice(value))),
            Some(Value::Large(_)) if view.way != Way::Alone => Err(Fault::Alone),
            Some(Value::Large(bytes)) => body(view.get_body(key)?, bytes).map(Some),
        })
    }

    /// The deadline of the entry that was found live.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.old.flatten().filter(|old| old.was_live).and_then(|old| old.head.deadline)
    }

    /// The key's version now (CAS-2).
    pub(crate) fn version(&mut self) -> Version {
        self.lock.version()
    }

    /// Creates or replaces the entry.
    pub(crate) fn store(&mut self, value: &Bytes, deadline: Option<u64>) -> Result<(), Fault> {
        let is_large = value.len() > INLINE_VALUE_BYTES;
        if is_large && self.view.way != Way::Alone {
            return Err(Fault::Alone);
        }
        // The usual write does not look: it leaves the old deadline's row to the sweeper.
        if self.old.is_none() && (deadline.is_some() || self.inner.hub.is_watched()) {
            self.look_again()?;
        }
        let owner = self.inner.registry.owner_for_write(self.view, self.state)?;
        let past = self.old.flatten().and_then(|old| old.head.deadline);
        if is_large || deadline.is_some() || past.is_some() || owner.has_large() {
            let owner = owner.with(is_large, deadline.is_some());
            let mut batch = WriteBatch::default();
            self.state.note(&mut batch, owner);
            change(&mut batch, self.state, owner, self.key, Some((value, deadline)), self.old);
            self.view.write(batch)?;
            self.state.became(owner);
        } else {
            let at = PhysicalKey::entry(owner.id, self.key);
            with_record(value, None, |record| self.view.put(&at, record))?;
        }
        self.lock.written();
        if self.inner.hub.is_watched() {
            self.publish_expired();
            let event = || Event::Set { key: self.key.to_owned(), value: IncomingValue::from(value.clone()) };
            self.inner.hub.publish(&self.state.name, self.key, event);
        }
        if let Some(deadline) = deadline {
            self.inner.bell.at(deadline);
        }
        Ok(())
    }

    /// Removes the entry, if it is there.
    pub(crate) fn remove(&mut self) -> Result<(), Fault> {
        if self.old.is_none() {
            self.look_again()?;
        }
        let (Some(owner), Some(Some(old))) = (self.state.owner(), self.old) else { return Ok(()) };
        if old.head == Head::default() {
            self.view.delete(PhysicalKey::entry(owner.id, self.key))?;
        } else {
            let mut batch = WriteBatch::default();
            change(&mut batch, self.state, owner, self.key, None, self.old);
            self.view.write(batch)?;
        }
        // Removing what is absent or expired is no write: guards stay good.
        if old.was_live {
            self.lock.written();
            self.inner.hub.publish(&self.state.name, self.key, || Event::Deleted { key: self.key.to_owned() });
        }
        self.publish_expired();
        Ok(())
    }

    /// Removes the entry if it has that deadline, and the deadline's row in any case. Guards taken before fail by the
    /// deadline itself; those taken after saw the entry absent, as it stays.
    pub(crate) fn expire(&mut self, id: u64, deadline: u64) -> Result<(), Fault> {
        // The clock may have been set back since the row was found due.
        if deadline > now() {
            return Ok(());
        }
        let raw = self.view.get(PhysicalKey::entry(id, self.key))?;
        // A damaged record was never seen by anybody.
        let head = raw.and_then(|raw| Record::read(&raw).ok().map(|record| record.head()));
        let mut batch = WriteBatch::default();
        batch.delete(deadline_key(deadline, id, self.key));
        let head = head.filter(|head| head.deadline == Some(deadline));
        if let Some(head) = head {
            batch.delete(PhysicalKey::entry(id, self.key));
            if head.is_large {
                batch.delete(PhysicalKey::body(id, self.key));
            }
        }
        self.view.write(batch)?;
        // The entries of a dropped bucket went with it.
        if head.is_some() && self.state.id() == Some(id) {
            self.inner.hub.publish(&self.state.name, self.key, || Event::Expired { key: self.key.to_owned() });
        }
        Ok(())
    }

    #[cold]
    fn look_again(&mut self) -> Result<(), Fault> {
        self.look(|_| Ok(()))
    }

    /// Tells of an entry that expired before anybody removed it, now that it is gone.
    fn publish_expired(&self) {
        if self.old.flatten().is_some_and(|old| !old.was_live) {
            self.inner.hub.publish(&self.state.name, self.key, || Event::Expired { key: self.key.to_owned() });
        }
    }
}
