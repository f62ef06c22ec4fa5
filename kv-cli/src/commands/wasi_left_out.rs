//! Stands in for the commands for WebAssembly components where the host for them is not compiled in.

use clap::{Args, Subcommand};

use crate::exit::{Ended, Failure};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a WebAssembly component (not compiled in: --features wasi)
    Run(Left),
    /// Serve HTTP with a WebAssembly component (not compiled in: --features wasi)
    Serve(Left),
    /// Call a WebAssembly component at each change (not compiled in: --features wasi)
    WatchRun(Left),
    /// Show what a WebAssembly component imports (not compiled in: --features wasi)
    Inspect(Left),
}

#[derive(Debug, Args)]
pub(crate) struct Left {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<String>,
}

/// Whether this program can run components.
pub(crate) const IS_INCLUDED: bool = false;

const TEXT: &str = "commands for WebAssembly components are not compiled in; build with --features wasi";

pub(crate) async fn run(_: Command, _: &mut Session) -> Ended {
    Err(Failure::usage(TEXT))
}

/// There is no example where nothing can be run.
pub(crate) async fn example(_: &kv::Store, _: &str) -> Result<String, Failure> {
    Err(Failure::usage(TEXT))
}
