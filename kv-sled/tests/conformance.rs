//! The conformance suite, once for each durability class.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use kv_conformance::{Harness, Space};
use kv_core::{Batches, Consistency, Declared, Durability, Result, Store, Watching};
use kv_sled::{Config, Provider, declared};
use tempfile::TempDir;

struct Sled(Durability);

struct Folder(TempDir, Durability);

#[async_trait]
impl Harness for Sled {
    fn name(&self) -> String {
        format!("sled:FOLDER?durability={}", word(self.0))
    }

    fn declared(&self) -> Declared {
        declared(self.0)
    }

    fn required(&self) -> Option<Declared> {
        Some(required(self.0))
    }

    async fn fresh(&self) -> Result<Box<dyn Space>> {
        let folder =
            tempfile::tempdir().map_err(|cause| kv_core::Error::invalid("making a folder").with_source(cause))?;
        Ok(Box::new(Folder(folder, self.0)))
    }

    fn repeat(&self, case: &str, seed: u64) -> String {
        format!(
            "KV_CONFORMANCE_SEED={seed} cargo test -p kv-sled --test conformance -- --exact {}::{case}",
            word(self.0)
        )
    }
}

#[async_trait]
impl Space for Folder {
    async fn open(&self) -> Result<Store> {
        let mut config = Config::new(self.0.path().join("store"));
        config.durability = self.1;
        Ok(Store::new(Provider::open(config).await?))
    }
}

/// The contract's table (section 2), written out: what this provider must declare, whatever it does declare.
fn required(durability: Durability) -> Declared {
    Declared {
        engine: "sled".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Every),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability,
        exclusive: true,
    }
}

fn word(durability: Durability) -> &'static str {
    match durability {
        Durability::Volatile => "relaxed",
        Durability::Process => "process",
        Durability::Power => "power",
    }
}

fn main() -> ExitCode {
    let classes = [Durability::Volatile, Durability::Process, Durability::Power];
    kv_conformance::main_of(classes.map(|class| (word(class), Arc::new(Sled(class)) as Arc<dyn Harness>)))
}
