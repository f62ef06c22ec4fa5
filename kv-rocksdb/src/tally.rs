//! A counter that threads do not fight over.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// Places to count in. Threads have one each, unless there are more.
const SHARDS: usize = 64;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's place.
    static PLACE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

/// Counts events that are too frequent for one shared number, for people: two threads that share a place and meet there lose a
/// count, which spares all others an atomic step.
pub(crate) struct Tally([CachePadded<AtomicU64>; SHARDS]);

impl Default for Tally {
    fn default() -> Self {
        Self(std::array::from_fn(|_| CachePadded::default()))
    }
}

impl Tally {
    pub(crate) fn note(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: usize) {
        if let Some(place) = self.0.get(PLACE.get()) {
            place.store(place.load(Ordering::Relaxed) + count as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|place| place.load(Ordering::Relaxed)).sum()
    }
}
