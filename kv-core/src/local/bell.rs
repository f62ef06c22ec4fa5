use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest sleep: the wall clock may be set, and expired entries must be gone within 60 s (TTL-2).
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Wakes the thread that gives storage back: when it is told of work, and when the earliest deadline has come.
#[derive(Default)]
pub struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    /// There is work besides deadlines.
    rung: bool,
    /// The earliest deadline known, in milliseconds since 1970.
    next: Option<u64>,
}

impl Bell {
    /// Tells of work to be done soon.
    pub fn ring(&self) {
        self.lock().rung = true;
        self.rung.notify_one();
    }

    /// Tells of a deadline.
    pub fn at(&self, deadline: u64) {
        let mut state = self.lock();
        if state.next.is_none_or(|next| deadline < next) {
            state.next = Some(deadline);
            self.rung.notify_one();
        }
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.rung.notify_one();
    }

    /// Waits for work; false once the store has ended.
    pub fn wait(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return false;
            }
            let now = now();
            if state.rung || state.next.is_some_and(|next| next <= now) {
                state.rung = false;
                // The deadlines told from now on count; the sweep finds those of before.
                state.next = None;
                return true;
            }
            let sleep = state.next.map_or(LONGEST_SLEEP, |next| Duration::from_millis(next - now));
            let woken = self.rung.wait_timeout(state, sleep.min(LONGEST_SLEEP));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a while, or until the store ends; false if it has.
    pub fn pause(&self, length: Duration) -> bool {
        let paused = self.rung.wait_timeout_while(self.lock(), length, |state| !state.stopped);
        !paused.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds of the machine's wall clock (TTL-1).
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_wakes_for_work_for_deadlines_and_for_the_end() {
        let bell = Bell::default();
        bell.ring();
        assert!(bell.wait());
        bell.at(now() + 3_600_000);
        bell.at(now() + 1);
        assert!(bell.wait() && bell.pause(Duration::from_millis(1)));
        bell.stop();
        assert!(!bell.wait() && !bell.pause(Duration::from_secs(3_600)));
    }
}
