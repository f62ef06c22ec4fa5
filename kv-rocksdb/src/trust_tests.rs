//! How trust is earned and lost, by meters that a test sets.

use std::sync::LazyLock;

use super::*;

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    /// What this thread's clock says, and by how much each look at it moves it on.
    static CLOCK: Cell<(Duration, Duration)> = const { Cell::new((Duration::ZERO, Duration::ZERO)) };
    static WAITS: Cell<i64> = const { Cell::new(0) };
}

/// Reads take as long as [`reads_take`] says, and have not waited by the system's account.
pub(crate) fn meters() -> Meters {
    Meters {
        clock: || {
            let (now, step) = CLOCK.get();
            CLOCK.set((now + step, step));
            *BEGUN + now
        },
        waits: || Some((WAITS.get(), 0)),
    }
}

/// How long each read of this thread takes from now on.
pub(crate) fn reads_take(step: Duration) {
    CLOCK.set((CLOCK.get().0, step));
}

pub(crate) fn enough(trust: &Trust) {
    while !trust.is_enough() {
        trust.earn();
    }
}

fn single() -> Trust {
    Trust::of_single_reads(meters())
}

fn read_on_task(trust: &Trust, took: Duration) {
    reads_take(took);
    trust.time_on_task(|| ());
}

const SHORT: Duration = Duration::from_micros(10);
const SLOW: Duration = Duration::from_micros(201);

#[test]
fn trust_is_earned_slowly_and_lost_fast() {
    let trust = single();
    for _ in 1..ENOUGH {
        trust.watch(|| ());
    }
    assert!(!trust.is_enough());
    trust.watch(|| ());
    assert!(trust.is_enough());
    read_on_task(&trust, SLOW);
    assert!(!trust.is_enough());
    // Of many reads that hold the task up some, only a few run there.
    let mut slow = 0;
    const READS: i32 = 1_000_000;
    for n in 0..READS {
        let is_slow = n % 50 == 0;
        if trust.is_enough() {
            slow += i32::from(is_slow);
            read_on_task(&trust, if is_slow { SLOW } else { SHORT });
        } else {
            trust.watch(|| WAITS.set(WAITS.get() + i64::from(is_slow)));
        }
    }
    assert!(slow <= READS / ENOUGH, "{slow}");
}

#[test]
fn it_stays_over_a_few_that_only_look_slow() {
    let trust = single();
    for _ in 0..2 * MOST * ENOUGH {
        read_on_task(&trust, SHORT);
    }
    for _ in 0..3 {
        read_on_task(&trust, SLOW);
    }
    assert!(trust.is_enough());
    read_on_task(&trust, SLOW);
    assert!(!trust.is_enough());
}

#[test]
fn a_read_that_waited_earns_nothing() {
    let trust = Trust::of_single_reads(Meters::default());
    enough(&trust);
    trust.watch(|| std::process::Command::new("true").status().unwrap());
    assert!(!trust.is_enough());
}

#[test]
fn each_read_that_holds_a_task_up_is_paid_for() {
    let trust = single();
    enough(&trust);
    reads_take(SLOW);
    // Three are under way before the first of them ends.
    trust.time_on_task(|| trust.time_on_task(|| trust.time_on_task(|| ())));
    for _ in 1..3 * ENOUGH {
        trust.earn();
    }
    assert!(!trust.is_enough());
    trust.earn();
    assert!(trust.is_enough());
}

#[test]
fn waiting_on_the_pool_leaves_no_debt() {
    let trust = single();
    for _ in 0..3 {
        trust.watch(|| WAITS.set(WAITS.get() + 1));
    }
    assert_eq!(trust.earned.load(Ordering::Relaxed), 0);
}

#[test]
fn threads_that_meet_lose_no_step() {
    let trust = single();
    enough(&trust);
    let has_met = Cell::new(false);
    trust.step(|earned| {
        // Another thread's read waits, between this one's look and its step.
        if !has_met.replace(true) {
            trust.owe(1);
        }
        Some(earned + 1)
    });
    assert_eq!(trust.earned.load(Ordering::Relaxed), 1);
}

#[test]
fn reads_of_many_are_judged_by_the_clock_too() {
    let trust = Trust::of_reads_of_many(meters());
    let read = |took, waits| {
        enough(&trust);
        reads_take(took);
        let _ = trust.watch_on_task(|| {
            WAITS.set(WAITS.get() + waits);
            Ok(())
        });
        trust.is_enough()
    };
    assert!(read(LONG_OF_MANY, 0));
    // What the first one earned must not hide that the others lose.
    trust.earned.store(0, Ordering::Relaxed);
    assert!(!read(LONG_OF_MANY + SHORT, 0));
    trust.earned.store(0, Ordering::Relaxed);
    assert!(!read(SHORT, 1));
}

#[test]
fn one_that_gave_up_earns_nothing() {
    let trust = Trust::of_reads_of_many(meters());
    reads_take(SHORT);
    let _ = trust.watch_on_task(|| Err::<(), _>(Fault::Alone));
    assert_eq!(trust.earned.load(Ordering::Relaxed), 0);
    let _ = trust.watch_on_task(|| Ok(()));
    assert_eq!(trust.earned.load(Ordering::Relaxed), 1);
    // It may have waited before it did.
    reads_take(LONG_OF_MANY + SHORT);
    let _ = trust.watch_on_task(|| Err::<(), _>(Fault::Alone));
    assert_eq!(trust.earned.load(Ordering::Relaxed), 1 - ENOUGH_OF_MANY);
}

#[test]
fn a_read_of_many_pays_for_each_time_that_it_waited() {
    let trust = Trust::of_reads_of_many(meters());
    let earned_by_waiting = |waits| {
        trust.earned.store(ENOUGH_OF_MANY, Ordering::Relaxed);
        reads_take(LONG_OF_MANY + SHORT);
        let _ = trust.watch_on_task(|| {
            WAITS.set(WAITS.get() + waits);
            Ok(())
        });
        trust.earned.load(Ordering::Relaxed)
    };
    assert_eq!(earned_by_waiting(1), 0);
    assert_eq!(earned_by_waiting(100), -99 * ENOUGH_OF_MANY);
    assert_eq!(earned_by_waiting(1_000_000), (1 - MOST_OWED as i32) * ENOUGH_OF_MANY);
}
