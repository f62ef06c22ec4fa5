use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::data::now;
use crate::engine::{Engine, SWEEP_ROWS};

/// The longest sleep: the wall clock may jump, and expired entries must be gone within 60 s (TTL-2).
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Wakes the sweeper for the earliest deadline. The thread starts with the first one and ends with the store.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    started: bool,
    stopped: bool,
    /// The earliest deadline known, in milliseconds since 1970.
    next: Option<u64>,
}

impl Bell {
    /// Tells of a deadline.
    pub(crate) fn ring(self: &Arc<Self>, engine: &Arc<Engine>, deadline: u64) {
        let mut state = self.state.lock();
        if state.next.is_none_or(|next| deadline < next) {
            state.next = Some(deadline);
            self.rung.notify_one();
        }
        if !state.started && !state.stopped {
            let (bell, engine) = (Arc::clone(self), Arc::downgrade(engine));
            // Without a thread readers are still exact; the next deadline tries again.
            let thread = std::thread::Builder::new().name("kv-memory-sweeper".to_owned());
            state.started = thread.spawn(move || bell.sweep_until_stopped(&engine)).is_ok();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.rung.notify_one();
    }

    fn sweep_until_stopped(&self, engine: &Weak<Engine>) {
        while self.wait_until_due() {
            let Some(engine) = engine.upgrade() else { return };
            let Some(mut step) = engine.write_blocking() else { return };
            step.sweep(SWEEP_ROWS);
            let next = step.data.next_deadline();
            // Under the store's lock: a deadline told after this look is not overwritten by it.
            self.state.lock().next = next;
        }
    }

    /// Sleeps until a deadline has passed; false once the store has ended.
    fn wait_until_due(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return false;
            }
            let left = state.next.map_or(LONGEST_SLEEP, |next| Duration::from_millis(next.saturating_sub(now())));
            if left.is_zero() {
                return true;
            }
            self.rung.wait_for(&mut state, left.min(LONGEST_SLEEP));
        }
    }
}
