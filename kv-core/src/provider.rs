use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Atomic, Batch, Cache, Declared, ReadWrite, Result, Watch};

/// Something that opens buckets: one engine, folder, server or cluster.
///
/// # For callers
///
/// Wrap it in a [`Store`](crate::Store), which checks limits and carries the conveniences.
///
/// # For implementors
///
/// Every method is required, so a wrapper that forgets one does not compile. Names and keys are within limits
/// when they arrive.
///
/// - Every future may be dropped at any await (CAN-1): an entry then holds its old value or its new one, whole
///   (RW-6), the handle works on, no lock stays held, no other caller gets the reply, nothing is retried.
/// - Everything works on current-thread and multi-thread tokio runtimes, from a runtime other than the one that
///   made the handle, and after that one has ended (RUN-1).
/// - One poll lasts at most 1 ms at p99.9, and calls that are ready at once use up the runtime's cooperative
///   budget (RUN-2).
/// - No write is repeated once its bytes may have left (ERR-6).
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// What this provider promises beyond what all of them do. The same at each call.
    fn declared(&self) -> Declared;

    /// Opens the bucket `name`.
    ///
    /// Cheap and idempotent; creates nothing that another handle can see (BKT-1), and its cost does not grow
    /// with the number of buckets. Two handles on one name are one bucket (BKT-2). Dropping one disturbs no
    /// other and leaves nothing behind (BKT-4). Every UTF-8 string is a name, kept byte for byte, the empty one
    /// included (NAM-1, NAM-2); the map from (bucket, key) to storage is injective (NAM-3).
    ///
    /// # Errors
    ///
    /// [`AccessDenied`](crate::ErrorKind::AccessDenied) or [`Unavailable`](crate::ErrorKind::Unavailable), as
    /// the backend has it.
    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>>;

    /// Lists exactly the buckets that hold at least one entry, each once (BKT-3).
    ///
    /// Cost: linear in the number of buckets.
    async fn buckets(&self) -> Result<Vec<String>>;

    /// Removes all entries of the bucket `name` and nothing else, in one atomic step, without stalling other
    /// callers (BKT-3).
    ///
    /// An absent bucket is `Ok`. Handles opened before stay valid and see the empty bucket; their next write
    /// makes it exist again; live cas handles on it fail. Space is given back in the background. Watchers of
    /// the bucket get [`Event::Dropped`](crate::Event::Dropped) if it held an entry.
    async fn drop_bucket(&self, name: &str) -> Result<()>;

    /// Ends the store in order: what was acknowledged is kept (DUR-1), and once this returns the store can be
    /// opened again at once (BKT-5).
    ///
    /// Handles that are left answer [`Unavailable`](crate::ErrorKind::Unavailable). Closing twice is `Ok`.
    async fn close(&self) -> Result<()>;

    /// Facts about the store for people, in the order to show them: size, cache hits, stalls.
    async fn info(&self) -> Result<Vec<(&'static str, String)>>;

    /// Listing what other clients of the backend made, where the provider keeps an index of its own for listings.
    fn reindex(&self) -> Option<&dyn Reindex>;

    /// Copying the store while it is in use, where the engine can.
    fn checkpoint(&self) -> Option<&dyn Checkpoint>;
}

/// Taking up entries that other clients of the backend made without telling the provider's index.
#[async_trait]
pub trait Reindex: Send + Sync {
    /// Has every entry of the bucket listed, and gives how many were not.
    ///
    /// May be called at any time, also beside writers. Cost: one pass over all keys of the backend, not of the bucket.
    ///
    /// # Errors
    ///
    /// What the backend has. What was taken up before stays listed; the call may be made again.
    async fn reindex(&self, bucket: &str) -> Result<u64>;
}

/// Copying a store while it is in use.
#[async_trait]
pub trait Checkpoint: Send + Sync {
    /// Makes `folder` a copy of the store: one state that it had while this call ran, every write in it that was
    /// acknowledged before, and no part of a batch. The copy is a store like any other.
    ///
    /// Stalls no other caller. Cost: what the engine shares between the two by hard links costs nothing, so a copy on
    /// the same file system is cheap; else as many bytes as the store has.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if there is something at `folder` already, or no folder
    /// to make it in; what the engine has. A call that fails leaves nothing at `folder`.
    async fn checkpoint(&self, folder: &Path) -> Result<()>;
}

/// One bucket, as a provider hands it out.
///
/// An optional power is present exactly if [`Declared`] says so (ERR-5).
pub trait ProviderBucket: ReadWrite + Batch + Send + Sync + 'static {
    /// Atomic changes of single entries, where the provider has them.
    fn atomic(&self) -> Option<&dyn Atomic>;

    /// Entries that expire, where the provider has them.
    fn cache(&self) -> Option<&dyn Cache>;

    /// A stream of changes, where the provider has it.
    fn watch(&self) -> Option<&dyn Watch>;
}
