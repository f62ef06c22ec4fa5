use super::*;
use crate::pace::TIMED;

const NONE: Waits = Waits { waits: 3, reads: 8 };
const LOCKED: Waits = Waits { waits: 5, ..NONE };
const READ: Waits = Waits { reads: 16, ..LOCKED };

/// Notes a slow call as `inline` does.
fn slow(io: &Io, after: Waits, took: Duration, stands_for: u32) {
    io.judge(Some(NONE), Some(after), took, stands_for);
}

fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() <= time {}
}

#[test]
fn policies_say_where_calls_run() {
    assert!(Io::new(IoPolicy::Auto).is_inline() && Io::new(IoPolicy::Inline).is_inline());
    assert!(!Io::new(IoPolicy::Offload).is_inline());
    assert!(!Io::new(IoPolicy::Inline).may_offload() && Io::new(IoPolicy::Auto).may_offload());
}

#[test]
fn a_call_that_stands_for_many_does_not_decide_alone() {
    let io = Io::new(IoPolicy::Auto);
    slow(&io, READ, PATIENCE / 5, 2 * TIMED);
    assert!(io.is_inline());
    // But one that took as long as there is patience does.
    slow(&io, READ, PATIENCE, 1);
    assert!(!io.is_inline());
}

#[test]
fn waits_are_added_up_in_a_window_and_not_beyond() {
    let io = Io::new(IoPolicy::Auto);
    assert!(io.bear(7, PATIENCE / 2));
    assert!(!io.bear(7, PATIENCE / 2));
    assert!(io.bear(8, PATIENCE / 2));
}

#[test]
fn only_what_waits_for_the_disk_counts() {
    let io = Io::new(IoPolicy::Auto);
    for _ in 0..1_000 {
        // It lost its core; it waited for another call.
        slow(&io, NONE, PATIENCE, 1);
        slow(&io, LOCKED, LONG_WAIT / 2, TIMED);
    }
    assert!(io.is_inline());
    slow(&io, LOCKED, PATIENCE, 1);
    assert!(!io.is_inline());
}

/// Calls of 1 ms, each the only one timed in 16: so many until they leave.
fn calls_until_away(after: Waits, stands_for: u32) -> Option<u32> {
    let io = Io::new(IoPolicy::Auto);
    // All in one window, but for a machine that stands still.
    (1..10_000).find(|_| {
        slow(&io, after, Duration::from_millis(1), stands_for);
        !io.is_inline()
    })
}

#[test]
fn short_waits_count_if_something_was_read_and_for_those_that_were_not_timed() {
    assert_eq!(calls_until_away(LOCKED, TIMED), None);
    let (alone, for_many) = (calls_until_away(READ, 1).unwrap(), calls_until_away(READ, TIMED).unwrap());
    assert!(alone >= 100 && (7..alone / 4).contains(&for_many), "{alone} by themselves, {for_many} for 16");
}

#[test]
fn a_slow_call_that_nobody_can_explain_is_believed() {
    for (before, after) in [(None, None), (None, Some(READ)), (Some(NONE), None)] {
        let io = Io::new(IoPolicy::Auto);
        io.judge(before, after, SLOW, 1);
        assert!(!io.is_inline());
    }
}

#[test]
fn calls_come_back_after_a_while() {
    let io = Io::new(IoPolicy::Auto);
    slow(&io, READ, PATIENCE, 1);
    assert!(!io.is_inline());
    io.away_until.store(io.millis(), Ordering::Relaxed);
    assert!(io.is_inline() && io.is_inline());
}

#[test]
fn a_slice_that_takes_its_time_is_not_slow() {
    let io = Io::new(IoPolicy::Auto);
    for _ in 0..4 * TIMED {
        io.slice(Duration::from_secs(60), || spin(2 * SLOW));
    }
    assert_eq!(io.slow_calls(), 0);
}

#[test]
fn each_call_after_a_slow_one_is_timed() {
    let io = Io::new(IoPolicy::Auto);
    let calls = 8 * TIMED;
    for _ in 0..calls {
        io.inline(|| spin(SLOW));
    }
    // The first timed one stands for those before it, be they of another test on this thread.
    assert!((u64::from(calls)..u64::from(calls + 2 * TIMED)).contains(&io.slow_calls()), "{}", io.slow_calls());
    assert!(io.is_inline() || cfg!(not(target_os = "linux")));
}

/// The whole way, with the waits of real calls: those of a disk that takes 11 ms for each.
#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_is_waited_for_all_the_time_sends_calls_away() {
    let io = Io::new(IoPolicy::Auto);
    let wait = || std::thread::sleep(LONG_WAIT + Duration::from_millis(1));
    // The first timed call comes after 31 at the latest; then all are, and ten of them fill half a window. Or the
    // second window, if the first one ends between.
    let calls = (1..=80).find(|_| {
        io.inline(wait);
        !io.is_inline()
    });
    assert!(calls.is_some(), "80 calls of 11 ms were borne");
}
