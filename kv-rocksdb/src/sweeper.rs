//! One thread that gives storage back: expired entries, and what dropped buckets left.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use kv_core::local::errors::damaged;
use kv_core::local::{Bell, now};
use kv_core::{Durability, Result};
use rocksdb::{CompactOptions, WriteBatch};
use tokio::sync::OwnedRwLockReadGuard;

use crate::engine::{View, Way};
use crate::entry::Entry;
use crate::error::Fault;
use crate::layout::{
    GARBAGE, PhysicalKey, bucket_ranges, deadline_key, deadlines_from, end_of_files, garbage_key, kind_range,
    registry_key, split_deadline, split_entry, split_garbage,
};
use crate::list::iterate;
use crate::record::Record;
use crate::registry::Owner;
use crate::store::Inner;

/// Rows that one step of the work goes through, so that closing never waits long and a write of ours is short.
const STEP_ROWS: usize = 256;

/// A dropped bucket of up to this many rows and bytes is removed row by row; of a larger one whole files go, which costs a
/// compaction.
const SMALL_ROWS: usize = 4_096;
const SMALL_BYTES: usize = 1 << 20;

/// How long to let others go first who need the store for themselves, or the engine that is behind with its work.
const PAUSE: Duration = Duration::from_millis(1);
const LONG_PAUSE: Duration = Duration::from_millis(50);

/// Times that an entry is read into memory and gone again before it is removed all the same, which waits for the disk under
/// the key's lock.
const COLD_TRIES: usize = 8;

/// Milliseconds after which all deadlines are looked at again, and after which a step that failed is tried again. A write may
/// note its deadline after a later one was passed, and expired entries must be gone within 60 s (TTL-2).
const AGAIN_MS: u64 = 10_000;

/// An entry that has to go.
struct Due {
    deadline: u64,
    id: u64,
    key: String,
    bucket: String,
}

/// The thread's own notes.
struct Sweep {
    bell: Arc<Bell>,
    /// The deadline's row after which to go on: those before it are gone, but the engine would look at each again.
    after: Vec<u8>,
    after_deadline: u64,
    /// When to begin with the first again.
    again: u64,
}

/// Starts the thread. The bell ends it.
pub(crate) fn start(inner: &Arc<Inner>) -> std::io::Result<JoinHandle<()>> {
    let inner = Arc::clone(inner);
    let sweep = Sweep { bell: Arc::clone(&inner.bell), after: Vec::new(), after_deadline: 0, again: 0 };
    sweep.bell.ring();
    std::thread::Builder::new().name("kv-rocksdb sweeper".to_owned()).spawn(move || sweep.run(&inner))
}

impl Sweep {
    fn run(mut self, inner: &Inner) {
        while self.bell.wait() {
            // Neither waits for the other to succeed.
            for is_more in [self.expire(inner), self.collect(inner)] {
                match is_more {
                    Ok(true) => self.bell.ring(),
                    Ok(false) => {}
                    // Writing is off, or the store is damaged here, or the system had no file to spare. What is expired stays
                    // absent for readers all the same.
                    Err(_) => self.bell.at(now() + AGAIN_MS),
                }
            }
        }
    }

    /// Removes expired entries; tells whether there may be more.
    fn expire(&mut self, inner: &Inner) -> Result<bool> {
        inner.engine.check_writable()?;
        let now = now();
        // Also if the clock was set back.
        if now >= self.again || now < self.after_deadline {
            self.after.clear();
            self.again = now + AGAIN_MS;
        }
        let due = inner.engine.wait("looking for expired entries", |view| self.find_due(inner, view, now))?;
        let is_more = due.len() == STEP_ROWS;
        for due in due {
            // One that can't be read is passed over until all are looked at again.
            if let Ok(false) = self.expire_one(inner, &due) {
                return Ok(false);
            }
            self.after = deadline_key(due.deadline, due.id, &due.key);
            self.after_deadline = due.deadline;
        }
        if !self.after.is_empty() {
            self.bell.at(self.again);
        }
        Ok(is_more)
    }

