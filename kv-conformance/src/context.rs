use std::sync::{Mutex, PoisonError};

use kv_core::{Bucket, Declared, Result, Store};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{Harness, Space};

/// What a case is given: a store on a namespace of its own, a seed, and ways to reopen.
pub struct Context {
    space: Box<dyn Space>,
    store: Mutex<Store>,
    declared: Declared,
    required: Option<Declared>,
    seed: u64,
}

impl Context {
    /// Makes a namespace and opens it.
    pub(crate) async fn new(harness: &dyn Harness, seed: u64) -> Result<Self> {
        let space = harness.fresh().await?;
        let store = space.open().await?;
        Ok(Self { space, store: Mutex::new(store), declared: harness.declared(), required: harness.required(), seed })
    }

    /// The open store.
    pub fn store(&self) -> Store {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a bucket of the store.
    pub async fn bucket(&self, name: &str) -> Result<Bucket> {
        self.store().open_bucket(name).await
    }

    /// What the harness says that the provider declares.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// Random numbers that are the same for the same seed; each call begins anew.
    pub fn rng(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }

    /// Closes the store and opens it again.
    pub async fn reopen(&self) -> Result<Store> {
        self.store().close().await?;
        let store = self.space.open().await?;
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store.clone();
        Ok(store)
    }

    /// Opens the namespace a second time, beside the store that is open.
    pub async fn open_beside(&self) -> Result<Store> {
        self.space.open().await
    }

    /// What the provider has to declare, where somebody else decides that.
    pub(crate) fn required(&self) -> Option<&Declared> {
        self.required.as_ref()
    }

    /// Closes the store that is open.
    pub(crate) async fn close(&self) -> Result<()> {
        self.store().close().await
    }

    /// Removes the namespace.
    pub(crate) async fn remove(self) -> Result<()> {
        // The files of an engine may go only once no handle of ours holds it.
        drop(self.store);
        self.space.remove().await
    }
}
