//! The commands for WebAssembly components, by the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

#[path = "../it/run.rs"]
mod run;

mod bad_input;
mod components;
mod invoke;
mod policy;
mod serve;
mod serve_sizes;
mod server;
mod watch_run;

/// A component that is kept with the sources.
fn guest(name: &str) -> String {
    format!("{}/../guests/built/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}
