//! Stops writing before the disk is full.
//!
//! sled does not survive a full disk well: it stops in the middle of splitting nodes, and then fails even to read what
//! they hold. So writes are refused while little is left, and go on when there is room again; nothing has to be
//! reopened.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kv_core::{Effect, Error, ErrorKind, Result};

/// What must stay free: more than all callers together write between two looks.
const RESERVE_BYTES: u64 = 16 << 20;

/// On a small disk this part of it has to do.
const RESERVE_PART: u64 = 8;

/// Bytes written between two looks.
const LOOK_EVERY_BYTES: u64 = 256 << 10;

/// Bytes that a write puts into the log beside its own: the node that it changes is rewritten now and then.
const OVERHEAD_BYTES: u64 = 512;

/// The room on the disk of a store.
pub(crate) struct Space {
    folder: PathBuf,
    written: AtomicU64,
    is_low: AtomicBool,
}

impl Space {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let space = Self { folder, written: AtomicU64::new(0), is_low: AtomicBool::new(false) };
        space.look(0);
        space
    }

    /// Asks for room to write about `bytes`.
    pub(crate) fn take(&self, bytes: usize) -> Result<()> {
        let bytes = bytes as u64 + OVERHEAD_BYTES;
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        let is_due = before / LOOK_EVERY_BYTES != before.wrapping_add(bytes) / LOOK_EVERY_BYTES;
        if is_due || self.is_low.load(Ordering::Relaxed) {
            self.look(bytes);
        }
        if !self.is_low.load(Ordering::Relaxed) {
            return Ok(());
        }
        let text = "writing an entry: the disk is nearly full; free some space, nothing was written";
        Err(Error::new(ErrorKind::ResourceExhausted, Effect::None, text))
    }

    /// Finds out whether there is room for `bytes` besides the reserve.
    #[cfg(unix)]
    fn look(&self, bytes: u64) {
        // Where the system does not tell, the engine's own failure will.
        let Ok(disk) = nix::sys::statvfs::statvfs(&self.folder) else { return };
        let fragment: u64 = disk.fragment_size();
        let reserve = RESERVE_BYTES.min(fragment.saturating_mul(disk.blocks()) / RESERVE_PART);
        let is_low = fragment.saturating_mul(disk.blocks_available()) < reserve.saturating_add(bytes);
        self.is_low.store(is_low, Ordering::Relaxed);
    }

    #[cfg(not(unix))]
    fn look(&self, _: u64) {
        let _ = &self.folder;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_room_takes_writes() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::new(folder.path().to_owned());
        space.is_low.store(true, Ordering::Relaxed);
        // It looks again before it refuses.
        space.take(1 << 20).unwrap();
        let missing = Space::new(folder.path().join("missing"));
        missing.take(1).unwrap();
        missing.is_low.store(true, Ordering::Relaxed);
        assert_eq!(missing.take(1).unwrap_err().kind(), ErrorKind::ResourceExhausted);
    }
}
