//! Records of the tree `entries`: what stands under a physical key.
//!
//! One tag byte says what follows: a deadline, a reference into the tree `chunks`, and the value itself where it
//! is small.

use bytes::{Buf, Bytes};
use kv_core::local::now;
use sled::IVec;

use crate::error::Fault;

const HAS_DEADLINE: u8 = 1;
const LONG_KEY: u8 = 2;
const CHUNKED_VALUE: u8 = 4;

/// Records up to this many bytes are put together on the stack.
const STACK_RECORD_BYTES: usize = 256;

/// Records up to this many bytes are copied where they are read. sled holds each longer one in an allocation of its
/// own, which a reader can share.
const COPIED_BYTES: usize = 22;

/// What a record says about its entry besides the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Milliseconds of the wall clock from which the entry is absent (TTL-2).
    pub(crate) deadline: Option<u64>,
    /// What stands in `chunks` because it is too long for a record.
    pub(crate) overflow: Option<Overflow>,
}

/// The part of an entry that stands in the tree `chunks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow {
    /// Where in `chunks`; fresh for each write.
    pub(crate) id: u64,
    /// Bytes of the key, if that is long.
    pub(crate) key: Option<u32>,
    /// Bytes of the value, if that is cut into chunks.
    pub(crate) value: Option<u32>,
}

/// A record as read.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    raw: IVec,
    pub(crate) head: Head,
    body: usize,
}

impl Record {
    pub(crate) fn read(raw: IVec) -> Result<Self, Fault> {
        match Head::read(&raw) {
            Some((head, body)) => Ok(Self { raw, head, body }),
            None => Err(Fault::damaged("a record has a form that this version does not write")),
        }
    }

    /// Whether the entry is there at `now`. Only records with a deadline ask for the time.
    pub(crate) fn is_live(&self) -> bool {
        self.head.deadline.is_none_or(|deadline| deadline > now())
    }

    /// The value, where it stands in the record.
    pub(crate) fn inline(&self) -> &[u8] {
        self.raw.get(self.body..).unwrap_or_default()
    }

    /// The value's size, wherever it stands.
    pub(crate) fn value_bytes(&self) -> usize {
        match self.head.overflow {
            Some(Overflow { value: Some(bytes), .. }) => bytes as usize,
            _ => self.raw.len() - self.body,
        }
    }

    /// The value, where it stands in the record, owned.
    pub(crate) fn into_inline(self) -> Bytes {
        owned(self.raw, self.body)
    }

    /// Whether both are the same write: the same bytes, and the same chunks.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

/// The value of a record that says nothing else about its entry, as most do; gives any other record back.
pub(crate) fn plain(raw: IVec) -> Result<Bytes, IVec> {
    match raw.first() {
        Some(0) => Ok(owned(raw, 1)),
        _ => Err(raw),
    }
}

fn owned(raw: IVec, body: usize) -> Bytes {
    if raw.len() <= COPIED_BYTES {
        return Bytes::copy_from_slice(raw.get(body..).unwrap_or_default());
    }
    let mut bytes = Bytes::from_owner(raw);
    bytes.advance(body);
    bytes
}

impl Head {
    /// Puts a record together; `inline` is the value, or nothing where it is cut into chunks.
    pub(crate) fn record(&self, inline: &[u8]) -> IVec {
        let mut stack = [0; STACK_RECORD_BYTES];
        // Most records say nothing else about their entry: their tag is 0.
        if *self == Self::default()
            && let Some(body) = stack.get_mut(1..=inline.len())
        {
            body.copy_from_slice(inline);
            return IVec::from(stack.get(..=inline.len()).unwrap_or_default());
        }
        let (head, head_len) = self.bytes();
        let head = head.get(..head_len).unwrap_or_default();
        IVec::from([head, inline].concat())
    }

    fn bytes(&self) -> ([u8; 25], usize) {
        let mut bytes = [0; 25];
        let mut tag = 0;
        let mut len = 1;
        let mut put = |field: &[u8]| {
            for (to, from) in bytes.iter_mut().skip(len).zip(field) {
                *to = *from;
            }
            len += field.len();
        };
        if let Some(deadline) = self.deadline {
            tag |= HAS_DEADLINE;
            put(&deadline.to_be_bytes());
        }
        if let Some(overflow) = self.overflow {
            put(&overflow.id.to_be_bytes());
            if let Some(key) = overflow.key {
                tag |= LONG_KEY;
                put(&key.to_be_bytes());
            }
            if let Some(value) = overflow.value {
                tag |= CHUNKED_VALUE;
                put(&value.to_be_bytes());
            }
        }
        if let Some(first) = bytes.first_mut() {
            *first = tag;
        }
        (bytes, len)
    }

    fn read(raw: &[u8]) -> Option<(Self, usize)> {
        let (tag, mut rest) = raw.split_first()?;
        let tag = *tag;
        if tag == 0 {
            return Some((Self::default(), 1));
        }
        if tag & !(HAS_DEADLINE | LONG_KEY | CHUNKED_VALUE) != 0 {
            return None;
        }
        let mut head = Self::default();
        if tag & HAS_DEADLINE != 0 {
            head.deadline = Some(u64::from_be_bytes(take(&mut rest)?));
        }
        if tag & (LONG_KEY | CHUNKED_VALUE) != 0 {
            let id = u64::from_be_bytes(take(&mut rest)?);
            let mut length = |flag| match tag & flag {
                0 => Some(None),
                _ => Some(Some(u32::from_be_bytes(take(&mut rest)?))),
            };
            head.overflow = Some(Overflow { id, key: length(LONG_KEY)?, value: length(CHUNKED_VALUE)? });
        }
        Some((head, raw.len() - rest.len()))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_back() {
        let lengths = [None, Some(0), Some(u32::MAX)];
        for deadline in [None, Some(0), Some(u64::MAX)] {
            for key in lengths {
                for value in lengths {
                    let overflow = (key.is_some() || value.is_some()).then_some(Overflow { id: 7, key, value });
                    let head = Head { deadline, overflow };
                    for inline in [0, 1, 100, 250, 300] {
                        let inline = vec![9; inline];
                        let record = Record::read(head.record(&inline)).unwrap();
                        assert_eq!(record.head, head);
                        assert_eq!(record.inline(), inline);
                        let len = value.map_or(inline.len(), |value| value as usize);
                        assert_eq!(record.value_bytes(), len);
                        assert_eq!(record.into_inline(), inline);
                    }
                }
            }
        }
    }

    #[test]
    fn rubbish_is_damage() {
        for raw in [&[][..], &[8], &[1, 0], &[6, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[255; 40]] {
            assert!(Record::read(IVec::from(raw)).is_err(), "{raw:?}");
        }
    }
}
