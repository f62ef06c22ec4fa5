//! Long keys and large values: cut into pieces in the tree `chunks`, under an id that is fresh for each write.
//!
//! A write puts down the owner (the physical key of the entry), then the pieces, and only then the record in
//! `entries` that refers to them: that record is the commit. Pieces that no record refers to any more are removed
//! in the background, once no reader can be at them: a reader pins before it reads the record. After a crash the
//! owners tell which pieces no record refers to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kv_core::local::Bell;
use parking_lot::Mutex;

use crate::engine::{Trees, settle};
use crate::error::Fault;
use crate::layout::{CHUNK_BYTES, EntryKey, Part, chunk_id, chunk_key, part_range};
use crate::record::{Head, Overflow};

/// Pieces of all entries: who reads which, and which are to be removed.
pub(crate) struct Overflows {
    next_id: AtomicU64,
    /// Writes whose pieces no record refers to yet.
    drafts: AtomicUsize,
    pins: Mutex<Pins>,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Pins {
    /// Counts the retired; tells which readers came before.
    clock: u64,
    /// Readers at work, by the clock when they began.
    active: BTreeMap<u64, usize>,
    /// Ids that no record refers to, with the clock at which that began.
    retired: VecDeque<(u64, u64)>,
}

/// Keeps every piece that a record refers to now from being removed.
pub(crate) struct Pin {
    overflows: Arc<Overflows>,
    since: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.overflows.pins.lock();
        if let Some(count) = pins.active.get_mut(&self.since) {
            *count -= 1;
            if *count == 0 {
                pins.active.remove(&self.since);
            }
        }
        if !pins.retired.is_empty() {
            self.overflows.bell.ring();
        }
    }
}

impl Overflows {
    /// Goes on behind the ids in use.
    pub(crate) fn open(trees: &Trees, bell: Arc<Bell>) -> Result<Self, Fault> {
        let last = trees.chunks.last()?.and_then(|(key, _)| chunk_id(&key));
        Ok(Self {
            next_id: AtomicU64::new(last.unwrap_or(0) + 1),
            drafts: AtomicUsize::new(0),
            pins: Mutex::default(),
            bell,
        })
    }

    /// Call before reading the record.
    pub(crate) fn pin(self: &Arc<Self>) -> Pin {
        let mut pins = self.pins.lock();
        let since = pins.clock;
        *pins.active.entry(since).or_default() += 1;
        Pin { overflows: Arc::clone(self), since }
    }

    /// Has the pieces removed; no record refers to them any more.
    pub(crate) fn retire(&self, id: u64) {
        let mut pins = self.pins.lock();
        pins.clock += 1;
        let clock = pins.clock;
        pins.retired.push_back((clock, id));
        self.bell.ring();
    }

    /// Takes an id whose pieces can be removed now.
    pub(crate) fn take_retired(&self) -> Option<u64> {
        let mut pins = self.pins.lock();
        let oldest = pins.active.keys().next().copied().unwrap_or(u64::MAX);
        match pins.retired.front() {
            Some((clock, _)) if *clock <= oldest => pins.retired.pop_front().map(|(_, id)| id),
            _ => None,
        }
    }

    /// Ids below this were given out before the store was opened.
    pub(crate) fn first_fresh(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Whether there are pieces that no record refers to.
    pub(crate) fn has_loose(&self) -> bool {
        // In this order: a draft that is given up is retired before it stops to count.
        self.drafts.load(Ordering::SeqCst) > 0 || !self.pins.lock().retired.is_empty()
    }

    /// Begins to write the pieces of an entry. Call while sharing the gate, so that closing knows of it.
    pub(crate) fn begin(self: &Arc<Self>, owner: EntryKey, key: Option<&str>, value: Option<Bytes>) -> Writing {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.drafts.fetch_add(1, Ordering::SeqCst);
        let key = key.map(|key| Bytes::copy_from_slice(key.as_bytes()));
        Writing { draft: Draft { overflows: Arc::clone(self), id, kept: false }, owner, key, value, next: None }
    }
}

/// Pieces that no record refers to yet. Dropped, they are removed again.
struct Draft {
    overflows: Arc<Overflows>,
    id: u64,
    kept: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            self.overflows.retire(self.id);
        }
        self.overflows.drafts.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Pieces being written, in steps.
pub(crate) struct Writing {
    draft: Draft,
    owner: EntryKey,
    key: Option<Bytes>,
    value: Option<Bytes>,
    next: Option<(Part, usize)>,
}

impl Writing {
    /// Writes pieces for about `slice`, at least one; tells whether all are written.
    pub(crate) fn step(&mut self, trees: &Trees, slice: Duration) -> Result<bool, Fault> {
        let begun = Instant::now();
        let id = self.draft.id;
        loop {
            let (part, at) = match self.next {
                None => {
                    insert(trees, chunk_key(id, Part::Owner, 0), self.owner.as_slice())?;
                    self.next = Some((Part::Key, 0));
                    continue;
                }
                Some(next) => next,
            };
            let all = match part {
                Part::Owner | Part::Key => &self.key,
                Part::Value => &self.value,
            };
            let all = all.as_deref().unwrap_or_default();
            match all.chunks(CHUNK_BYTES).nth(at) {
                Some(piece) => {
                    let index = u32::try_from(at).unwrap_or(u32::MAX);
                    insert(trees, chunk_key(id, part, index), piece)?;
                    self.next = Some((part, at + 1));
                }
                None if part == Part::Value => return Ok(true),
                None => self.next = Some((Part::Value, 0)),
            }
            if begun.elapsed() > slice {
                return Ok(false);
            }
        }
    }

