use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{IncomingValue, Result};

/// Entries that expire.
///
/// From its deadline an entry is absent for every operation, listing and batch included; its storage is given
/// back within 60 s while the store is open, without a reader's help (TTL-2). Deadlines go by the wall clock of
/// the machine or of the server and survive a restart as the value does (TTL-1). Every write but `increment`
/// clears a deadline (TTL-3).
#[async_trait]
pub trait Cache: Send + Sync {
    /// Stores value and deadline in one atomic step (TTL-1). `ttl` is in whole milliseconds, from 1 ms to 10
    /// years.
    async fn set_with_ttl(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()>;

    /// How long the entry has left (TTL-3).
    async fn ttl(&self, key: &str) -> Result<Ttl>;

    /// Stores the value, with a deadline where `ttl` is given, if the key is absent, in one atomic step; reports
    /// the value found otherwise (TTL-4).
    ///
    /// The ground under [`Bucket::get_or_set`](crate::Bucket::get_or_set): across processes the first fill
    /// wins. Waiting within the process is the core's work.
    async fn fill(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill>;
}

/// How long an entry has left (TTL-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no entry.
    Absent,
    /// The entry has no deadline.
    Forever,
    /// The entry expires after this, at least 1 ms.
    Left(Duration),
}

/// How a fill ended (TTL-4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The value was stored.
    Stored,
    /// Another write came first; this is its value, and nothing was stored.
    Found(IncomingValue),
}
