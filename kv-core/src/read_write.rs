use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{IncomingValue, Result};

/// A call that was begun: it has ended already, or goes on as a future.
///
/// Calls that memory answers are so short that a future on the heap for each would be a tenth of them.
#[must_use = "the call may not have ended"]
pub enum Begun<'a, T> {
    /// What it gave.
    Done(Result<T>),
    /// The rest of it.
    Pending(Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>),
}

impl<T> Begun<'_, T> {
    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// What the call has.
    #[inline]
    pub async fn end(self) -> Result<T> {
        match self {
            Self::Done(result) => result,
            Self::Pending(rest) => rest.await,
        }
    }
}

/// Reads and writes of single entries.
///
/// Operations on one key are linearizable where the provider declares so; elsewhere a handle reads its own
/// writes (RW-5). Keys are UTF-8 strings, kept byte for byte, the empty one included (NAM-1, NAM-2).
///
/// # For callers
///
/// Hold a [`Bucket`](crate::Bucket); it clones cheaply and carries the conveniences.
///
/// # For implementors
///
/// Limits are already checked. A wrapper that forgets a method does not compile; [`begin_get`](Self::begin_get) and
/// [`begin_set`](Self::begin_set), which have bodies, go by way of the wrapper's own [`get`](Self::get) and [`set`](Self::set).
#[async_trait]
pub trait ReadWrite: Send + Sync {
    /// Reads the value under `key`, or `None` where it is absent; the empty value is a value (RW-1).
    ///
    /// Cost: one round trip; the whole value is buffered, at most
    /// [`Limits::value_bytes`](crate::Limits::value_bytes) bytes.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if no answer came in time. A read may always be tried
    /// again.
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>>;

    /// Begins [`get`](Self::get), and ends it where nothing has to be waited for. [`Bucket`](crate::Bucket) reads by it.
    ///
    /// For providers that hold data in memory; everybody else keeps the body that is here. It must use up the cooperative
    /// budget as other calls do (RUN-2), and do nothing more than a poll may. Whoever has `get` go by way of this function must
    /// write it too: by the body that is here each of the two would call the other without end.
    fn begin_get<'a>(&'a self, key: &'a str) -> Begun<'a, Option<IncomingValue>> {
        Begun::Pending(self.get(key))
    }

    /// Creates or replaces the whole value (RW-2) and clears a deadline (TTL-3).
    ///
    /// No reader sees a mixture or a tail of an older, longer value. One that fails or is dropped leaves the old
    /// value or the new one, whole; a reader may see it before it is acknowledged (RW-6).
    async fn set(&self, key: &str, value: Bytes) -> Result<()>;

    /// Begins [`set`](Self::set), as [`begin_get`](Self::begin_get) begins `get`, and with the same trap.
    ///
    /// Unlike a future, which does nothing until it is polled, this may have written when it returns, also where it gives
    /// [`Begun::Pending`], which may only wait for the acknowledgement. To drop that is to drop the call: the old value or
    /// the new one stands there, whole (RW-6).
    fn begin_set<'a>(&'a self, key: &'a str, value: Bytes) -> Begun<'a, ()> {
        Begun::Pending(self.set(key, value))
    }

    /// Removes the entry; an absent key is `Ok` and changes nothing, and no other key is touched (RW-3).
    async fn delete(&self, key: &str) -> Result<()>;

    /// Whether [`get`](Self::get) would give a value at this instant (RW-4). Loads no value where the engine
    /// allows it.
    async fn exists(&self, key: &str) -> Result<bool>;
}
