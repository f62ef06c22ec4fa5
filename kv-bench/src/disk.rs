//! What this process does to the disk, and what the system keeps of it in memory.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::client::Result;

/// How long nothing has to be written for what engines do in the background to count as done.
const QUIET: Duration = Duration::from_secs(1);

/// How long to wait for it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Written meanwhile without breaking the quiet: an engine's log of what it does.
const NOISE_BYTES: u64 = 1 << 20;

/// Bytes that this process had the system read from disks; none where it does not tell.
pub(crate) fn read_bytes() -> Option<u64> {
    counted("read_bytes: ")
}

/// Waits until this process has nearly stopped writing to disks, as far as the system tells.
pub(crate) fn settle() {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let before = counted("write_bytes: ");
        std::thread::park_timeout(QUIET);
        match (before, counted("write_bytes: ")) {
            (Some(before), Some(now)) if now.saturating_sub(before) > NOISE_BYTES => {}
            _ => return,
        }
    }
}

/// Has the system forget what it keeps of a folder's files, as far as it does so for a program without root: what is
/// open or not yet on the disk stays, so each file is synced before.
pub(crate) fn forget(folder: &Path) -> Result {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget(&entry.path())?;
        } else {
            let file = File::open(entry.path())?;
            file.sync_all()?;
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
    }
    Ok(())
}

fn counted(what: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix(what))?.trim().parse().ok()
}
