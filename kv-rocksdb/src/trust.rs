//! Whether a read that the block cache can't answer may run on the caller's task after all.
//!
//! What is in no cache of ours is often in the system's. Reading it there takes microseconds, a fraction of the way to the
//! pool and back, but nobody can ask the system without the risk to wait for the disk. The pool's reads tell: once so many
//! of them in a row found all in memory, reads run on the task without a probe, until they lose that credit again. Each read
//! that waits costs as much as thousands earn, so fewer than one in a thousand can hold a task up (RUN-2).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Reads from memory that earn what one that waits costs, and from which on reads run on the task. One in so many is well
/// under the thousandth that RUN-2 leaves.
const ENOUGH: u32 = 4_096;

/// The most that can be earned: so many times the system may take the core away within a read, which looks like waiting, before
/// reads leave the task for a while.
const MOST: u32 = 4 * ENOUGH;

/// A read on the task that took longer has waited (RUN-2).
const LONG: Duration = Duration::from_micros(200);

/// What reads have earned so far.
#[derive(Default)]
pub(crate) struct Trust(AtomicU32);

impl Trust {
    /// Whether reads run on the task.
    pub(crate) fn is_enough(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ENOUGH
    }

    /// Notes a read on the task.
    pub(crate) fn note(&self, took: Duration) {
        self.count(took <= LONG);
    }

    /// Runs a read on the pool and notes whether it waited.
    pub(crate) fn watch<T>(&self, read: impl FnOnce() -> T) -> T {
        let before = waits();
        let done = read();
        // Where the system does not tell, nothing is earned.
        self.count(before.is_some() && waits() == before);
        done
    }

    fn count(&self, was_in_memory: bool) {
        // Not exact where threads meet, which does not matter.
        let earned = self.0.load(Ordering::Relaxed);
        if !was_in_memory {
            self.0.store(earned.saturating_sub(ENOUGH), Ordering::Relaxed);
        } else if earned < MOST {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How often this thread has waited, and how many blocks it has read from disks.
fn waits() -> Option<(i64, i64)> {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        // It fails for a bad argument only.
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
        Some((usage.voluntary_context_switches(), usage.block_reads()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(10);

    #[test]
    fn trust_is_earned_slowly_and_lost_fast() {
        let trust = Trust::default();
        for _ in 1..ENOUGH {
            trust.watch(|| ());
        }
        assert!(!trust.is_enough());
        trust.watch(|| ());
        assert!(trust.is_enough());
        trust.note(LONG + SHORT);
        assert!(!trust.is_enough());
        // Of many reads that hold the task up some, only a few run there.
        let mut slow = 0;
        const READS: u32 = 1_000_000;
        for n in 0..READS {
            let is_slow = n % 50 == 0;
            if trust.is_enough() {
                slow += u32::from(is_slow);
                trust.note(if is_slow { LONG + SHORT } else { SHORT });
            } else {
                trust.count(!is_slow);
            }
        }
        assert!(slow <= READS / ENOUGH, "{slow}");
    }

    #[test]
    fn it_stays_over_a_few_that_only_look_slow() {
        let trust = Trust::default();
        for _ in 0..2 * MOST {
            trust.note(SHORT);
        }
        for _ in 0..3 {
            trust.note(LONG + SHORT);
        }
        assert!(trust.is_enough());
        trust.note(LONG + SHORT);
        assert!(!trust.is_enough());
    }

    #[test]
    fn a_read_that_waited_earns_nothing() {
        let trust = Trust::default();
        for _ in 0..ENOUGH {
            trust.watch(|| ());
        }
        trust.watch(|| std::process::Command::new("true").status().unwrap());
        assert!(!trust.is_enough());
    }
}
