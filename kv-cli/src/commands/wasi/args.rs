//! Their part of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a WebAssembly component that uses wasi:keyvalue, or call one function of it
    #[command(after_help = "\
Runs wasi:cli/run, or the function that --invoke names. Values are written in WAVE; b\"text\" and \
@FILE stand for a list of bytes too. A result that holds text as bytes shows it beside them. It may \
have 16777216 items of lists, such as bytes.

Examples:
  kv run app.wasm -- --verbose
  kv run guests/built/example-2023.wasm --invoke 'api.set(\"b\", \"k\", b\"hello\")'
  kv run guests/built/example-2023.wasm --invoke 'golem:examples/api.get(\"b\", \"k\")'
  kv run app.wasm --config policy.toml --as tenant-7 --timeout 10s

The exit code is the program's own.")]
    Run(RunArgs),

    /// Serve HTTP with a WebAssembly component, one instance for each request
    #[command(after_help = "\
Runs wasi:http/proxy of 0.2, at most 1,000 requests at once. Ends at SIGINT or SIGTERM, once the \
requests that run are done; a second one ends these. Requests of its own are refused but for those \
to hosts that --allow-http names.

Examples:
  kv serve guests/built/http-counter.wasm
  kv serve app.wasm --addr 127.0.0.1:0 --allow-http api.example.com --timeout 5s")]
    Serve(ServeArgs),

    /// Call a WebAssembly component at each change of a bucket
    #[command(after_help = "\
Calls the program's wasi:keyvalue/watcher or handle-watch, one call at a time. If it traps, a new \
instance goes on behind that event; if it keeps too much to be handed the event, with that one. Ends at SIGINT or SIGTERM, \
once the call that runs is done; a second one ends it. \
An embedded store is open in one process at a time, so there only expiries and the program's own \
changes are seen.

Examples:
  kv --store redis://localhost watch-run app.wasm --bucket sessions
  kv --store redis://localhost watch-run app.wasm --bucket sessions --prefix user- --count 10")]
    WatchRun(WatchRunArgs),

    /// Show what a WebAssembly component imports, exports and lacks here
    #[command(after_help = "\
Examples:
  kv inspect guests/built/example-2023.wasm
  kv --json inspect app.wasm")]
    Inspect(InspectArgs),
}

/// Which program, and which buckets it sees.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The component
    #[arg(value_name = "GUEST.wasm")]
    pub(super) guest: PathBuf,
    /// A TOML file that says which buckets each program sees, and how much memory it may take;
    /// without it every bucket of --store, and 1 GiB for an instance, 4 GiB for all
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The program's name in that file; the name of its own file unless given
    #[arg(long = "as", value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Let it trap when it calls what this host does not provide, instead of refusing it
    #[arg(long)]
    pub(super) trap_missing: bool,
    /// Set a variable of its environment
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
    /// Let it use a folder, under its own name or another
    #[arg(long, value_name = "FOLDER[::NAME]")]
    pub(super) dir: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// Call this function instead of wasi:cli/run
    #[arg(long, value_name = "CALL", conflicts_with = "arguments")]
    pub(super) invoke: Option<String>,
    /// End the program after this time, such as 500ms, 10s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) timeout: Option<Duration>,
    /// What the program is given as its arguments
    #[arg(last = true, value_name = "ARGS")]
    pub(super) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    pub(super) addr: String,
    /// End a request's instance after this time, and a connection whose client takes longer to send a head or to take an answer
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,
    /// Let the program make HTTP requests to this host; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(super) allow_http: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchRunArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// The bucket to watch, by the program's name for it
    #[arg(long)]
    pub(super) bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(super) prefix: String,
    /// End after this many calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The component
    #[arg(value_name = "GUEST.wasm")]
    pub(super) guest: PathBuf,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
