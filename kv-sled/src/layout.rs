//! Physical keys: pure functions.
//!
//! A sled node whose image passes a quarter of a segment is moved to a file of its own that sled never syncs
//! (see [`SEGMENT_BYTES`]). So every key and every record here has a bound, and what is larger is cut.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// Bytes of a segment of sled's log.
///
/// A log record may have `SEGMENT_BYTES / 4 - 52` = 524,236 bytes before sled puts it into a blob file, which it
/// never syncs. The largest record is a whole tree node:
///
/// - a leaf splits at its next visit once it holds more than 16 items, and takes in a right sibling of fewer than
///   4 at a time, after which the same thread visits it again: 17 items, and a few more where several threads
///   merge at once. The bounds below leave room for 68 chunks, or 116 entries.
/// - an index node splits above 256 separators, each at most as long as a key, and merges below 64: 321
///   separators of 418 bytes are 134 KB.
pub(crate) const SEGMENT_BYTES: usize = 2 << 20;

/// Keys up to this many bytes are stored as they are; longer ones as a stem, a mark and a fingerprint.
const WHOLE_KEY_BYTES: usize = 400;

/// Bytes of a fingerprint: SHA-256, so that no two keys ever share one.
const FINGERPRINT_BYTES: usize = 32;

/// Stands between stem and fingerprint. No UTF-8 text has this byte, so no whole key looks like a cut one.
const LONG_KEY_MARK: u8 = 0xFF;

/// Bytes of a long key that stay readable in the physical key, so that listings by prefix can seek.
const STEM_BYTES: usize = WHOLE_KEY_BYTES - FINGERPRINT_BYTES - 1;

/// Values up to this many bytes stand in their record; longer ones are cut into chunks.
pub(crate) const INLINE_VALUE_BYTES: usize = 4 << 10;

/// Bytes of a chunk; see [`SEGMENT_BYTES`].
pub(crate) const CHUNK_BYTES: usize = 7_600;

/// The most bytes of a bucket's id.
const ID_BYTES: usize = 9;

/// Ids below this take one byte. They are short because sled keeps keys of up to 22 bytes in its nodes, and longer ones
/// behind a pointer.
const ONE_BYTE_IDS: u64 = 0xF8;

/// Physical keys up to this many bytes are built on the stack.
const STACK_KEY_BYTES: usize = 64;

/// Where an entry stands in the tree `entries`: the bucket's id, then the key or what stands for it.
#[derive(Clone)]
pub(crate) enum EntryKey {
    Stack([u8; STACK_KEY_BYTES], u8),
    Heap(Vec<u8>),
}

