//! A counter that threads do not fight over.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// Places to count in: threads that share one seldom run at once.
const SHARDS: usize = 16;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's place.
    static PLACE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

/// Counts events that are too frequent for one shared number.
#[derive(Default)]
pub(crate) struct Tally([CachePadded<AtomicU64>; SHARDS]);

impl Tally {
    pub(crate) fn note(&self) {
        if let Some(place) = self.0.get(PLACE.get()) {
            place.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn add(&self, count: usize) {
        if let Some(place) = self.0.get(PLACE.get()) {
            place.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|place| place.load(Ordering::Relaxed)).sum()
    }
}
