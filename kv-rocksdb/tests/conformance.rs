//! The conformance suite, once for each durability class and each policy of `io`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use kv_conformance::{Harness, Space};
use kv_core::{Batches, Consistency, Declared, Durability, Result, Store, Watching};
use kv_rocksdb::{Config, IoPolicy, Provider, declared};
use tempfile::TempDir;

/// A way to open a store, with the word that tests and URLs have for it.
#[derive(Clone, Copy)]
struct Rocks {
    word: &'static str,
    durability: Durability,
    io: IoPolicy,
}

/// Each durability class with the default policy, and each other policy with the default class.
const ALL: [Rocks; 5] = [
    Rocks { word: "relaxed", durability: Durability::Volatile, io: IoPolicy::Auto },
    Rocks { word: "process", durability: Durability::Process, io: IoPolicy::Auto },
    Rocks { word: "power", durability: Durability::Power, io: IoPolicy::Auto },
    Rocks { word: "inline", durability: Durability::Process, io: IoPolicy::Inline },
    Rocks { word: "offload", durability: Durability::Process, io: IoPolicy::Offload },
];

struct Folder(TempDir, Rocks);

/// A folder for a store. `io=inline` waits for the disk on the caller's task: its user says that there is nothing to
/// wait for, so the suite gives it a folder in memory where the machine has one, and judges the code alone (RUN-2).
fn folder(io: IoPolicy) -> std::io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if io == IoPolicy::Inline && memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

#[async_trait]
impl Harness for Rocks {
    fn name(&self) -> String {
        let option = if self.io == IoPolicy::Auto { "durability" } else { "io" };
        format!("rocksdb:FOLDER?{option}={}", self.word)
    }

    fn declared(&self) -> Declared {
        declared(self.durability)
    }

    fn required(&self) -> Option<Declared> {
        Some(required(self.durability))
    }

    async fn fresh(&self) -> Result<Box<dyn Space>> {
        let folder = folder(self.io).map_err(|cause| kv_core::Error::invalid("making a folder").with_source(cause))?;
        Ok(Box::new(Folder(folder, *self)))
    }

    fn repeat(&self, case: &str, seed: u64) -> String {
        format!(
            "KV_CONFORMANCE_SEED={seed} cargo test -p kv-rocksdb --test conformance -- --exact {}::{case}",
            self.word
        )
    }
}

#[async_trait]
impl Space for Folder {
    async fn open(&self) -> Result<Store> {
        let mut config = Config::new(self.0.path().join("store"));
        config.durability = self.1.durability;
        config.io = self.1.io;
        Ok(Store::new(Provider::open(config).await?))
    }
}

/// The contract's table (section 2), written out: what this provider must declare, whatever it does declare.
fn required(durability: Durability) -> Declared {
    Declared {
        engine: "RocksDB".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Every),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability,
        exclusive: true,
    }
}

fn main() -> ExitCode {
    kv_conformance::main_of(ALL.map(|way| (way.word, Arc::new(way) as Arc<dyn Harness>)))
}
