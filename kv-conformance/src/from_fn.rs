use std::fmt;
use std::future::Future;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use kv_core::{Declared, Result, Store};

use crate::testing::cargo_test_command;
use crate::{Harness, Space};

/// A harness from a closure that opens a namespace of a given name.
///
/// ```
/// use kv_conformance::FromFn;
/// # use kv_core::{Error, Store};
/// # async fn open(_folder: std::path::PathBuf) -> kv_core::Result<Store> { Err(Error::invalid("an example")) }
/// # let declared = kv_memory::declared();
/// let harness = FromFn::new("mine:./data", declared, |id| open(std::path::Path::new("data").join(id)))
///     .remove(|id| async move {
///         // A case may fail before it has made the folder.
///         let _ = std::fs::remove_dir_all(std::path::Path::new("data").join(id));
///         Ok(())
///     });
/// # let _ = harness;
/// ```
pub struct FromFn {
    name: String,
    declared: Declared,
    required: Option<Declared>,
    open: Arc<Call<Store>>,
    remove: Arc<Call<()>>,
    repeat: Box<Repeat>,
}

type Repeat = dyn Fn(&str, u64) -> String + Send + Sync;
type Call<T> = dyn Fn(String) -> BoxFuture<'static, Result<T>> + Send + Sync;

impl FromFn {
    /// Makes a harness: its name without secrets, what the provider declares, and how to open the namespace `id`.
    ///
    /// An id is new in every case and every run, and made of lower-case letters, digits and `-`: a folder name, a key
    /// prefix. The same id is opened again after a close, and a second time while it is open.
    pub fn new<O, F>(name: impl Into<String>, declared: Declared, open: O) -> Self
    where
        O: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Store>> + Send + 'static,
    {
        Self {
            name: name.into(),
            declared,
            required: None,
            open: Arc::new(move |id| Box::pin(open(id))),
            remove: Arc::new(|_| Box::pin(std::future::ready(Ok(())))),
            repeat: Box::new(cargo_test_command),
        }
    }

    /// The least that the provider has to declare; see [`Harness::required`].
    #[must_use]
    pub fn required(mut self, required: Declared) -> Self {
        self.required = Some(required);
        self
    }

    /// How to remove what the namespace `id` holds, after its store was closed.
    #[must_use]
    pub fn remove<R, F>(mut self, remove: R) -> Self
    where
        R: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.remove = Arc::new(move |id| Box::pin(remove(id)));
        self
    }

    /// The command that runs a case again with a seed; `cargo test` for the running test unless told otherwise.
    #[must_use]
    pub fn repeat(mut self, repeat: impl Fn(&str, u64) -> String + Send + Sync + 'static) -> Self {
        self.repeat = Box::new(repeat);
        self
    }
}

impl fmt::Debug for FromFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").field("name", &self.name).field("declared", &self.declared).finish_non_exhaustive()
    }
}

#[async_trait]
impl Harness for FromFn {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn declared(&self) -> Declared {
        self.declared.clone()
    }

    fn required(&self) -> Option<Declared> {
        self.required.clone()
    }

    async fn fresh(&self) -> Result<Box<dyn Space>> {
        Ok(Box::new(FnSpace { id: fresh_id(), open: Arc::clone(&self.open), remove: Arc::clone(&self.remove) }))
    }

    fn repeat(&self, case: &str, seed: u64) -> String {
        (self.repeat)(case, seed)
    }
}

struct FnSpace {
    id: String,
    open: Arc<Call<Store>>,
    remove: Arc<Call<()>>,
}

#[async_trait]
impl Space for FnSpace {
    async fn open(&self) -> Result<Store> {
        (self.open)(self.id.clone()).await
    }

    async fn remove(&self) -> Result<()> {
        (self.remove)(self.id.clone()).await
    }
}

/// A name that no other case has, nor another process, nor what an earlier one with the same number left behind.
fn fresh_id() -> String {
    static BEGUN: LazyLock<u128> =
        LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("kv-conformance-{}-{:x}-{}", process::id(), *BEGUN, NEXT.fetch_add(1, Ordering::Relaxed))
}
