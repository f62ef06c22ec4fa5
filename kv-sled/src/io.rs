//! Where engine calls run: on the caller's task, or on the runtime's pool for blocking work (RUN-2).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};

/// A call that takes longer than this blocked on something.
const SLOW: Duration = Duration::from_micros(200);

/// How long calls stay off the runtime after one that blocked.
const AWAY: Duration = Duration::from_secs(1);

/// How long after a slow call the next ones are watched for why they are slow.
const SUSPICION: Duration = Duration::from_millis(5);

/// Watched calls that wait, each within [`SUSPICION`] of the one before, after which calls stay away. One or two also
/// wait on a lock whose holder lost its core; a slow disk goes on.
const WAITS: u32 = 4;

/// Where calls run that could block (RUN-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoPolicy {
    /// Inline, until calls take over 200 µs because they wait; then on the blocking pool for 1 s, then inline again.
    /// sled can't be asked beforehand whether a call would block. A call that only lost its core to another thread
    /// is no sign of a slow disk, and the pool would make it worse.
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
    /// Watched calls that waited.
    waits: AtomicU32,
    slow: AtomicU64,
}

impl Io {
    pub(crate) fn new(policy: IoPolicy) -> Self {
        Self {
            policy,
            start: Instant::now(),
            away_until: AtomicU64::new(0),
            watch_until: AtomicU64::new(0),
            waits: AtomicU32::new(0),
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

    /// Runs a call on the caller's task and learns from how long it took.
    pub(crate) fn inline<T>(&self, call: impl FnOnce() -> T) -> T {
        if self.policy != IoPolicy::Auto {
            return call();
        }
        let waits = if self.is_watching() { voluntary_waits() } else { None };
        let begun = Instant::now();
        let done = call();
        if begun.elapsed() > SLOW {
            self.judge(waits);
        }
        done
    }

    /// Decides what a slow call means: the first of a few has the next ones watched, for asking the system before
    /// each call would cost a fifth of a read; one that was watched and waited sends the calls away.
    fn judge(&self, before: Option<i64>) {
        self.slow.fetch_add(1, Ordering::Relaxed);
        match (before, voluntary_waits()) {
            (Some(before), Some(after)) if before == after => return,
            (None, Some(_)) => self.waits.store(0, Ordering::Relaxed),
            (Some(_), Some(_)) if self.waits.fetch_add(1, Ordering::Relaxed) + 1 < WAITS => {}
            _ => {
                self.away_until.store(self.millis_after(AWAY), Ordering::Relaxed);
                return;
            }
        }
        self.watch_until.store(self.millis_after(SUSPICION), Ordering::Relaxed);
    }

    fn is_watching(&self) -> bool {
        match self.watch_until.load(Ordering::Relaxed) {
            0 => false,
            until if self.millis() < until => true,
            until => {
                let _ = self.watch_until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
                false
            }
        }
    }

    /// How many inline calls were slow.
    pub(crate) fn slow_calls(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    fn millis_after(&self, wait: Duration) -> u64 {
        self.millis() + wait.as_millis() as u64
    }

    fn millis(&self) -> u64 {
        // At least 1: 0 means something else.
        self.start.elapsed().as_millis() as u64 + 1
    }
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
        // The clock of the first has to run out before the second only on a machine that stands still for 5 ms.
        while io.is_inline() {
            io.inline(block);
        }
        assert!(io.slow_calls() > u64::from(WAITS));
        io.away_until.store(io.millis(), Ordering::Relaxed);
        assert!(io.is_inline() && io.is_inline());
        assert!(Io::new(IoPolicy::Inline).is_inline() && !Io::new(IoPolicy::Offload).is_inline());
    }

    #[test]
    fn a_call_that_only_lost_its_core_changes_nothing() {
        let io = Io::new(IoPolicy::Auto);
        for _ in 0..10 {
            io.inline(spin);
        }
        assert!(io.is_inline() && io.slow_calls() == 10);
    }
}
