//! What this process holds.

use std::time::{Duration, Instant};

use crate::{Outcome, Stop};

/// Files, threads and memory that may come and go with caches and pools; one in a hundred calls leaking shows.
const FILES: usize = 16;
const THREADS: usize = 16;
const MEMORY_KIB: usize = 16 << 10;

/// How long they may take to go once their owner is gone; an idle thread of a pool stays for ten seconds.
const SETTLE: Duration = Duration::from_secs(3);
const SETTLE_THREADS: Duration = Duration::from_secs(15);

/// Open files, threads and resident memory of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    files: usize,
    threads: usize,
    resident_kib: usize,
}

impl Footprint {
    /// Counts; does not apply where the machine does not tell.
    pub(super) fn take() -> Result<Self, Stop> {
        let untold = |why: &dyn std::fmt::Display| {
            Stop::NotApplicable(format!("this machine does not tell what a process holds: {why}"))
        };
        let files = std::fs::read_dir("/proc/self/fd").map_err(|error| untold(&error))?.count();
        let status = std::fs::read_to_string("/proc/self/status").map_err(|error| untold(&error))?;
        let number = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let threads = number("Threads:").ok_or_else(|| untold(&"no count of threads"))?;
        let resident_kib = number("VmRSS:").ok_or_else(|| untold(&"no size of memory"))?;
        Ok(Self { files, threads, resident_kib })
    }

    /// Waits until no more is held than in `self`.
    pub(super) async fn ensure_back(self, after: &str) -> Outcome {
        let started = Instant::now();
        loop {
            let now = Self::take()?;
            let is_back = now.files <= self.files + FILES && now.resident_kib <= self.resident_kib + MEMORY_KIB;
            let threads_are_back = now.threads <= self.threads + THREADS;
            if is_back && threads_are_back {
                return Ok(());
            }
            let patience = if is_back { SETTLE_THREADS } else { SETTLE };
            if started.elapsed() > patience {
                return Err(Stop::failed(format_args!("after {after}: expected no more than {self:?}, found {now:?}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