    /// The pieces as a record refers to them.
    pub(crate) fn overflow(&self) -> Overflow {
        let bytes = |all: &Option<Bytes>| all.as_ref().map(|all| u32::try_from(all.len()).unwrap_or(u32::MAX));
        Overflow { id: self.draft.id, key: bytes(&self.key), value: bytes(&self.value) }
    }

    /// Whose pieces these are.
    pub(crate) fn owner(&self) -> &EntryKey {
        &self.owner
    }

    /// A record refers to the pieces now.
    pub(crate) fn keep(mut self) {
        self.draft.kept = true;
    }
}

fn insert(trees: &Trees, key: [u8; 13], piece: &[u8]) -> Result<(), Fault> {
    trees.chunks.insert(key, piece)?;
    settle(&trees.chunks, key)
}

/// Pieces being read, in steps.
pub(crate) struct Reading {
    id: u64,
    part: Part,
    expected: usize,
    next: u32,
    bytes: Vec<u8>,
}

impl Reading {
    /// Reads the value of an entry, if it is cut into pieces.
    pub(crate) fn value(head: &Head) -> Option<Self> {
        let overflow = head.overflow?;
        Some(Self::new(overflow.id, Part::Value, overflow.value?))
    }

    /// Reads the key of an entry, if it is a long one.
    pub(crate) fn key(head: &Head) -> Option<Self> {
        let overflow = head.overflow?;
        Some(Self::new(overflow.id, Part::Key, overflow.key?))
    }

    fn new(id: u64, part: Part, expected: u32) -> Self {
        let expected = expected as usize;
        Self { id, part, expected, next: 0, bytes: Vec::with_capacity(expected) }
    }

    /// Reads pieces for about `slice`, at least one; tells whether all are read.
    pub(crate) fn step(&mut self, trees: &Trees, slice: Duration) -> Result<bool, Fault> {
        let begun = Instant::now();
        let end = part_range(self.id, self.part).end;
        for piece in trees.chunks.range(chunk_key(self.id, self.part, self.next).to_vec()..end) {
            let (key, piece) = piece?;
            if key != chunk_key(self.id, self.part, self.next) {
                break;
            }
            self.bytes.extend_from_slice(&piece);
            self.next += 1;
            if begun.elapsed() > slice {
                return Ok(self.bytes.len() >= self.expected);
            }
        }
        match self.bytes.len() == self.expected {
            true => Ok(true),
            false => Err(Fault::damaged("part of a large value or of a long key is missing")),
        }
    }

    /// All at once.
    pub(crate) fn all(mut self, trees: &Trees) -> Result<Bytes, Fault> {
        while !self.step(trees, Duration::MAX)? {}
        Ok(self.finish())
    }

    pub(crate) fn finish(self) -> Bytes {
        self.bytes.into()
    }
}

/// Reads the whole of a long key.
pub(crate) fn long_key(trees: &Trees, head: &Head) -> Result<Option<String>, Fault> {
    let Some(reading) = Reading::key(head) else { return Ok(None) };
    match String::from_utf8(reading.all(trees)?.into()) {
        Ok(key) => Ok(Some(key)),
        Err(_) => Err(Fault::damaged("a long key is not UTF-8")),
    }
}

/// Removes the pieces of an id; the owner last, so that an interrupted removal is found again.
pub(crate) fn remove(trees: &Trees, id: u64) -> Result<(), Fault> {
    for part in [Part::Value, Part::Key, Part::Owner] {
        for key in trees.chunks.range(part_range(id, part)).keys() {
            let key = key?;
            trees.chunks.remove(&key)?;
            settle(&trees.chunks, key)?;
        }
    }
    Ok(())
}
