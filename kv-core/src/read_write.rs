use async_trait::async_trait;
use bytes::Bytes;

use crate::{IncomingValue, Result};

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
/// Every method is required, so a wrapper that forgets one does not compile. Limits are already checked.
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

    /// Creates or replaces the whole value (RW-2) and clears a deadline (TTL-3).
    ///
    /// No reader sees a mixture or a tail of an older, longer value. One that fails or is dropped leaves the old
    /// value or the new one, whole; a reader may see it before it is acknowledged (RW-6).
    async fn set(&self, key: &str, value: Bytes) -> Result<()>;

    /// Removes the entry; an absent key is `Ok` and changes nothing, and no other key is touched (RW-3).
    async fn delete(&self, key: &str) -> Result<()>;

    /// Whether [`get`](Self::get) would give a value at this instant (RW-4). Loads no value where the engine
    /// allows it.
    async fn exists(&self, key: &str) -> Result<bool>;
}
