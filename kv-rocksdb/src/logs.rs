//! A look at the engine's logs before it reads them.
//!
//! Where a flipped bit makes a record look as if it were of a log that is used again, RocksDB 11.8.1 reads that record
//! again and again and never ends (`Reader::ReadPhysicalRecord` answers `kBadRecord` without going on), and where it is the
//! first one takes the log for an empty one. No log of ours is used again, so none has such a record.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::open::CURRENT;

/// Logs stand in blocks of so many bytes, which no record goes beyond.
const BLOCK_BYTES: usize = 32 << 10;

/// A record begins with a checksum, then has its length in two bytes and its kind in one.
const HEAD_BYTES: usize = 7;

/// Whether the engine can read the store's logs to their ends. Cost: reads them, and the list of files.
pub(crate) fn can_be_read(folder: &Path) -> io::Result<bool> {
    let current = fs::read(folder.join(CURRENT))?;
    let list = String::from_utf8_lossy(&current).trim_end().to_owned();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        if (name == list || name.ends_with(".log")) && !is_readable(&mut File::open(file.path())?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_readable(log: &mut impl Read) -> io::Result<bool> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    loop {
        block.clear();
        log.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(true);
        }
        let mut rest = &*block;
        while let Some(head) = rest.get(..HEAD_BYTES) {
            let &[.., low, high, kind] = head else { break };
            let length = usize::from(u16::from_le_bytes([low, high]));
            if is_used_again(kind) {
                return Ok(false);
            }
            // What does not fit the engine tells, or takes for the end that a crash left.
            match rest.get(HEAD_BYTES + length..) {
                Some(behind) if kind != 0 => rest = behind,
                _ => break,
            }
        }
    }
}

/// Whether a kind is one of those for logs that are used again.
fn is_used_again(kind: u8) -> bool {
    matches!(kind, 5..=8 | 11 | 131)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let [low, high] = length.to_le_bytes();
        let mut record = vec![0xAA, 0xAA, 0xAA, 0xAA, low, high, kind];
        record.resize(HEAD_BYTES + usize::from(length), 5);
        record
    }

    #[test]
    fn each_record_is_looked_at_and_nothing_else() {
        let is_readable = |log: Vec<u8>| is_readable(&mut &*log).unwrap();
        let fill = (BLOCK_BYTES - 2 * HEAD_BYTES - 100) as u16;
        let log = |kind| [record(1, 100), record(2, fill), record(4, 3), record(kind, 10), record(1, 0)].concat();
        for kind in [1, 2, 3, 4, 9, 10, 130] {
            assert!(is_readable(log(kind)), "{kind}");
        }
        for kind in [5, 6, 7, 8, 11, 131] {
            assert!(!is_readable(log(kind)), "{kind}");
        }
        // A cut record, room that was never written, the end of a block that is too short for a record.
        for end in [record(1, 100)[..50].to_vec(), vec![0; 100_000], vec![5; 6]] {
            assert!(is_readable([record(1, 10), end].concat()));
        }
        let short = (BLOCK_BYTES - HEAD_BYTES - 6) as u16;
        assert!(is_readable([record(1, short), vec![5; 6], record(1, 1)].concat()));
        assert!(!is_readable([record(1, short), vec![5; 6], record(5, 1)].concat()));
    }
}
