//! Physical keys: pure functions.
//!
//! One byte says what a row is. What belongs to a bucket goes on with its id, in six bytes, so that no id begins another
//! one, and then with the key as it is: the map is injective by construction (NAM-3). Every key has them, in memory, in the log
//! and in the tables: two more would cost a write about a fiftieth.

use std::ops::Range;

/// The body of a large value: id and key. In front of all others: the engine begins a block of its own for what follows a
/// large value, but not for the value itself, and small rows must not share a block that no cache holds.
const BODY: u8 = b'B';
/// A dropped bucket whose entries are still being removed: id, to name.
pub(crate) const GARBAGE: u8 = b'G';
/// A bucket: name, to id and flags.
pub(crate) const REGISTRY: u8 = b'R';
/// An entry: id and key, to record.
const ENTRY: u8 = b'E';
/// A deadline, an id and a key, to the bucket's name.
const DEADLINE: u8 = b'D';

/// The layout's version.
pub(crate) const FORMAT: &[u8] = b"F";
/// How often the store was closed in order.
pub(crate) const CLOSED: &[u8] = b"C";
/// The id that the next bucket gets.
pub(crate) const NEXT_ID: &[u8] = b"N";

/// Bytes of an id.
const ID_BYTES: usize = 6;

/// The last id that a bucket may get; the next one ends its rows. A store that makes a million buckets a second has used them
/// up after nine years.
pub(crate) const LAST_ID: u64 = (1 << (8 * ID_BYTES)) - 2;

/// Bytes of a tag and an id.
const HEAD_BYTES: usize = 1 + ID_BYTES;

/// Physical keys up to this many bytes are built on the stack.
const STACK_KEY_BYTES: usize = 64;

/// Where an entry stands, or the body of its value.
pub(crate) enum PhysicalKey {
    Stack([u8; STACK_KEY_BYTES], u8),
    Heap(Vec<u8>),
}

impl PhysicalKey {
    /// Where an entry stands.
    pub(crate) fn entry(id: u64, key: &str) -> Self {
        Self::new(ENTRY, id, key)
    }

    /// Where the body of a large value stands.
    pub(crate) fn body(id: u64, key: &str) -> Self {
        Self::new(BODY, id, key)
    }

    fn new(tag: u8, id: u64, key: &str) -> Self {
        let len = HEAD_BYTES + key.len();
        let mut stack = [0; STACK_KEY_BYTES];
        if let Some([to_tag, rest @ ..]) = stack.get_mut(..len)
            && let Some((to_id, to_key)) = rest.split_first_chunk_mut()
        {
            *to_tag = tag;
            *to_id = id_bytes(id);
            to_key.copy_from_slice(key.as_bytes());
            return Self::Stack(stack, len as u8);
        }
        Self::Heap([&head(tag, id), key.as_bytes()].concat())
    }
}

impl AsRef<[u8]> for PhysicalKey {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Stack(bytes, len) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }
}

fn head(tag: u8, id: u64) -> [u8; HEAD_BYTES] {
    let mut head = [tag; HEAD_BYTES];
    if let Some(to_id) = head.last_chunk_mut() {
        *to_id = id_bytes(id);
    }
    head
}

fn id_bytes(id: u64) -> [u8; ID_BYTES] {
    let [_, _, bytes @ ..] = id.to_be_bytes();
    bytes
}

fn id_from(bytes: [u8; ID_BYTES]) -> u64 {
    let mut id = [0; 8];
    if let Some(to_id) = id.last_chunk_mut() {
        *to_id = bytes;
    }
    u64::from_be_bytes(id)
}

/// Takes the physical key of an entry apart, into the bucket's id and the key.
pub(crate) fn split_entry(physical: &[u8]) -> Option<(u64, &str)> {
    split(physical.strip_prefix(&[ENTRY])?)
}

fn split(rest: &[u8]) -> Option<(u64, &str)> {
    let (id, key) = rest.split_first_chunk()?;
    Some((id_from(*id), std::str::from_utf8(key).ok()?))
}

/// The rows of a dropped bucket: its entries, and the bodies of its large values.
pub(crate) fn bucket_ranges(id: u64) -> [Range<[u8; HEAD_BYTES]>; 2] {
    // Ids are counted up from 1, so there is always a next one.
    [ENTRY, BODY].map(|tag| head(tag, id)..head(tag, id + 1))
}

/// All rows that stand by a bucket's id.
pub(crate) fn id_ranges() -> [Range<[u8; 1]>; 3] {
    [ENTRY, BODY, GARBAGE].map(kind_range)
}

/// The id by which a row stands.
pub(crate) fn id_of(row: &[u8]) -> Option<u64> {
    let (_, rest) = row.split_first()?;
    rest.first_chunk().copied().map(id_from)
}

/// What stands behind all rows of a range and before the next bucket's first one: the engine takes the end of a range of
/// files as belonging to it. No key has this byte.
pub(crate) fn end_of_files(start: [u8; HEAD_BYTES]) -> Vec<u8> {
    [&start[..], &[0xFF]].concat()
}

/// The entries of a bucket whose keys begin with `prefix`.
pub(crate) fn prefix_range(id: u64, prefix: &str) -> Range<Vec<u8>> {
    let start = [&head(ENTRY, id), prefix.as_bytes()].concat();
    let end = after(&start);
    start..end
}

