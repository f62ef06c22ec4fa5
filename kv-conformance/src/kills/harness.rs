use std::sync::Arc;

use async_trait::async_trait;
use kv_core::{Declared, Result, Store};

use crate::mutants::{Fault, Mutant, Mutated};
use crate::{Harness, Space};

/// The memory provider with a mutant's fault, made anew for each namespace.
pub(super) struct MutantHarness(pub(super) &'static Mutant);

/// One namespace with one fault, which stays through reopenings.
struct MutantSpace {
    medium: kv_memory::Medium,
    fault: Arc<dyn Fault>,
}

#[async_trait]
impl Harness for MutantHarness {
    fn name(&self) -> String {
        format!("mutant {}", self.0.name)
    }

    fn declared(&self) -> Declared {
        kv_memory::declared()
    }

    fn required(&self) -> Option<Declared> {
        Some(kv_memory::declared())
    }

    async fn fresh(&self) -> Result<Box<dyn Space>> {
        Ok(Box::new(MutantSpace { medium: kv_memory::Medium::new(), fault: (self.0.make)() }))
    }

    fn repeat(&self, _: &str, seed: u64) -> String {
        format!("cargo run --release -- conform --mutants --case {} --seed {seed}", self.0.name)
    }
}

#[async_trait]
impl Space for MutantSpace {
    async fn open(&self) -> Result<Store> {
        Ok(Store::new(Mutated::open(&self.medium, Arc::clone(&self.fault)).await?))
    }
}
