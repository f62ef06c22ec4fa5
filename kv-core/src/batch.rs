use async_trait::async_trait;
use bytes::Bytes;

use crate::{IncomingValue, Result};

/// Many entries in one call, and the listing of keys.
///
/// Where [`Declared::batches`](crate::Declared::batches) is [`Atomic`](crate::Batches::Atomic) no reader sees
/// part of a batch, nor does a crash leave part (BAT-4). Over 1,024 entries or 1 MiB a batch is applied off the
/// runtime and other calls wait as futures. A failed batch that is not atomic has
/// [`Effect::Unknown`](crate::Effect::Unknown) unless nothing was sent.
///
/// # For implementors
///
/// An empty batch never arrives here (BAT-3); limits are already checked.
#[async_trait]
pub trait Batch: Send + Sync {
    /// Reads many keys: as many results as keys, in the order asked, duplicates repeated, absent is `None`
    /// (BAT-1).
    ///
    /// `budget` is the most bytes of values that the reply may hold: a provider stops reading there.
    ///
    /// # Errors
    ///
    /// [`Error::reply_limit`](crate::Error::reply_limit) of `budget` if the values hold more.
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>>;

    /// Writes many entries; of a repeated key the last counts (BAT-2). Clears deadlines (TTL-3).
    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()>;

    /// Removes many entries; absent and repeated keys are passed over (BAT-2).
    async fn delete_many(&self, keys: &[&str]) -> Result<()>;

    /// Reads one page of the bucket's keys (LST-1).
    ///
    /// A page's cost does not grow with its depth or with other buckets' size (LST-2); it loads no values, and
    /// holds up other callers for no longer than one page takes (LST-3).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a cursor that is not of this bucket and
    /// provider (LST-2).
    async fn keys(&self, request: PageRequest<'_>) -> Result<Page>;
}

/// Which page of keys is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Where the page before ended; `None` begins. Rubbish is possible.
    pub cursor: Option<&'a str>,
    /// The most keys that the page holds; at least 1.
    pub limit: usize,
    /// Bytes of keys at which the page ends early, though never before its first key.
    pub budget: usize,
}

/// A page of keys (LST-1).
///
/// Over a whole listing every key present throughout is returned at least once, with no concurrent writer
/// exactly once, and a key never written never. No order is promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys; possibly none although the listing goes on.
    pub keys: Vec<String>,
    /// Where to go on; `None` ends the listing. Opaque text, valid for its bucket and provider, across handles
    /// and restarts (LST-2).
    pub cursor: Option<String>,
}
