//! The host with our own guests, on a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod bad;
mod example;
mod hostile;
mod hostile_values;
mod linking;
mod run;
mod shapes;
mod streams;
mod tour;
mod watch;

/// One of our guests with all buckets of a store.
fn on(name: &str, store: &kv_core::Store) -> run::Program {
    load(name, &kv_wasi::Host::new(kv_wasi::Access::all_of(store)))
}

fn load(name: &str, host: &kv_wasi::Host) -> run::Program {
    run::Program::load(&run::path(name), host)
}
