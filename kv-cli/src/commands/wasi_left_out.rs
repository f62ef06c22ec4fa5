//! Stands in for the commands for WebAssembly components where the host for them is not compiled in.

use clap::Args;

use crate::exit::{Ended, Failure};
use crate::session::Session;

/// Whether this program can run components.
pub(crate) const IS_INCLUDED: bool = false;

/// What the help says of the commands.
pub(crate) const RUN: &str = "Run a WebAssembly component (not compiled in: --features wasi)";
pub(crate) const SERVE: &str = "Serve HTTP with a WebAssembly component (not compiled in: --features wasi)";
pub(crate) const WATCH_RUN: &str = "Call a WebAssembly component at each change (not compiled in: --features wasi)";
pub(crate) const INSPECT: &str = "Show what a WebAssembly component imports (not compiled in: --features wasi)";

#[derive(Debug, Args)]
pub(crate) struct Left {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<String>,
}

pub(crate) type RunArgs = Left;
pub(crate) type ServeArgs = Left;
pub(crate) type WatchRunArgs = Left;
pub(crate) type InspectArgs = Left;

const TEXT: &str = "commands for WebAssembly components are not compiled in; build with --features wasi";

pub(crate) async fn run(_: Left, _: &mut Session) -> Ended {
    Err(Failure::usage(TEXT))
}

/// There is no example where nothing can be run.
pub(crate) async fn example(_: &kv::Store, _: &str) -> Result<String, Failure> {
    Err(Failure::usage(TEXT))
}

pub(crate) use run as serve;
pub(crate) use run as watch_run;
pub(crate) use run as inspect;
