//! Batches as one step, crash or not (BAT-4).
//!
//! sled recovers a prefix of its log, so what was written first is there if anything later is. A batch is written
//! to the tree `journal` whole, applied entry by entry, and taken out again. What a crash leaves there is applied
//! again if it is complete, which its last record tells, and dropped otherwise: nothing was applied then.
//!
//! Whoever works on the journal holds the gate alone.

use sled::IVec;

use crate::engine::{Trees, settle};
use crate::error::Fault;
use crate::layout::CHUNK_BYTES;

/// The key of the last record, behind those of all pieces. Its value is the number of pieces, then the rest of the
/// batch, so that a small batch is one record.
const LAST: [u8; 4] = [0xFF; 4];

/// Stands for a removal where else a record's size stands.
const REMOVAL: u32 = u32::MAX;

/// A batch as it is written to the journal.
#[derive(Default)]
pub(crate) struct Journal(Vec<u8>);

impl Journal {
    /// Adds the physical key of an entry with its new record, or with `None` for its removal.
    pub(crate) fn push(&mut self, entry: &[u8], record: Option<&IVec>) {
        self.put(entry.len());
        self.0.extend_from_slice(entry);
        match record {
            None => self.0.extend_from_slice(&REMOVAL.to_be_bytes()),
            Some(record) => {
                self.put(record.len());
                self.0.extend_from_slice(record);
            }
        }
    }

    fn put(&mut self, len: usize) {
        // Keys and records have bounds far below.
        self.0.extend_from_slice(&u32::try_from(len).unwrap_or(REMOVAL).to_be_bytes());
    }

    /// Writes the batch down. Once this returns the batch is going to be applied, crash or not.
    pub(crate) fn write(&self, trees: &Trees) -> Result<(), Fault> {
        let pieces = self.0.chunks_exact(CHUNK_BYTES);
        let rest = pieces.remainder();
        let mut count = 0_u32;
        for piece in pieces {
            trees.journal.insert(count.to_be_bytes(), piece)?;
            count += 1;
        }
        trees.journal.insert(LAST, [&count.to_be_bytes(), rest].concat())?;
        Ok(())
    }
}

/// Takes the batch out of the journal: it was applied.
pub(crate) fn clear(trees: &Trees) -> Result<(), Fault> {
    // First, so that pieces that are left are not taken for a batch.
    trees.journal.remove(LAST)?;
    for key in trees.journal.iter().keys() {
        trees.journal.remove(key?)?;
    }
    Ok(())
}

/// Applies what a crash left in the journal, if it is complete.
pub(crate) fn recover(trees: &Trees) -> Result<(), Fault> {
    if let Some(last) = trees.journal.get(LAST)? {
        let batch = read(trees, &last)?;
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let (entry, record) = next(&mut rest).ok_or_else(incomplete)?;
            match record {
                Some(record) => trees.entries.insert(entry, record)?,
                None => trees.entries.remove(entry)?,
            };
            settle(&trees.entries, entry)?;
        }
    }
    clear(trees)
}

fn read(trees: &Trees, last: &[u8]) -> Result<Vec<u8>, Fault> {
    let (count, rest) = last.split_first_chunk::<4>().ok_or_else(incomplete)?;
    let mut batch = Vec::new();
    for index in 0..u32::from_be_bytes(*count) {
        batch.extend_from_slice(&trees.journal.get(index.to_be_bytes())?.ok_or_else(incomplete)?);
    }
    batch.extend_from_slice(rest);
    Ok(batch)
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at_checked(len)?;
        *rest = left;
        Some(taken)
    };
    let mut len = || Some(u32::from_be_bytes(take(4)?.try_into().ok()?));
    let entry_len = len()?;
    let entry = take(entry_len as usize)?;
    let record = match u32::from_be_bytes(take(4)?.try_into().ok()?) {
        REMOVAL => None,
        bytes => Some(take(bytes as usize)?),
    };
    Some((entry, record))
}

fn incomplete() -> Fault {
    Fault::damaged("part of a batch that a crash interrupted is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trees() -> Trees {
        Trees::open(sled::Config::new().temporary(true).flush_every_ms(None).open().unwrap()).unwrap()
    }

    fn batch(entries: u32) -> Journal {
        let mut journal = Journal::default();
        for n in 0..entries {
            journal.push(&n.to_be_bytes(), Some(&IVec::from(vec![0; 100])));
        }
        journal.push(b"gone", None);
        journal
    }

    #[test]
    fn a_complete_batch_is_applied_again() {
        for entries in [0, 1, 1_000] {
            let trees = trees();
            trees.entries.insert(b"gone", b"\0old").unwrap();
            batch(entries).write(&trees).unwrap();
            recover(&trees).unwrap();
            assert_eq!(trees.entries.len(), entries as usize);
            assert!(trees.journal.is_empty());
        }
    }

    #[test]
    fn an_incomplete_batch_is_dropped() {
        let trees = trees();
        batch(1_000).write(&trees).unwrap();
        trees.journal.remove(LAST).unwrap();
        recover(&trees).unwrap();
        assert!(trees.entries.is_empty() && trees.journal.is_empty());
    }

    #[test]
    fn a_damaged_batch_is_no_batch() {
        let trees = trees();
        batch(1_000).write(&trees).unwrap();
        trees.journal.remove(3_u32.to_be_bytes()).unwrap();
        assert!(recover(&trees).is_err());
        trees.journal.insert(LAST, &[0, 0, 0, 0, 0, 0]).unwrap();
        assert!(recover(&trees).is_err());
    }
}
