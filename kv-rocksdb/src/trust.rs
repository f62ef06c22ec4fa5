//! Whether a read that the block cache can't answer may run on the caller's task after all.
//!
//! What is in no cache of ours is often in the system's. Reading it there takes microseconds, a fraction of the way to the
//! pool and back, but nobody can ask the system without the risk to wait for the disk. The pool's reads tell: each that found
//! all in memory earns a point, and with enough points reads run on the task all the same, until they lose them again. A read
//! that waited costs as many points as are enough, so at most one in so many can hold a task up (RUN-2).
//!
//! Reads of many keys have points of their own: the engine looks them up together in three quarters of the time, but can't be
//! told not to wait. What probes answered earns them too.

use std::cell::Cell;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crate::error::Fault;

/// Reads from memory that earn what one that waits costs, and from which on reads run on the task. One in so many is under the
/// thousandth that RUN-2 leaves, for single reads by far.
const ENOUGH: i32 = 4_096;
const ENOUGH_OF_MANY: i32 = 1_024;

/// The most that can be earned, in what is enough: one time fewer the system may take the core away within a read, which looks
/// like waiting, before reads leave the task for a while.
const MOST: i32 = 4;

/// The most times that one read is taken to have waited: once for each key that is read at once.
const MOST_OWED: i64 = 128;

/// A read on the task that took longer has waited (RUN-2). Of many keys: half of what a poll may last, for up to 128 of them
/// take longer than one even from memory.
const LONG: Duration = Duration::from_micros(200);
const LONG_OF_MANY: Duration = Duration::from_micros(500);

/// Reads of a thread that leave out the probe once one missed: what comes after a miss mostly misses too.
const UNPROBED: u32 = 256;

thread_local! {
    /// How many of them are left.
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

/// What tells how long a read took and whether it waited.
#[derive(Clone, Copy)]
pub(crate) struct Meters {
    pub(crate) clock: fn() -> Instant,
    /// How often this thread has waited, and how many blocks it has read from disks; `None` where the system does not tell.
    pub(crate) waits: fn() -> Option<(i64, i64)>,
}

impl Default for Meters {
    fn default() -> Self {
        Self { clock: Instant::now, waits }
    }
}

/// What reads have earned so far.
pub(crate) struct Trust {
    /// Below zero where several reads on tasks waited at once: each of them held its task up, and each is paid for.
    earned: AtomicI32,
    enough: i32,
    long: Duration,
    meters: Meters,
}

impl Trust {
    pub(crate) fn of_single_reads(meters: Meters) -> Self {
        Self { earned: AtomicI32::new(0), enough: ENOUGH, long: LONG, meters }
    }

    pub(crate) fn of_reads_of_many(meters: Meters) -> Self {
        Self { earned: AtomicI32::new(0), enough: ENOUGH_OF_MANY, long: LONG_OF_MANY, meters }
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

    /// Runs a step, and gives how long it took as well.
    pub(crate) fn time<T>(&self, step: impl FnOnce() -> T) -> (T, Duration) {
        let begun = (self.meters.clock)();
        let done = step();
        (done, (self.meters.clock)().duration_since(begun))
    }

    /// Runs a single read on the task and notes whether it waited, by the clock alone, which costs less to ask
    /// than the system.
    pub(crate) fn time_on_task<T>(&self, read: impl FnOnce() -> T) -> (T, Duration) {
        let (done, took) = self.time(read);
        if took > self.long {
            self.owe(1);
        } else {
            self.earn();
        }
        (done, took)
    }

    /// Runs a read of many keys on the task and notes whether it waited, by the clock and by the system's account.
    pub(crate) fn watch_on_task<T>(&self, read: impl FnOnce() -> Result<T, Fault>) -> (Result<T, Fault>, Duration) {
        let before = (self.meters.waits)();
        let (done, took) = self.time(read);
        let after = (self.meters.waits)();
        // Once where the system does not tell.
        let waited =
            before.zip(after).map_or(1, |(before, after)| (after.0 - before.0).max(i64::from(after.1 > before.1)));
        match waited.max(i64::from(took > self.long)) {
            // One that gave up may not have read anything.
            0 if matches!(done, Err(Fault::Alone)) => {}
            0 => self.earn(),
            times => self.owe(times),
        }
        (done, took)
    }

    /// Runs a read on the pool and notes whether it waited.
    pub(crate) fn watch<T>(&self, read: impl FnOnce() -> T) -> T {
        let before = (self.meters.waits)();
        let done = read();
        // Where the system does not tell, nothing is earned.
        if before.is_some() && (self.meters.waits)() == before {
            self.earn()
        } else {
            self.lose()
        }
        done
    }

    /// Notes a read that memory answered.
    pub(crate) fn earn(&self) {
        let most = MOST * self.enough;
        self.step(|earned| (earned < most).then_some(earned + 1));
    }

    /// Notes a read that waited on the pool, where that held up nobody: it leaves no debt.
    fn lose(&self) {
        self.step(|earned| (earned > 0).then_some((earned - self.enough).max(0)));
    }

    /// Notes a read that held its task up, and how often: one of many keys may wait for each of them. No more begin once there is
    /// not enough, so there are never more debts than threads.
    fn owe(&self, times: i64) {
        // Far from what the number holds, with as many threads as there may be.
        let times = times.clamp(1, MOST_OWED) as i32;
        self.earned.fetch_sub(self.enough * times, Ordering::Relaxed);
    }

    fn step(&self, next: impl Fn(i32) -> Option<i32>) {
        // `None` leaves it as it is.
        let _ = self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
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
#[path = "trust_tests.rs"]
pub(crate) mod tests;
