use async_trait::async_trait;
use kv_core::{Batches, Consistency, Declared, Durability, Result, Store, Watching};

/// How the suite gets at a provider: all that a backend author writes.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// What is tested, for reports: a store URL without secrets, or a name.
    fn name(&self) -> String;

    /// What the provider's author says that it declares. The store's own
    /// [`declared`](Store::declared) must say the same (ERR-5).
    fn declared(&self) -> Declared;

    /// The least that the provider has to declare, where somebody else decides that: the contract's table for our
    /// own providers. `None` for providers of other people.
    fn required(&self) -> Option<Declared>;

    /// Makes a namespace that is empty and that nothing else uses: a new folder, a new key prefix.
    async fn fresh(&self) -> Result<Box<dyn Space>>;

    /// The one command that runs `case` again with `seed`.
    fn repeat(&self, case: &str, seed: u64) -> String;
}

/// One case's namespace.
///
/// It is removed after the case, by [`remove`](Self::remove) or when it is dropped. A case that did not end in time is
/// dropped only, perhaps while its store is still open.
#[async_trait]
pub trait Space: Send + Sync {
    /// Opens the namespace's store: for the first time, again after a close, or a second time while it is open.
    async fn open(&self) -> Result<Store>;

    /// Removes what the namespace holds, once its store is closed. For what a `Drop` can't do, such as calls to a
    /// server.
    async fn remove(&self) -> Result<()> {
        Ok(())
    }
}

/// The reference provider, which is the suite's oracle.
pub struct MemoryHarness;

/// The contract's table (section 2), written out: what this provider must declare, whatever it does declare.
fn required() -> Declared {
    Declared {
        engine: "memory".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Every),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability: Durability::Volatile,
        exclusive: true,
    }
}

struct MemorySpace(kv_memory::Medium);

#[async_trait]
impl Harness for MemoryHarness {
    fn name(&self) -> String {
        "memory:".to_owned()
    }

    fn declared(&self) -> Declared {
        kv_memory::declared()
    }

    fn required(&self) -> Option<Declared> {
        Some(required())
    }

    async fn fresh(&self) -> Result<Box<dyn Space>> {
        Ok(Box::new(MemorySpace(kv_memory::Medium::new())))
    }

    fn repeat(&self, case: &str, seed: u64) -> String {
        format!("cargo run --release -- conform memory: --case {case} --seed {seed}")
    }
}

#[async_trait]
impl Space for MemorySpace {
    async fn open(&self) -> Result<Store> {
        Ok(Store::new(kv_memory::Provider::open(&self.0)?))
    }
}
