//! Which calls of a thread are timed.

use std::cell::Cell;

/// One call in this many is timed, on average, and stands for those before it: looking at the clock and asking the
/// system before each would cost a fifth of a read.
pub(crate) const TIMED: u32 = 16;

/// Calls that are all timed after a slow one: where a few in a hundred wait for the disk, nearly all of the time may go
/// there.
pub(crate) const HURRIED: u32 = 64;

thread_local! {
    /// Calls until the next timed one.
    static LEFT: Cell<u32> = const { Cell::new(1) };
    /// From the timed call before to that one.
    static GAP: Cell<u32> = const { Cell::new(1) };
    /// Further calls that are timed, each for itself.
    static HURRY: Cell<u32> = const { Cell::new(0) };
    /// Of the random numbers.
    static SEED: Cell<u32> = const { Cell::new(0x9E37_79B9) };
}

/// Whether it is this call's turn to be timed, and then for how many it stands, itself among them.
#[inline]
pub(crate) fn turn() -> Option<u32> {
    let left = LEFT.get() - 1;
    LEFT.set(left);
    if left == 0 { Some(choose()) } else { None }
}

/// Chooses the next call by chance: a fixed gap would only ever see one of the calls that a loop makes by turns.
#[cold]
fn choose() -> u32 {
    // Xorshift, by Marsaglia.
    let mut seed = SEED.get();
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    SEED.set(seed);
    let hurry = HURRY.get();
    HURRY.set(hurry.saturating_sub(1));
    let gap = if hurry > 0 { 1 } else { 1 + seed % (2 * TIMED - 1) };
    LEFT.set(gap);
    GAP.replace(gap)
}

/// Has the next calls timed.
pub(crate) fn hurry() {
    LEFT.set(1);
    GAP.set(1);
    HURRY.set(HURRIED - 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_in_sixteen_is_timed_whatever_the_loop() {
        let turns = 1 << 16;
        for period in [1, 2, 4, 8, 16] {
            let mut timed = [0_usize; 16];
            let mut stood_for = 0;
            for turn in 0..turns {
                if let Some(calls) = super::turn() {
                    stood_for += calls as usize;
                    timed[turn % period] += 1;
                }
            }
            let fair = turns / period / TIMED as usize;
            for seen in timed.into_iter().take(period) {
                assert!((fair / 2..fair * 2).contains(&seen), "{seen} of a fair {fair}, one in {period}");
            }
            // All but those since the last timed one; and some before, of another test on this thread.
            assert!(stood_for.abs_diff(turns) < 2 * TIMED as usize);
        }
    }

    #[test]
    fn after_a_slow_call_the_next_are_timed_and_stand_for_themselves() {
        while turn().is_none() {}
        hurry();
        assert!((0..HURRIED).all(|_| turn() == Some(1)));
        assert!((0..HURRIED).any(|_| turn().is_none()));
    }
}
