//! Where engine calls run: on the caller's task, or on the runtime's pool for blocking work (RUN-2).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};

use crate::pace;

/// A call that takes longer than this blocked on something, or lost its core.
const SLOW: Duration = Duration::from_micros(200);

/// How long calls stay off the runtime after too many blocked.
const AWAY: Duration = Duration::from_secs(1);

/// A call that waits for this long without reading from the disk itself is taken to wait for another one that uses the
/// disk. Shorter waits are the engine's own: its callers wait for each other's locks, and when it is kept busy a fifth
/// of the time goes there.
const LONG_WAIT: Duration = Duration::from_millis(10);

/// How long the time spent on waiting for the disk is added up.
const WINDOW: Duration = Duration::from_millis(200);

/// Calls stay away once they have waited for the disk for this long in a window, on all threads together.
const PATIENCE: Duration = Duration::from_millis(100);

/// The most that a timed call counts for, unless it took longer itself: no short one decides for those that it stands
/// for.
const MOST_GUESSED: Duration = PATIENCE.checked_div(4).unwrap();

/// Where calls run that could block (RUN-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoPolicy {
    /// Inline, until calls of over 200 µs have waited for the disk for 100 ms in a window of 200 ms, added up over all
    /// threads; then on the blocking pool for 1 s, then inline again. One call in 16 is timed, and the 64 after one of
    /// these that was slow. sled can't be asked beforehand whether a call would block. A call that only lost its core
    /// to another thread, or waited for another call, is no sign of a slow disk, and the pool would make it worse.
    /// Where the system does not tell why a call was slow (elsewhere than on Linux) the first timed one sends the next
    /// ones away.
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
    /// Which window after `start` it is.
    window: AtomicU64,
    /// Microseconds that calls have waited for the disk in it, as far as timed ones tell.
    waited: AtomicU64,
    slow: AtomicU64,
}

impl Io {
    pub(crate) fn new(policy: IoPolicy) -> Self {
        Self {
            policy,
            start: Instant::now(),
            away_until: AtomicU64::new(0),
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
        self.within(SLOW, call)
    }

    /// Runs a slice of a longer call on the caller's task. It is meant to take as long as that by itself.
    pub(crate) fn slice<T>(&self, length: Duration, call: impl FnOnce() -> T) -> T {
        self.within(length + SLOW, call)
    }

    fn within<T>(&self, slow: Duration, call: impl FnOnce() -> T) -> T {
        if self.policy != IoPolicy::Auto {
            return call();
        }
        let Some(stands_for) = pace::turn() else { return call() };
        let before = Waits::now();
        let begun = Instant::now();
        let done = call();
        let took = begun.elapsed();
        if took > slow {
            pace::hurry();
            self.slow.fetch_add(u64::from(stands_for), Ordering::Relaxed);
            self.judge(before, Waits::now(), took, stands_for);
        }
        done
    }

    /// Decides what a slow call means for the next ones.
    #[cold]
    fn judge(&self, before: Option<Waits>, after: Option<Waits>, took: Duration, stands_for: u32) {
        let has_patience = match before.zip(after) {
            // Where the system does not tell why, every slow call is believed.
            None => false,
            Some((before, after)) if after.is_for_disk(before, took) => {
                let waited = took.max((took * stands_for).min(MOST_GUESSED));
                self.bear(self.millis() / WINDOW.as_millis() as u64, waited)
            }
            Some(_) => true,
        };
        if !has_patience {
            self.away_until.store(self.millis() + AWAY.as_millis() as u64, Ordering::Relaxed);
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

    /// About how many inline calls were slow.
    pub(crate) fn slow_calls(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    fn millis(&self) -> u64 {
        // At least 1: 0 means that calls are not away.
        self.start.elapsed().as_millis() as u64 + 1
    }
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
#[path = "io_tests.rs"]
mod tests;
