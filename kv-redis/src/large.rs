//! Which keys have large values: those take a connection of their own.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

/// Values over this many bytes take the connection for large ones.
pub(crate) const LARGE_BYTES: usize = 128 << 10;

/// Keys that a handle remembers. A value that nobody knows to be large comes on the connection for small calls, once.
const REMEMBERED: usize = 4_096;

/// Keys whose values were large when last seen, by their hashes: a mistake costs a little time only.
#[derive(Default)]
pub(crate) struct Large {
    hashes: Mutex<HashSet<u64>>,
    state: RandomState,
}

impl Large {
    /// Whether the key's value was large.
    pub(crate) fn is(&self, key: &str) -> bool {
        let hashes = self.hashes.lock();
        !hashes.is_empty() && hashes.contains(&self.state.hash_one(key))
    }

    /// Notes how large a key's value is.
    pub(crate) fn note(&self, key: &str, bytes: usize) {
        let is_large = bytes > LARGE_BYTES;
        let mut hashes = self.hashes.lock();
        if !is_large && hashes.is_empty() {
            return;
        }
        let hash = self.state.hash_one(key);
        if !is_large {
            hashes.remove(&hash);
        } else if hashes.len() < REMEMBERED || hashes.contains(&hash) {
            hashes.insert(hash);
        } else {
            hashes.clear();
            hashes.insert(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_counts_and_few_are_kept() {
        let large = Large::default();
        large.note("k", LARGE_BYTES);
        assert!(!large.is("k"));
        large.note("k", LARGE_BYTES + 1);
        assert!(large.is("k") && !large.is("j"));
        large.note("k", 0);
        assert!(!large.is("k"));
        for n in 0..3 * REMEMBERED {
            large.note(&n.to_string(), LARGE_BYTES + 1);
        }
        assert!(large.hashes.lock().len() <= REMEMBERED);
    }
}