    fn find_due(&self, inner: &Inner, view: View<'_>, now: u64) -> Result<Vec<Due>, Fault> {
        let mut found = Vec::new();
        let mut iterator = iterate(view, deadlines_from(&self.after));
        while let Some((row, bucket)) = iterator.item() {
            let parts = split_deadline(row).zip(std::str::from_utf8(bucket).ok());
            // One of a form that this version does not write stays, and keeps no other from its turn.
            let Some(((deadline, id, key), bucket)) = parts else {
                iterator.next();
                continue;
            };
            if deadline > now {
                inner.bell.at(deadline);
                return Ok(found);
            }
            if found.len() == STEP_ROWS {
                return Ok(found);
            }
            found.push(Due { deadline, id, key: key.to_owned(), bucket: bucket.to_owned() });
            iterator.next();
        }
        iterator.status().map_err(Fault::read)?;
        Ok(found)
    }

    /// Removes an entry, and waits out whoever is in the way; false if the store ends meanwhile.
    fn expire_one(&self, inner: &Inner, due: &Due) -> Result<bool> {
        const DOING: &str = "removing an expired entry";
        let mut cold = 0;
        loop {
            // Without any lock, so that nobody waits for the disk with us.
            inner.engine.wait(DOING, |view| {
                view.get(PhysicalKey::entry(due.id, &due.key))?;
                view.get(registry_key(&due.bucket)).map(drop)
            })?;
            let way = if cold < COLD_TRIES { Way::Quick } else { Way::Shared };
            let Some(shared) = self.share(inner) else { return Ok(false) };
            let done = inner.engine.run(way, |view| {
                let state = inner.registry.state(view.db.view(Way::Quick), &due.bucket)?;
                Entry::lock(inner, view, &state, &due.key).expire(due.id, due.deadline)
            });
            drop(shared);
            let pause = match done {
                Ok(()) => return Ok(true),
                Err(Fault::Cold) => {
                    cold += 1;
                    PAUSE
                }
                Err(Fault::Alone) => PAUSE,
                Err(Fault::Stalled(_)) => LONG_PAUSE,
                Err(fault) => return Err(fault.into_error(DOING)),
            };
            if !self.bell.pause(pause) {
                return Ok(false);
            }
        }
    }

