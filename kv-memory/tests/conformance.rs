//! The conformance suite on stores that are opened by name, as `memory:NAME` is.

use std::process::ExitCode;

use kv_conformance::FromFn;
use kv_core::{Batches, Consistency, Declared, Durability, Result, Store, Watching};

fn main() -> ExitCode {
    let harness = FromFn::new("memory:NAME", kv_memory::declared(), |id| async move { kv_memory::open_named(&id) })
        .remove(|id| async move { empty(&kv_memory::open_named(&id)?).await });
    kv_conformance::main(harness.required(required()))
}

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

/// A named store lives as long as the process, but need not hold anything.
async fn empty(store: &Store) -> Result<()> {
    for bucket in store.buckets().await? {
        store.drop_bucket(&bucket).await?;
    }
    store.close().await
}
