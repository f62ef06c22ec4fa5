//! Records: what stands under an entry's physical key.
//!
//! One byte says what follows: a deadline where there is one, then the value, or how many bytes it has if it is large.

use std::cell::RefCell;

use kv_core::local::now;

use crate::error::Fault;

const HAS_DEADLINE: u8 = 1;
const IS_LARGE: u8 = 2;

/// Values over this many bytes stand under a key of their own: listing, probing and rewriting entries does not move them.
pub(crate) const INLINE_VALUE_BYTES: usize = 32 << 10;

/// A record as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Milliseconds of the wall clock from which the entry is absent (TTL-2).
    pub(crate) deadline: Option<u64>,
    pub(crate) value: Value<'a>,
}

/// What a record says of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Inline(&'a [u8]),
    /// So many bytes, under a key of their own.
    Large(u32),
}

impl<'a> Record<'a> {
    pub(crate) fn read(raw: &'a [u8]) -> Result<Self, Fault> {
        // The usual case by itself, for it is in the way of every call.
        if let [0, value @ ..] = raw {
            return Ok(Self { deadline: None, value: Value::Inline(value) });
        }
        Self::read_any(raw).ok_or_else(|| Fault::damaged("a record has a form that this version does not write"))
    }

    fn read_any(raw: &'a [u8]) -> Option<Self> {
        let (tag, mut rest) = raw.split_first()?;
        if tag & !(HAS_DEADLINE | IS_LARGE) != 0 {
            return None;
        }
        let mut deadline = None;
        if tag & HAS_DEADLINE != 0 {
            let (bytes, left) = rest.split_first_chunk()?;
            (deadline, rest) = (Some(u64::from_be_bytes(*bytes)), left);
        }
        let value = match tag & IS_LARGE {
            0 => Value::Inline(rest),
            _ => Value::Large(u32::from_be_bytes(rest.try_into().ok()?)),
        };
        Some(Self { deadline, value })
    }

    /// Whether the entry is there now. Only records with a deadline ask for the time.
    pub(crate) fn is_live(&self) -> bool {
        self.deadline.is_none_or(|deadline| deadline > now())
    }

    /// What the record says besides the value.
    pub(crate) fn head(&self) -> Head {
        Head { deadline: self.deadline, is_large: matches!(self.value, Value::Large(_)) }
    }
}

/// What a record says besides the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) deadline: Option<u64>,
    pub(crate) is_large: bool,
}

impl Head {
    pub(crate) fn is_live(self) -> bool {
        self.deadline.is_none_or(|deadline| deadline > now())
    }
}

thread_local! {
    /// Where records are put together.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Puts the record of a value together and hands it to `then`.
pub(crate) fn with_record<T>(value: &[u8], deadline: Option<u64>, then: impl FnOnce(&[u8]) -> T) -> T {
    // Taken, so that nothing breaks should `then` come here again.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let is_large = value.len() > INLINE_VALUE_BYTES;
    let tag = if deadline.is_some() { HAS_DEADLINE } else { 0 } | if is_large { IS_LARGE } else { 0 };
    buffer.push(tag);
    if let Some(deadline) = deadline {
        buffer.extend_from_slice(&deadline.to_be_bytes());
    }
    if is_large {
        // The contract's limit is 64 MiB.
        buffer.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    } else {
        buffer.extend_from_slice(value);
    }
    let done = then(&buffer);
    BUFFER.set(buffer);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_back() {
        for deadline in [None, Some(0), Some(u64::MAX)] {
            for bytes in [0, 1, 511, INLINE_VALUE_BYTES, INLINE_VALUE_BYTES + 1] {
                let value = vec![9; bytes];
                with_record(&value, deadline, |raw| {
                    let record = Record::read(raw).unwrap();
                    assert_eq!(record.deadline, deadline);
                    match record.value {
                        Value::Inline(found) => assert_eq!(found, value),
                        Value::Large(found) => assert_eq!((found as usize, bytes > INLINE_VALUE_BYTES), (bytes, true)),
                    }
                });
            }
        }
    }

    #[test]
    fn rubbish_is_damage() {
        for raw in
            [&[][..], &[4], &[1, 0], &[2, 0, 0, 0], &[2, 0, 0, 0, 0, 0], &[3, 0, 0, 0, 0, 0, 0, 0, 0], &[255; 40]]
        {
            assert!(Record::read(raw).is_err(), "{raw:?}");
        }
    }
}