/// The least byte string above all that begin with `start`, which begins with a tag and so has one.
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

/// Where a bucket's name and id stand.
pub(crate) fn registry_key(name: &str) -> Vec<u8> {
    [&[REGISTRY], name.as_bytes()].concat()
}

/// Where a dropped bucket's name stands.
pub(crate) fn garbage_key(id: u64) -> [u8; HEAD_BYTES] {
    head(GARBAGE, id)
}

/// The id of a dropped bucket.
pub(crate) fn split_garbage(key: &[u8]) -> Option<u64> {
    Some(id_from(key.strip_prefix(&[GARBAGE])?.try_into().ok()?))
}

/// All rows of a kind.
pub(crate) fn kind_range(tag: u8) -> Range<[u8; 1]> {
    [tag]..[tag + 1]
}

/// Where a deadline stands, in milliseconds since 1970.
pub(crate) fn deadline_key(deadline: u64, id: u64, key: &str) -> Vec<u8> {
    [&[DEADLINE], &deadline.to_be_bytes()[..], &id_bytes(id), key.as_bytes()].concat()
}

/// The deadlines behind one, or all.
pub(crate) fn deadlines_from(after: &[u8]) -> Range<Vec<u8>> {
    let start = if after.is_empty() { vec![DEADLINE] } else { [after, &[0]].concat() };
    start..vec![DEADLINE + 1]
}

/// Takes the key of a deadline apart: the deadline, the bucket's id and the entry's key.
pub(crate) fn split_deadline(physical: &[u8]) -> Option<(u64, u64, &str)> {
    let (deadline, rest) = physical.strip_prefix(&[DEADLINE])?.split_first_chunk()?;
    let (id, key) = split(rest)?;
    Some((u64::from_be_bytes(*deadline), id, key))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const KEYS: [&str; 8] = ["", "a", "a\0", "a\0b", "b", "\u{10ffff}", "E", "\0\0\0\0\0\0\0\0"];

    #[test]
    fn no_two_entries_meet_and_each_is_read_back() {
        let long = "k".repeat(32 << 10);
        let mut seen = HashSet::new();
        for id in [1, 2, 255, 256, u64::from(b'a'), LAST_ID] {
            for key in KEYS.into_iter().chain([&long[..], &long[..STACK_KEY_BYTES - HEAD_BYTES]]) {
                let entry = PhysicalKey::entry(id, key);
                assert_eq!(split_entry(entry.as_ref()), Some((id, key)));
                assert!(seen.insert(entry.as_ref().to_vec()));
                assert!(seen.insert(PhysicalKey::body(id, key).as_ref().to_vec()));
                let deadline = deadline_key(7, id, key);
                assert_eq!(split_deadline(&deadline), Some((7, id, key)));
                assert!(seen.insert(deadline));
                let [entries, bodies] = bucket_ranges(id);
                let holds =
                    |range: &Range<[u8; HEAD_BYTES]>, key: &[u8]| (&range.start[..]..&range.end[..]).contains(&key);
                assert!(holds(&entries, entry.as_ref()));
                assert!(holds(&bodies, PhysicalKey::body(id, key).as_ref()));
            }
            assert!(seen.insert(garbage_key(id).to_vec()));
            assert_eq!(split_garbage(&garbage_key(id)), Some(id));
        }
        for name in KEYS {
            assert!(seen.insert(registry_key(name)));
        }
        for own in [FORMAT, CLOSED, NEXT_ID] {
            assert!(seen.insert(own.to_vec()));
        }
        assert!(seen.iter().all(|key| key.first() >= Some(&BODY)), "bodies come first");
    }

    #[test]
    fn a_prefix_range_holds_what_begins_with_it() {
        for prefix in KEYS {
            let range = prefix_range(7, prefix);
            for key in KEYS {
                let is_in = range.contains(&PhysicalKey::entry(7, key).as_ref().to_vec());
                assert_eq!(is_in, key.starts_with(prefix), "{key:?} in {prefix:?}");
                assert!(!range.contains(&PhysicalKey::entry(8, key).as_ref().to_vec()));
                assert!(!range.contains(&PhysicalKey::body(7, key).as_ref().to_vec()));
            }
        }
    }

    #[test]
    fn deadlines_stand_in_their_order() {
        let range = deadlines_from(&deadline_key(256, 1, "k"));
        for (deadline, is_behind) in [(0, false), (255, false), (256, false), (257, true), (u64::MAX, true)] {
            let key = deadline_key(deadline, 1, "k");
            assert_eq!(range.contains(&key), is_behind);
            assert!(deadlines_from(&[]).contains(&key));
        }
        assert!(range.contains(&deadline_key(256, 1, "k\0")));
    }

    #[test]
    fn the_files_of_a_bucket_end_before_the_next_one() {
        for id in [1, 255, LAST_ID] {
            for range in bucket_ranges(id) {
                let end = end_of_files(range.start);
                assert!(*end < range.end[..] && end > [&range.start[..], "\u{10ffff}".as_bytes()].concat());
            }
        }
    }

    #[test]
    fn rubbish_is_no_key() {
        for rubbish in [&b""[..], b"E", b"E12345", b"X123456", b"D1234567812345", b"E123456\xff"] {
            assert_eq!(split_entry(rubbish), None);
            assert_eq!(split_deadline(rubbish), None);
        }
    }
}
