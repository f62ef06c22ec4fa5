use async_trait::async_trait;
use bytes::Bytes;

use crate::{IncomingValue, Result};

/// Atomic changes of single entries.
#[async_trait]
pub trait Atomic: Send + Sync {
    /// Adds `delta` to the counter under `key` in one atomic step and returns the new value (ATM-1).
    ///
    /// An absent key counts as 0, also for delta 0, which then stores `0`. A counter is stored as canonical
    /// decimal text within `i64` (ATM-2). A deadline stays (TTL-3).
    ///
    /// # Errors
    ///
    /// [`NotANumber`](crate::ErrorKind::NotANumber) if the value is not such text,
    /// [`Overflow`](crate::ErrorKind::Overflow) if the result is outside `i64`; the value stays (ATM-3).
    /// [`local::counter`](crate::local::counter) reads and adds as the clauses say.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64>;

    /// Compares the value's bytes with `expected`, where `None` is absence, and stores `new`, or removes where
    /// that is `None`, in one atomic step; or reports the value found (CAS-1). Clears a deadline (TTL-3).
    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap>;

    /// Takes a versioned guard on `key` (CAS-2).
    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>>;
}

/// How a [`compare_and_swap`](Atomic::compare_and_swap) ended (CAS-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The value was the expected one and was replaced.
    Swapped,
    /// The value was another, this one; nothing was written.
    Found(Option<IncomingValue>),
}

/// A provider's side of a [`Cas`](crate::Cas) handle: one key as it was at one instant (CAS-2).
///
/// Dropping a guard leaves nothing behind, and guards on different keys do not disturb one another (CAS-3).
#[async_trait]
pub trait Guard: Send + Sync {
    /// The value when the guard was taken, `None` where the key was absent.
    fn current(&self) -> Option<&IncomingValue>;

    /// Stores `value` if and only if no write was applied to the key since the guard was taken, by any client.
    ///
    /// A write stores, removes or expires the entry or changes its deadline, the same bytes and `increment` by 0
    /// included; deleting an absent key, a failed swap and a failed increment are none. A guard lost with its
    /// connection, its primary or its process counts as a write (CAS-2). Never retried (CAS-3). Clears a
    /// deadline (TTL-3).
    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap>;
}

/// How a guard's swap ended (CAS-3).
pub enum GuardSwap {
    /// The value was stored; it is what a reader sees.
    Swapped,
    /// A write came first; nothing was stored. The fresh guard's `current` is the value that won.
    Lost(Box<dyn Guard>),
}