impl EntryKey {
    pub(crate) fn new(id: u64, key: &str) -> Self {
        let key = key.as_bytes();
        if key.len() > WHOLE_KEY_BYTES {
            return Self::Heap(long_key(id, key));
        }
        let id = Id::new(id);
        let id = id.as_slice();
        let len = id.len() + key.len();
        let mut stack = [0; STACK_KEY_BYTES];
        match (id, stack.get_mut(..len)) {
            // The usual case by itself, for it is in the way of every call.
            (&[id], Some([to_id, to_key @ ..])) => {
                *to_id = id;
                to_key.copy_from_slice(key);
                Self::Stack(stack, len as u8)
            }
            (id, Some(place)) => {
                let (to_id, to_key) = place.split_at_mut(id.len());
                to_id.copy_from_slice(id);
                to_key.copy_from_slice(key);
                Self::Stack(stack, len as u8)
            }
            (id, None) => Self::Heap([id, key].concat()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Stack(bytes, len) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for EntryKey {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// A bucket's id as physical keys begin with it: one byte, or a byte that tells how many follow. No id begins another
/// one, and ids stand in their order.
struct Id([u8; ID_BYTES], usize);

impl Id {
    fn new(id: u64) -> Self {
        let mut bytes = [0; ID_BYTES];
        let [first, rest @ ..] = &mut bytes;
        if id < ONE_BYTE_IDS {
            *first = id as u8;
            return Self(bytes, 1);
        }
        let len = 8 - id.leading_zeros() as usize / 8;
        *first = ONE_BYTE_IDS as u8 - 1 + len as u8;
        for (to, from) in rest.iter_mut().zip(id.to_be_bytes().into_iter().skip(8 - len)) {
            *to = from;
        }
        Self(bytes, 1 + len)
    }

    fn as_slice(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

/// Whether the key is too long to stand in `entries` whole.
pub(crate) fn is_long(key: &str) -> bool {
    key.len() > WHOLE_KEY_BYTES
}

fn long_key(id: u64, key: &[u8]) -> Vec<u8> {
    let stem = key.get(..STEM_BYTES).unwrap_or(key);
    [Id::new(id).as_slice(), stem, &[LONG_KEY_MARK], &Sha256::digest(key)].concat()
}

/// Takes a physical key apart into the bucket's id and the rest. `None` where the id is not written as [`Id::new`]
/// does: then it is nobody's key.
pub(crate) fn split_id(physical: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = physical.split_first()?;
    let first = u64::from(*first);
    if first < ONE_BYTE_IDS {
        return Some((first, rest));
    }
    let (id, rest) = rest.split_at_checked((first - ONE_BYTE_IDS) as usize + 1)?;
    let is_short = id.first().is_none_or(|first| *first == 0);
    let id = id.iter().fold(0, |id, byte| (id << 8) | u64::from(*byte));
    (!is_short && id >= ONE_BYTE_IDS).then_some((id, rest))
}

/// The key behind a physical key without its id: `None` if that stands for a long key.
pub(crate) fn whole_key(rest: &[u8]) -> Option<&str> {
    std::str::from_utf8(rest).ok()
}

/// The physical keys of a whole bucket.
pub(crate) fn bucket_range(id: u64) -> Range<Vec<u8>> {
    let start = Id::new(id).as_slice().to_vec();
    let end = after(&start);
    start..end
}

/// The physical keys among which those that begin with `prefix` are: first whole ones, then cut ones. The second
/// range is empty where the first holds them all; in it each key must be compared.
pub(crate) fn prefix_ranges(id: u64, prefix: &str) -> [Range<Vec<u8>>; 2] {
    let id = Id::new(id);
    let start = [id.as_slice(), prefix.as_bytes()].concat();
    match prefix.as_bytes().get(..STEM_BYTES) {
        Some(stem) if prefix.len() > STEM_BYTES => {
            let cut = [id.as_slice(), stem, &[LONG_KEY_MARK]].concat();
            let cut_end = after(&cut);
            let end = after(&start);
            [start..end, cut..cut_end]
        }
        _ => {
            let end = after(&start);
            [start..end, Vec::new()..Vec::new()]
        }
    }
}

/// The least byte string above all that begin with `start`. An id never reaches its maximum, so there is one.
fn after(start: &[u8]) -> Vec<u8> {
    let mut end = start.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// Where a deadline stands in the tree `deadlines`: the deadline in milliseconds, then the entry's physical key.
pub(crate) fn deadline_key(deadline: u64, entry: &[u8]) -> Vec<u8> {
    [&deadline.to_be_bytes(), entry].concat()
}

/// Takes a key of `deadlines` apart.
pub(crate) fn split_deadline(key: &[u8]) -> Option<(u64, &[u8])> {
    split_number(key)
}

/// Takes a number of 8 bytes off the front of a key of `deadlines` or `chunks`.
fn split_number(key: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = key.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

/// What a piece in the tree `chunks` is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The physical key of the entry that it all belongs to. Written first and removed last.
    Owner,
    /// The whole of a long key.
    Key,
    /// A value.
    Value,
}

impl Part {
    fn byte(self) -> u8 {
        match self {
            Self::Owner => 0,
            Self::Key => 1,
            Self::Value => 2,
        }
    }
}

/// Where a piece stands in the tree `chunks`.
pub(crate) fn chunk_key(id: u64, part: Part, index: u32) -> [u8; 13] {
    let mut key = [0; 13];
    let bytes = id.to_be_bytes().into_iter().chain([part.byte()]).chain(index.to_be_bytes());
    for (to, from) in key.iter_mut().zip(bytes) {
        *to = from;
    }
    key
}

/// The id that a key of `chunks` begins with.
pub(crate) fn chunk_id(key: &[u8]) -> Option<u64> {
    split_number(key).map(|(id, _)| id)
}

/// The keys of all pieces of one part.
pub(crate) fn part_range(id: u64, part: Part) -> Range<Vec<u8>> {
    let start = [&id.to_be_bytes()[..], &[part.byte()]].concat();
    let end = after(&start);
    start..end
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
