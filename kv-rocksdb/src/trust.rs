//! Whether a read that the block cache can't answer may run on the caller's task after all.
//!
//! What is in no cache of ours is often in the system's. Reading it there takes microseconds, a fraction of the way to the
//! pool and back, but nobody can ask the system without the risk to wait for the disk. The pool's reads tell: once so many
//! of them in a row found all in memory, reads run on the task all the same, until they lose that credit again. Each read
//! that waits costs as much as a thousand earn, so at most one in a thousand can hold a task up (RUN-2).
//!
//! Reads of many keys have a credit of their own: the engine looks them up together in three quarters of the time, but can't be
//! told not to wait. What probes answered earns it too.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Reads from memory that earn what one that waits costs, and from which on reads run on the task. One in so many is under the
/// thousandth that RUN-2 leaves: for single reads by far, for they are judged by the clock.
const ENOUGH: u32 = 4_096;
const ENOUGH_OF_MANY: u32 = 1_024;

/// The most that can be earned: so many times the system may take the core away within a read, which looks like waiting, before
/// reads leave the task for a while.
const MOST: u32 = 4;

/// A read on the task that took longer has waited (RUN-2).
const LONG: Duration = Duration::from_micros(200);

/// Reads of a thread that leave out the probe once one missed: what comes after a miss mostly misses too.
const UNPROBED: u32 = 256;

thread_local! {
    /// How many of them are left.
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

/// What reads have earned so far.
pub(crate) struct Trust {
    earned: AtomicU32,
    enough: u32,
}

impl Trust {
    pub(crate) fn of_single_reads() -> Self {
        Self { earned: AtomicU32::new(0), enough: ENOUGH }
    }

    pub(crate) fn of_reads_of_many() -> Self {
        Self { earned: AtomicU32::new(0), enough: ENOUGH_OF_MANY }
    }

    /// Whether reads run on the task.
    pub(crate) fn is_enough(&self) -> bool {
        self.earned.load(Ordering::Relaxed) >= self.enough
    }

    /// Whether the next single read runs on the task without a probe.
    #[inline]
    pub(crate) fn leaves_out_probe(&self) -> bool {
        let left = LEFT.get();
        if left == 0 {
            return false;
        }
        LEFT.set(left - 1);
        self.is_enough()
    }

    /// Notes that a probe missed; gives whether the read runs on the task all the same.
    pub(crate) fn missed(&self) -> bool {
        let is_enough = self.is_enough();
        LEFT.set(if is_enough { UNPROBED } else { 0 });
        is_enough
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

    /// Notes a read that memory answered.
    pub(crate) fn earn(&self) {
        self.count(true);
    }

    fn count(&self, was_in_memory: bool) {
        // Not exact where threads meet, which does not matter.
        let earned = self.earned.load(Ordering::Relaxed);
        if !was_in_memory {
            self.earned.store(earned.saturating_sub(self.enough), Ordering::Relaxed);
        } else if earned < MOST * self.enough {
            self.earned.fetch_add(1, Ordering::Relaxed);
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
        let trust = Trust::of_single_reads();
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
        let trust = Trust::of_single_reads();
        for _ in 0..2 * MOST * ENOUGH {
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
        let trust = Trust::of_single_reads();
        for _ in 0..ENOUGH {
            trust.watch(|| ());
        }
        trust.watch(|| std::process::Command::new("true").status().unwrap());
        assert!(!trust.is_enough());
    }
}
