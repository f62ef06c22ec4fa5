//! One run of the command: which store it works on, and where its output goes.

use kv::Store;

use crate::exit::Failure;
use crate::output::Output;

/// The store where neither `--store` nor `KV_STORE` names one.
pub(crate) const DEFAULT_STORE: &str = "sled:./kv-data";

/// What every command is given.
pub(crate) struct Session {
    /// What `--store` or `KV_STORE` said.
    pub(crate) url: Option<String>,
    pub(crate) out: Output,
}

impl Session {
    pub(crate) fn url(&self) -> &str {
        self.url.as_deref().unwrap_or(DEFAULT_STORE)
    }

    /// Works on the store and closes it; makes it where it is not there.
    pub(crate) async fn create<T>(
        &mut self,
        work: impl AsyncFnOnce(&Store, &mut Output) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let store = open(self.url()).await?;
        self.work(store, work).await
    }

    /// Works on the store and closes it; fails where it is not there.
    pub(crate) async fn existing<T>(
        &mut self,
        work: impl AsyncFnOnce(&Store, &mut Output) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        check(self.url())?;
        let store = kv::open_existing(self.url()).await.map_err(|error| Failure::opening(&error))?;
        self.work(store, work).await
    }

    async fn work<T>(
        &mut self,
        store: Store,
        work: impl AsyncFnOnce(&Store, &mut Output) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let ended = work(&store, &mut self.out).await;
        let closed = store.close().await;
        let value = ended?;
        closed?;
        Ok(value)
    }
}

/// Opens a store; makes it where it is not there.
pub(crate) async fn open(url: &str) -> Result<Store, Failure> {
    check(url)?;
    kv::open(url).await.map_err(|error| Failure::opening(&error))
}

/// Refuses a URL that nothing could open, as a mistake in the command line.
pub(crate) fn check(url: &str) -> Result<(), Failure> {
    kv::check(url).map_err(|error| Failure::usage_of(&error))
}
