//! Where engine calls run: on the caller's task, or on the runtime's pool for blocking work (RUN-2).

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};

/// A call that takes longer than this blocked on something, or lost its core.
const SLOW: Duration = Duration::from_micros(200);

/// How long calls stay off the runtime after too many blocked.
const AWAY: Duration = Duration::from_secs(1);

/// How long after a slow call the next ones are watched for why they are slow.
const SUSPICION: Duration = Duration::from_millis(5);

/// One call in this many is timed: two looks at the clock cost a twentieth of a read, asking the system why it was slow
/// a sixth.
const TIMED: u32 = 8;

/// A call that waits for this long without reading from the disk itself is taken to wait for another one that uses the
/// disk. Shorter waits are the engine's own: its callers wait for each other's locks, and when it is kept busy a fifth
/// of the time goes there.
const LONG_WAIT: Duration = Duration::from_millis(10);

/// How long the time spent on waiting for the disk is added up.
const WINDOW: Duration = Duration::from_millis(200);

/// Calls stay away once they have waited for the disk for this long in a window, on all threads together.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where calls run that could block (RUN-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoPolicy {
    /// Inline, until calls that wait for the disk take half of a thread's time; then on the blocking pool for 1 s, then
    /// inline again. sled can't be asked beforehand whether a call would block. A call that only lost its core to
    /// another thread, or waited for another call, is no sign of a slow disk, and the pool would make it worse.
    #[default]
    Auto,
    /// Always inline: cheapest, for folders in memory. Long work still yields between its steps.
    Inline,
    /// Always on the blocking pool: dearest, for slow disks.
    Offload,
}

impl IoPolicy {
    /// The policy as URLs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Inline => "inline",
            Self::Offload => "offload",
        }
    }
}

/// The policy at work.
pub(crate) struct Io {
    policy: IoPolicy,
    start: Instant,
    /// Milliseconds after `start` until which calls stay away; 0 if they do not.
    away_until: AtomicU64,
    /// Milliseconds after `start` until which calls are watched; 0 if they are not.
    watch_until: AtomicU64,
    /// Which window after `start` it is.
    window: AtomicU64,
    /// Microseconds that calls have waited for the disk in it, as far as timed ones tell.
    waited: AtomicU64,
    slow: AtomicU64,
}

thread_local! {
    /// Calls of this thread, to time one in [`TIMED`].
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

impl Io {
    pub(crate) fn new(policy: IoPolicy) -> Self {
        Self {
            policy,
            start: Instant::now(),
            away_until: AtomicU64::new(0),
            watch_until: AtomicU64::new(0),
            window: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            slow: AtomicU64::new(0),
        }
    }

    /// Whether the next call runs on the caller's task.
    pub(crate) fn is_inline(&self) -> bool {
        match self.policy {
            IoPolicy::Inline => true,
            IoPolicy::Offload => false,
            IoPolicy::Auto => match self.away_until.load(Ordering::Relaxed) {
                0 => true,
                until if self.millis() < until => false,
                until => {
                    // Only from the value seen: another call may just have been slow.
                    let _ = self.away_until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
                    true
                }
            },
        }
    }

    /// Whether work known to be long may leave the caller's task.
    pub(crate) fn may_offload(&self) -> bool {
        self.policy != IoPolicy::Inline
    }

    /// Runs a call on the caller's task, and learns from how long some take.
    pub(crate) fn inline<T>(&self, call: impl FnOnce() -> T) -> T {
        if self.policy != IoPolicy::Auto || !is_timed() {
            return call();
        }
        let begun = Instant::now();
        let before = if self.is_watching(begun) { Waits::now() } else { None };
        let done = call();
        let took = begun.elapsed();
        if took > SLOW {
            self.judge(before, Waits::now(), took);
        }
        done
    }

    /// Decides what a slow call means: it has the next ones watched, and if it was watched itself and waited for the
    /// disk, its time counts.
    #[cold]
    fn judge(&self, before: Option<Waits>, after: Option<Waits>, took: Duration) {
        self.slow.fetch_add(1, Ordering::Relaxed);
        let has_patience = match (before, after) {
            // Where the system does not tell why, the first slow call sends the next ones away.
            (_, None) => false,
            (Some(before), Some(after)) if after.is_for_disk(before, took) => {
                self.bear(self.millis() / WINDOW.as_millis() as u64, took * TIMED)
            }
            _ => true,
        };
        if has_patience {
            self.watch_until.store(self.millis_after(SUSPICION), Ordering::Relaxed);
        } else {
            self.away_until.store(self.millis_after(AWAY), Ordering::Relaxed);
        }
    }

    /// Counts time spent on waiting in a window; tells whether there is patience left.
    fn bear(&self, window: u64, waited: Duration) -> bool {
        // Two threads may begin a window at once and lose what one of them waited, which changes little.
        if self.window.swap(window, Ordering::Relaxed) != window {
            self.waited.store(0, Ordering::Relaxed);
        }
        let waited = waited.as_micros() as u64;
        self.waited.fetch_add(waited, Ordering::Relaxed) + waited < PATIENCE.as_micros() as u64
    }

    /// Whether a call that begins now is asked for why it is slow.
    fn is_watching(&self, now: Instant) -> bool {
        match self.watch_until.load(Ordering::Relaxed) {
            0 => false,
            until if self.millis_at(now) < until => true,
            until => {
                let _ = self.watch_until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
                false
            }
        }
    }

    /// About how many inline calls were slow.
    pub(crate) fn slow_calls(&self) -> u64 {
        self.slow.load(Ordering::Relaxed) * u64::from(TIMED)
    }

    fn millis_after(&self, wait: Duration) -> u64 {
        self.millis() + wait.as_millis() as u64
    }

    fn millis(&self) -> u64 {
        self.millis_at(Instant::now())
    }

    fn millis_at(&self, now: Instant) -> u64 {
        // At least 1: 0 means something else.
        now.saturating_duration_since(self.start).as_millis() as u64 + 1
    }
}

/// Whether it is this call's turn to be timed.
fn is_timed() -> bool {
    CALLS.with(|calls| {
        calls.set(calls.get().wrapping_add(1));
        calls.get().is_multiple_of(TIMED)
    })
}

/// What the system knows of this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits {
    /// How often it has let go of its core because it had to wait, for a disk or a lock.
    waits: i64,
    /// Blocks that it has read from disks.
    reads: i64,
}

