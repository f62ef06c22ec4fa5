//! How much of a task's budget short calls use up (RUN-2).
//!
//! A runtime lets a task go on for so many units, tokio for 128, and then takes its turn away. To come back costs tens of
//! microseconds where another thread sleeps and is woken for it, so a unit for each call of less than a microsecond would cost
//! more than a tenth of the time. Calls pay by the time that they take instead, within bounds: at most a unit each.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Calls between two looks at the clock, which costs about as much as a hundredth of them.
const CALLS: u32 = 20;

/// What a unit stands for: with tokio's budget a turn of calls that take no longer lasts 640 µs, under the 1 ms that a poll may
/// last.
const UNIT: Duration = Duration::from_micros(5);

/// Units for that many calls: enough that a turn ends after 853 of the shortest, and at most one for each, for the time between
/// two calls may have been anybody's. A call of which a provider knows that it took longer has to pay for the rest itself.
const LEAST: u32 = 3;
const MOST: u32 = CALLS;

thread_local! {
    /// Calls of this thread since it last looked at the clock.
    static COUNTED: Cell<u32> = const { Cell::new(0) };
    /// What the clock said then.
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Counts a short call of this thread, and says whether [`units_due`] has units to use up for it and those before it. Mostly
/// not.
#[must_use = "units may be due"]
#[inline]
pub fn is_due() -> bool {
    let calls = COUNTED.get() + 1;
    COUNTED.set(calls);
    calls >= CALLS
}

/// The units of the task's budget to use up for the calls that were counted. They count as paid.
#[must_use = "the units have to be used up"]
pub fn units_due() -> u32 {
    let now = Instant::now();
    COUNTED.set(0);
    LOOKED.replace(Some(now)).map_or(MOST, |since| units(now - since))
}

/// The units for [`CALLS`] calls that took so long.
fn units(took: Duration) -> u32 {
    let units = took.as_nanos() / UNIT.as_nanos();
    u32::try_from(units).unwrap_or(MOST).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_pay_by_their_time() {
        let each = |micros| units(Duration::from_micros(micros) * CALLS);
        assert_eq!([0, 1, 2, 3, 5, 100].map(each), [LEAST, 4, 8, 12, MOST, MOST]);
        assert_eq!(units(Duration::MAX), MOST);
    }

    /// Even if the clock stood still. Where calls take longer turns are shorter, so nothing here depends on the machine.
    #[test]
    fn the_shortest_calls_end_a_turn_too() {
        const TURN_UNITS: u32 = 128;
        let mut used = 0;
        let ends = (1..10_000).find(|_| {
            if is_due() {
                used += units_due();
            }
            used >= TURN_UNITS
        });
        assert!(ends.is_some_and(|calls| calls <= 860), "{ends:?}");
    }
}
