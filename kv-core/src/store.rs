use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::flight::Flights;
use crate::{Bucket, Declared, Effect, Error, ErrorKind, Limits, Provider, Result};

/// An open store: a provider with its limits, as programs hold it.
///
/// A clone is cheap and is the same store. Dropping the last handle ends the store too, but only
/// [`close`](Self::close) says when that is done.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

pub(crate) struct Shared {
    provider: Arc<dyn Provider>,
    pub(crate) limits: Limits,
    pub(crate) flights: Arc<Flights>,
    pub(crate) permits: Arc<Permits>,
}

impl Store {
    /// Wraps a provider, with the contract's limits.
    pub fn new(provider: impl Provider) -> Self {
        Self::from_shared(Arc::new(provider))
    }

    /// Wraps a provider whose type is already erased.
    ///
    /// Wrap a provider once: vacancies and the count of cas handles live in the store, not in the provider.
    #[must_use]
    pub fn from_shared(provider: Arc<dyn Provider>) -> Self {
        Self(Arc::new(Shared { provider, limits: Limits::default(), flights: Arc::default(), permits: Arc::default() }))
    }

    /// The same provider with lower limits (LIM-1). Buckets opened before keep theirs.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if a limit is over the contract's.
    pub fn with_limits(&self, limits: Limits) -> Result<Self> {
        limits.check()?;
        Ok(Self(Arc::new(Shared {
            provider: Arc::clone(&self.0.provider),
            limits,
            flights: Arc::clone(&self.0.flights),
            permits: Arc::clone(&self.0.permits),
        })))
    }

    /// What the provider promises beyond what all of them do.
    #[must_use]
    pub fn declared(&self) -> Declared {
        self.0.provider.declared()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Opens the bucket `name`; see [`Provider::open_bucket`] for what that promises (BKT-1, BKT-2, BKT-4).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a name over the limit, and what the backend has.
    pub async fn open_bucket(&self, name: &str) -> Result<Bucket> {
        self.0.limits.bucket_name(name)?;
        let backing = self.0.provider.open_bucket(name).await?;
        Ok(Bucket::new(Arc::clone(&self.0), name, backing))
    }

    /// Lists exactly the buckets that hold at least one entry (BKT-3). Cost: linear in their number.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for names over the reply's limit, and what the backend has.
    pub async fn buckets(&self) -> Result<Vec<String>> {
        let names = self.0.provider.buckets().await?;
        self.0.limits.reply(names.iter().map(String::len).sum())?;
        Ok(names)
    }

    /// Removes the bucket's entries and nothing else in one atomic step; an absent bucket is `Ok` (BKT-3).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a name over the limit, and what the backend has.
    pub async fn drop_bucket(&self, name: &str) -> Result<()> {
        self.0.limits.bucket_name(name)?;
        self.0.provider.drop_bucket(name).await
    }

    /// Has the bucket's listings show entries that other clients of the backend made; gives how many were not listed.
    ///
    /// Cost: one pass over all keys of the backend.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where listings need no index, so that there is nothing to take up;
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a name over the limit, and what the backend has.
    pub async fn reindex(&self, bucket: &str) -> Result<u64> {
        self.0.limits.bucket_name(bucket)?;
        match self.0.provider.reindex() {
            Some(index) => index.reindex(bucket).await,
            None => {
                let text = "this provider lists its entries without an index, so there is nothing to take up";
                Err(Error::new(ErrorKind::Unsupported, Effect::None, text))
            }
        }
    }

    /// Makes `folder` a copy of the store, which stays in use meanwhile; the copy is a store like any other.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine can't copy itself while it runs;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if there is something at `folder` already, and what the
    /// engine has.
    pub async fn checkpoint(&self, folder: impl AsRef<Path>) -> Result<()> {
        match self.0.provider.checkpoint() {
            Some(engine) => engine.checkpoint(folder.as_ref()).await,
            None => {
                let text = format!("{} can't be copied while it runs; export it instead", self.declared().engine);
                Err(Error::new(ErrorKind::Unsupported, Effect::None, text))
            }
        }
    }

    /// Ends the store in order, after which it can be opened again at once (BKT-5, DUR-1). Handles that are left
    /// answer [`Unavailable`](crate::ErrorKind::Unavailable); closing twice is `Ok`.
    ///
    /// # Errors
    ///
    /// What the backend has, a failed last sync for one.
    pub async fn close(&self) -> Result<()> {
        self.0.provider.close().await
    }

    /// Facts about the store for people, in the order to show them.
    ///
    /// # Errors
    ///
    /// What the backend has.
    pub async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        self.0.provider.info().await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("declared", &self.declared()).finish_non_exhaustive()
    }
}

/// Counts a store's live cas handles (LIM-1).
#[derive(Default)]
pub(crate) struct Permits(AtomicUsize);

/// One live cas handle; gives its place back when dropped.
pub(crate) struct Permit(Arc<Permits>);

impl Permits {
    pub(crate) fn take(self: &Arc<Self>, most: usize) -> Result<Permit> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| (live < most).then_some(live + 1));
        match taken {
            Ok(_) => Ok(Permit(Arc::clone(self))),
            Err(live) => {
                Err(Error::limit("this store with one more", live as u64 + 1, most as u64, "live cas handles"))
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