impl Waits {
    /// `None` where the system does not tell it for a thread.
    fn now() -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            use nix::sys::resource::{UsageWho, getrusage};
            // It fails for a bad argument only.
            let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
            Some(Self { waits: usage.voluntary_context_switches(), reads: usage.block_reads() })
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Whether a call that began at `before` and took so long waited for the disk.
    fn is_for_disk(self, before: Self, took: Duration) -> bool {
        self.waits != before.waits && (self.reads != before.reads || took >= LONG_WAIT)
    }
}

/// Runs blocking work on the runtime's pool, or here where there is no runtime. If the future is dropped the work
/// still runs to its end.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|cause| {
            Error::new(
                ErrorKind::Unavailable,
                Effect::Unknown,
                "working on the store: the runtime ended before the call did",
            )
            .with_source(cause)
        }),
        Err(_) => Ok(work()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Waits = Waits { waits: 3, reads: 8 };
    const LOCKED: Waits = Waits { waits: 5, ..NONE };
    const READ: Waits = Waits { reads: 16, ..LOCKED };

    #[test]
    fn calls_that_wait_for_the_disk_send_the_next_ones_away_for_a_while() {
        let io = Io::new(IoPolicy::Auto);
        io.inline(|| ());
        assert!(io.is_inline());
        // One call in eight counts for eight. All of them in one window, but for a machine that stands still.
        while io.is_inline() {
            io.judge(Some(NONE), Some(READ), PATIENCE / (TIMED * 4));
        }
        assert!(io.slow_calls() >= u64::from(TIMED * 4));
        io.away_until.store(io.millis(), Ordering::Relaxed);
        assert!(io.is_inline() && io.is_inline());
        assert!(Io::new(IoPolicy::Inline).is_inline() && !Io::new(IoPolicy::Offload).is_inline());
    }

    #[test]
    fn waiting_now_and_then_changes_nothing() {
        let io = Io::new(IoPolicy::Auto);
        assert!(io.bear(7, PATIENCE / 2));
        assert!(!io.bear(7, PATIENCE / 2));
        assert!(io.bear(8, PATIENCE / 2));
    }

    #[test]
    fn only_what_waits_for_the_disk_counts() {
        let io = Io::new(IoPolicy::Auto);
        for _ in 0..1_000 {
            // It lost its core; it waited for another call; nobody asked before it.
            io.judge(Some(NONE), Some(NONE), PATIENCE);
            io.judge(Some(NONE), Some(LOCKED), LONG_WAIT / 2);
            io.judge(None, Some(READ), PATIENCE);
        }
        assert!(io.is_inline());
        io.judge(Some(NONE), Some(LOCKED), PATIENCE);
        assert!(!io.is_inline());
    }

    #[test]
    fn a_slow_call_that_nobody_can_explain_is_believed() {
        let io = Io::new(IoPolicy::Auto);
        io.judge(None, None, SLOW);
        assert!(!io.is_inline());
    }

    #[test]
    fn slow_calls_are_noticed_and_the_system_tells_of_them() {
        let io = Io::new(IoPolicy::Auto);
        for _ in 0..TIMED {
            io.inline(|| {
                let begun = Instant::now();
                while begun.elapsed() <= SLOW {}
            });
        }
        assert_eq!(io.slow_calls(), u64::from(TIMED));
        assert_eq!(Waits::now().is_some(), cfg!(target_os = "linux"));
    }
}
