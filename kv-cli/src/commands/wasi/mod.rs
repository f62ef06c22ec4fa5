//! The commands for programs compiled to WebAssembly components.

mod call;
mod engine;
mod http;
mod inspect;
mod policy;
mod program;
mod run;
mod serve;
mod state;
mod watch_run;
mod wave;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

pub(crate) use call::example;
pub(crate) use inspect::inspect;
pub(crate) use run::run;
pub(crate) use serve::serve;
pub(crate) use watch_run::watch_run;

/// Whether this program can run components.
pub(crate) const IS_INCLUDED: bool = true;

/// What the help says of the commands.
pub(crate) const RUN: &str = "Run a WebAssembly component that uses wasi:keyvalue, or call one function of it";
pub(crate) const SERVE: &str = "Serve HTTP with a WebAssembly component, one instance for each request";
pub(crate) const WATCH_RUN: &str = "Call a WebAssembly component at each change of a bucket";
pub(crate) const INSPECT: &str = "Show what a WebAssembly component imports, exports and lacks here";

/// Which program, and which buckets it sees.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The component
    #[arg(value_name = "GUEST.wasm")]
    guest: PathBuf,
    /// A TOML file that says which buckets each program sees; without it every bucket of --store
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The program's name in that file; the name of its own file unless given
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Let it trap when it calls what this host does not provide, instead of refusing it
    #[arg(long)]
    trap_missing: bool,
    /// Set a variable of its environment
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Let it use a folder, under its own name or another
    #[arg(long, value_name = "FOLDER[::NAME]")]
    dir: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    which: Which,
    /// Call this function instead of wasi:cli/run
    #[arg(long, value_name = "CALL", conflicts_with = "arguments")]
    invoke: Option<String>,
    /// End the program after this time, such as 500ms, 10s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// What the program is given as its arguments
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    which: Which,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    addr: String,
    /// End a request's instance after this time
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Let the program make HTTP requests to this host; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_http: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchRunArgs {
    #[command(flatten)]
    which: Which,
    /// The bucket to watch, by the program's name for it
    #[arg(long)]
    bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    prefix: String,
    /// End after this many calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The component
    #[arg(value_name = "GUEST.wasm")]
    guest: PathBuf,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
