//! What all threads use at once without fighting over it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// Places. Each new thread takes the next one, so that threads share them once so many have begun.
const SHARDS: usize = 64;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's place.
    static PLACE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

/// A thing for each of those places.
pub(crate) struct Places<T>([CachePadded<T>; SHARDS]);

impl<T> Places<T> {
    pub(crate) fn new(make: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| CachePadded::new(make())))
    }

    /// This thread's.
    #[expect(clippy::indexing_slicing, reason = "a place is the remainder of a division by their number")]
    pub(crate) fn own(&self) -> &T {
        &self.0[PLACE.get()]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|place| &**place)
    }
}

/// Counts events that are too frequent for one shared number, for people: threads that share a place and meet there lose counts,
/// which spares all others an atomic step.
pub(crate) struct Tally(Places<AtomicU64>);

impl Default for Tally {
    fn default() -> Self {
        Self(Places::new(AtomicU64::default))
    }
}

impl Tally {
    pub(crate) fn note(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: usize) {
        let place = self.0.own();
        place.store(place.load(Ordering::Relaxed) + count as u64, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|place| place.load(Ordering::Relaxed)).sum()
    }
}
