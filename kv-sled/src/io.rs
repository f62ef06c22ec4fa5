//! Where engine calls run: on the caller's task, or on the runtime's pool for blocking work (RUN-2).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};

/// A call that takes longer than this blocked on something.
const SLOW: Duration = Duration::from_micros(200);

/// How long calls stay off the runtime after a slow one.
const AWAY: Duration = Duration::from_secs(1);

/// Where calls run that could block (RUN-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoPolicy {
    /// Inline, until a call takes over 200 µs; then on the blocking pool for 1 s, then inline again. sled can't be
    /// asked beforehand whether a call would block.
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
    slow: AtomicU64,
}

impl Io {
    pub(crate) fn new(policy: IoPolicy) -> Self {
        Self { policy, start: Instant::now(), away_until: AtomicU64::new(0), slow: AtomicU64::new(0) }
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
        let begun = Instant::now();
        let done = call();
        if begun.elapsed() > SLOW {
            self.slow.fetch_add(1, Ordering::Relaxed);
            self.away_until.store(self.millis() + AWAY.as_millis() as u64, Ordering::Relaxed);
        }
        done
    }

    /// How many inline calls were slow.
    pub(crate) fn slow_calls(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    fn millis(&self) -> u64 {
        // At least 1: 0 means something else.
        self.start.elapsed().as_millis() as u64 + 1
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

    #[test]
    fn a_slow_call_sends_the_next_ones_away_for_a_while() {
        let io = Io::new(IoPolicy::Auto);
        io.inline(|| ());
        assert!(io.is_inline());
        io.inline(|| {
            let begun = Instant::now();
            while begun.elapsed() <= SLOW {}
        });
        assert!(!io.is_inline() && io.slow_calls() == 1);
        io.away_until.store(io.millis(), Ordering::Relaxed);
        assert!(io.is_inline() && io.is_inline());
        assert!(Io::new(IoPolicy::Inline).is_inline() && !Io::new(IoPolicy::Offload).is_inline());
    }
}
