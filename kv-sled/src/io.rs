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

/// How long the time spent on waiting is added up.
const WINDOW: Duration = Duration::from_millis(200);

/// Calls stay away once they have waited for this long in a window, on all threads together. An engine that is kept
/// busy waits for its own locks and its log a tenth of that time, which does no harm; a disk that must be waited for
/// takes nearly all of it.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where calls run that could block (RUN-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoPolicy {
    /// Inline, until calls that wait take half of a thread's time; then on the blocking pool for 1 s, then inline
    /// again. sled can't be asked beforehand whether a call would block. A call that only lost its core to another
    /// thread is no sign of a slow disk, and the pool would make it worse.
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
    /// Microseconds that calls have waited in it, as far as watched ones tell.
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
        let waits = if self.is_watching(begun) { voluntary_waits() } else { None };
        let done = call();
        let took = begun.elapsed();
        if took > SLOW {
            self.judge(waits, took);
        }
        done
    }

    /// Decides what a slow call means: it has the next ones watched, and if it was watched itself and waited, its time
    /// counts.
    #[cold]
    fn judge(&self, before: Option<i64>, took: Duration) {
        self.slow.fetch_add(1, Ordering::Relaxed);
        let has_patience = match (before, voluntary_waits()) {
            // Where the system does not tell why, the first slow call sends the next ones away.
            (_, None) => false,
            (Some(before), Some(after)) if before != after => {
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

/// How often this thread has let go of its core because it had to wait, for a disk or a lock; `None` where the system
/// does not tell it for a thread.
fn voluntary_waits() -> Option<i64> {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        // It fails for a bad argument only.
        getrusage(UsageWho::RUSAGE_THREAD).ok().map(|usage| usage.voluntary_context_switches())
    }
    #[cfg(not(target_os = "linux"))]
    None
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

    fn spin() {
        let begun = Instant::now();
        while begun.elapsed() <= SLOW {}
    }

    /// Waits as a slow disk makes a thread wait: off its core.
    fn block() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        assert!(receiver.recv_timeout(SLOW * 2).is_err());
        drop(sender);
    }

    #[test]
    fn calls_that_wait_send_the_next_ones_away_for_a_while() {
        let io = Io::new(IoPolicy::Auto);
        io.inline(|| ());
        assert!(io.is_inline());
        while io.is_inline() {
            io.inline(block);
        }
        assert!(io.slow_calls() > u64::from(TIMED));
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
    fn a_call_that_only_lost_its_core_changes_nothing() {
        let io = Io::new(IoPolicy::Auto);
        for _ in 0..10 * TIMED {
            io.inline(spin);
        }
        assert!(io.is_inline() && io.slow_calls() == u64::from(10 * TIMED));
    }
}
