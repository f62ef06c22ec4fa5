//! One thread that gives storage back: expired entries, entries of dropped buckets, pieces that no record refers to.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use kv_core::local::{Bell, now};
use kv_core::{Event, Result};

use crate::engine::{Trees, settle};
use crate::error::Fault;
use crate::layout::{Part, bucket_range, chunk_id, chunk_key, deadline_key, split_deadline, split_id};
use crate::list::key_of;
use crate::overflow;
use crate::record::Record;
use crate::registry::{read_id, stored_id};
use crate::store::Inner;

/// Entries that one step of the work goes through, so that closing never waits long.
const STEP_ENTRIES: usize = 256;

/// Large entries whose pieces one step removes, for the same reason; each may have thousands.
const STEP_LARGE: usize = 16;

/// The key in `meta` that says that no pieces are without a record. It is taken away while the store is open.
pub(crate) const TIDY: &[u8] = b"tidy";

/// The thread's own notes.
struct Sweep {
    /// The next id whose pieces may be without a record since a crash, while there may be such.
    orphans: Option<u64>,
    /// Ids from here on belong to writes of this process.
    first_fresh: u64,
}

/// Starts the thread. It ends by itself when the store goes.
pub(crate) fn start(inner: &Arc<Inner>, is_tidy: bool) -> std::io::Result<JoinHandle<bool>> {
    let (bell, weak) = (Arc::clone(&inner.bell), Arc::downgrade(inner));
    let sweep = Sweep { orphans: (!is_tidy).then_some(0), first_fresh: inner.overflows.first_fresh() };
    bell.ring();
    std::thread::Builder::new().name("kv-sled sweeper".to_owned()).spawn(move || sweep.run(&bell, &weak))
}

impl Sweep {
    /// Works until the store ends; tells whether it left nothing undone.
    fn run(mut self, bell: &Bell, weak: &Weak<Inner>) -> bool {
        loop {
            if !bell.wait() {
                return self.orphans.is_none();
            }
            let Some(inner) = weak.upgrade() else { return false };
            match self.step(&inner) {
                Ok(true) => bell.ring(),
                Ok(false) => {}
                // Writing is off, or the store is damaged here. What is expired stays absent for readers all the
                // same; reopening tries again.
                Err(_) => self.orphans = self.orphans.or(Some(0)),
            }
        }
    }

    /// Does some of each kind of work; tells whether there is more to do now.
    fn step(&mut self, inner: &Inner) -> Result<bool> {
        let expired = self.expire(inner)?;
        let garbage = {
            // A drop notes its garbage before it commits; nothing of it may go until then.
            let _shared = inner.gate.share_blocking();
            inner.engine.write("removing a dropped bucket's entries", |trees| collect_garbage(inner, trees))?
        };
        let mut removed = 0;
        while removed < STEP_LARGE
            && let Some(id) = inner.overflows.take_retired()
        {
            inner.engine.write("removing what a large entry left", |trees| overflow::remove(trees, id))?;
            removed += 1;
        }
        let orphans = inner.engine.write("looking for what a crash left", |trees| self.find_orphans(inner, trees))?;
        if expired || garbage || removed > 0 || orphans {
            inner.flusher.note();
        }
        Ok(expired || garbage || removed == STEP_LARGE || orphans)
    }

    /// Removes expired entries; tells whether there may be more.
    fn expire(&self, inner: &Inner) -> Result<bool> {
        for _ in 0..STEP_ENTRIES {
            let first = inner.engine.read("looking for expired entries", |trees| Ok(trees.deadlines.first()?))?;
            let Some((index, bucket)) = first else { return Ok(false) };
            let parts = split_deadline(&index).zip(std::str::from_utf8(&bucket).ok());
            let Some(((deadline, entry), bucket)) = parts else {
                return Err(kv_core::local::errors::damaged("a deadline has a form that this version does not write"));
            };
            if deadline > now() {
                inner.bell.at(deadline);
                return Ok(false);
            }
            // Neither a batch nor a drop may come between the looks below.
            let _shared = inner.gate.share_blocking();
            inner.engine.write("removing an expired entry", |trees| {
                expire_one(inner, trees, deadline, entry, bucket)?;
                trees.deadlines.remove(&index)?;
                Ok(())
            })?;
        }
        Ok(true)
    }

    /// Removes pieces that no record refers to since a crash; tells whether there may be more.
    fn find_orphans(&mut self, inner: &Inner, trees: &Trees) -> Result<bool, Fault> {
        for _ in 0..STEP_ENTRIES {
            let Some(from) = self.orphans else { return Ok(false) };
            let found = trees.chunks.range(chunk_key(from, Part::Owner, 0).to_vec()..).next().transpose()?;
            let id = found.as_ref().and_then(|(key, _)| chunk_id(key));
            let Some((id, (_, owner))) = id.filter(|id| *id < self.first_fresh).zip(found) else {
                self.orphans = None;
                return Ok(false);
            };
            // The first piece of an id is its owner.
            let record = trees.entries.get(&owner)?.map(Record::read).transpose()?;
            let used = record.and_then(|record| record.head.overflow).is_some_and(|overflow| overflow.id == id);
            if !used {
                // Not at once: the record may just have been replaced under a reader of the pieces.
                inner.overflows.retire(id);
            }
            self.orphans = Some(id + 1);
        }
        Ok(true)
    }
}

/// Removes the entry if it still has that deadline. Guards taken before fail by the deadline itself; those taken
/// after saw the entry absent, as it stays.
fn expire_one(inner: &Inner, trees: &Trees, deadline: u64, entry: &[u8], bucket: &str) -> Result<(), Fault> {
    let expired = || -> Result<Option<Record>, Fault> {
        let record = trees.entries.get(entry)?.map(Record::read).transpose()?;
        Ok(record.filter(|record| record.head.deadline == Some(deadline)))
    };
    // Pieces of the key must stay while it is read.
    let _pin = inner.overflows.pin();
    let Some(record) = expired()? else { return Ok(()) };
    let key = key_of(trees, entry, &record)?;
    let _lock = inner.locks.lock(bucket, &key);
    let Some(record) = expired()? else { return Ok(()) };
    trees.entries.remove(entry)?;
    settle(&trees.entries, entry)?;
    if let Some(overflow) = record.head.overflow {
        inner.overflows.retire(overflow.id);
    }
    // The entries of a dropped bucket went with it.
    if split_id(entry).map(|(id, _)| id) == stored_id(trees, bucket)? {
        inner.hub.publish(bucket, &key, || Event::Expired { key: key.clone() });
    }
    Ok(())
}

/// Removes entries of dropped buckets; tells whether there may be more.
fn collect_garbage(inner: &Inner, trees: &Trees) -> Result<bool, Fault> {
    let Some((id, _)) = trees.garbage.first()? else { return Ok(false) };
    let range = bucket_range(read_id(&id)?);
    let mut left = STEP_ENTRIES;
    for entry in trees.entries.range(range) {
        let (key, raw) = entry?;
        if left == 0 {
            return Ok(true);
        }
        left -= 1;
        trees.entries.remove(&key)?;
        settle(&trees.entries, &key)?;
        let head = Record::read(raw)?.head;
        if let Some(overflow) = head.overflow {
            // A reader who saw the entry before the drop may still be at its pieces.
            inner.overflows.retire(overflow.id);
        }
        if let Some(deadline) = head.deadline {
            trees.deadlines.remove(deadline_key(deadline, &key))?;
        }
    }
    trees.garbage.remove(id)?;
    Ok(true)
}