    /// Shares the gate, in its turn, or those who want it alone could keep this thread out for ever. `None` if the store ends
    /// meanwhile: closing waits for this thread.
    fn share(&self, inner: &Inner) -> Option<OwnedRwLockReadGuard<()>> {
        let mut sharing = pin!(inner.gate.share_owned());
        loop {
            if let Poll::Ready(shared) = sharing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some(shared);
            }
            if !self.bell.pause(PAUSE) {
                return None;
            }
        }
    }

    /// Removes what dropped buckets left; tells whether there may be more.
    fn collect(&self, inner: &Inner) -> Result<bool> {
        const DOING: &str = "removing a dropped bucket's entries";
        inner.engine.check_writable()?;
        let first = inner.engine.wait(DOING, |view| {
            let iterator = iterate(view, kind_range(GARBAGE));
            let first = iterator.item().map(|(key, row)| (split_garbage(key), row.to_vec()));
            iterator.status().map_err(Fault::read)?;
            Ok(first)
        })?;
        let Some((id, row)) = first else { return Ok(false) };
        let Some(id) = id else {
            return Err(damaged("a dropped bucket's row has a form that this version does not write"));
        };
        // The row is there a moment before readers are told that the bucket is gone; who drops it holds the gate for both.
        if self.share(inner).is_none() {
            return Ok(false);
        }
        let owner = Owner::of_garbage(id, &row);
        // One with damage goes with its files.
        let rows = inner.engine.wait(DOING, |view| small(view, id)).unwrap_or_default();
        let done = match rows {
            Some(rows) => self.remove(inner, rows)?,
            None => self.remove_files(inner, owner)?,
        };
        // Last: until then the next opening goes on.
        Ok(done.is_continue() && self.remove(inner, vec![garbage_key(id).to_vec()])?.is_continue())
    }

    /// Removes rows that nobody uses any more.
    fn remove(&self, inner: &Inner, rows: Vec<Vec<u8>>) -> Result<ControlFlow<()>> {
        for rows in rows.chunks(STEP_ROWS) {
            let done = self.write(inner, || {
                let mut batch = WriteBatch::default();
                rows.iter().for_each(|row| batch.delete(row));
                batch
            })?;
            if done.is_break() {
                return Ok(done);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives back the files of a large bucket.
    fn remove_files(&self, inner: &Inner, owner: Owner) -> Result<ControlFlow<()>> {
        const DOING: &str = "removing a dropped bucket's files";
        let ranges = bucket_ranges(owner.id);
        // Files go at once, so the drop itself must be durable before them: an undone drop would leave half a bucket.
        let is_logged = inner.config.durability != Durability::Volatile;
        inner
            .engine
            .run(Way::Shared, |view| {
                let db = &view.db.db;
                if is_logged { db.flush_wal(true) } else { db.flush() }.map_err(Fault::Write)
            })
            .map_err(|fault| fault.into_error(DOING))?;
        // Whole files first: with them a removal noted in one of them would go too.
        inner.engine.wait(DOING, |view| {
            for range in &ranges {
                view.db.db.delete_file_in_range(&range.start[..], &end_of_files(range.start)).map_err(Fault::Read)?;
            }
            Ok(())
        })?;
        let done = self.write(inner, || {
            let mut batch = WriteBatch::default();
            ranges.iter().for_each(|range| batch.delete_range(range.start, range.end));
            batch
        })?;
        if done.is_break() || (owner.has_deadlines() && self.remove_deadlines(inner, owner.id)?.is_break()) {
            return Ok(ControlFlow::Break(()));
        }
        // It writes out what is in memory, and leaves the engine's own work its turn.
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        for range in &ranges {
            if !self.bell.pause(Duration::ZERO) {
                return Ok(ControlFlow::Break(()));
            }
            inner.engine.wait(DOING, |view| {
                view.db.db.compact_range_opt(Some(range.start), Some(range.end), &options);
                Ok(())
            })?;
        }
        // One that was cut short by closing is begun again at the next opening.
        Ok(if self.bell.pause(Duration::ZERO) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    /// Removes the deadlines of a large bucket. They stand by time, so all are looked at.
    fn remove_deadlines(&self, inner: &Inner, id: u64) -> Result<ControlFlow<()>> {
        let mut after = Vec::new();
        loop {
            let (rows, last) = inner.engine.wait("looking for a dropped bucket's deadlines", |view| {
                let mut rows = Vec::new();
                let mut last = None;
                let mut iterator = iterate(view, deadlines_from(&after));
                let mut looked_at = 0;
                while let Some(row) = iterator.key() {
                    if split_deadline(row).is_some_and(|(_, owner, _)| owner == id) {
                        rows.push(row.to_vec());
                    }
                    looked_at += 1;
                    if looked_at == SMALL_ROWS {
                        last = Some(row.to_vec());
                        break;
                    }
                    iterator.next();
                }
                iterator.status().map_err(Fault::read)?;
                Ok((rows, last))
            })?;
            let done = self.remove(inner, rows)?;
            match last {
                Some(last) if done.is_continue() && self.bell.pause(Duration::ZERO) => after = last,
                Some(_) => return Ok(ControlFlow::Break(())),
                None => return Ok(done),
            }
        }
    }

    /// Writes, and waits out the engine where it is behind. Breaks if the store ends meanwhile.
    fn write(&self, inner: &Inner, batch: impl Fn() -> WriteBatch) -> Result<ControlFlow<()>> {
        loop {
            inner.engine.check_writable()?;
            match inner.engine.run(Way::Shared, |view| view.write(batch())) {
                Ok(()) => return Ok(ControlFlow::Continue(())),
                Err(Fault::Stalled(_)) if self.bell.pause(LONG_PAUSE) => {}
                Err(Fault::Stalled(_)) => return Ok(ControlFlow::Break(())),
                Err(fault) => return Err(fault.into_error("removing rows")),
            }
        }
    }
}

/// The rows of a dropped bucket, its deadlines among them; `None` if it has many, or large ones.
fn small(view: View<'_>, id: u64) -> Result<Option<Vec<Vec<u8>>>, Fault> {
    let mut rows = Vec::new();
    let mut bytes = 0;
    for range in bucket_ranges(id) {
        let mut iterator = iterate(view, range);
        while let Some((physical, raw)) = iterator.item() {
            bytes += physical.len() + raw.len();
            if rows.len() >= SMALL_ROWS || bytes > SMALL_BYTES {
                return Ok(None);
            }
            rows.push(physical.to_vec());
            let deadline = Record::read(raw).ok().and_then(|record| record.deadline);
            if let Some((deadline, (id, key))) = deadline.zip(split_entry(physical)) {
                rows.push(deadline_key(deadline, id, key));
            }
            iterator.next();
        }
        iterator.status().map_err(Fault::read)?;
    }
    Ok(Some(rows))
}
