//! The `kv` command.

mod args;
mod commands;
mod deadline;
mod exit;
mod import;
mod input;
mod output;
mod record;
mod session;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::exit::{Ended, Failure};
use crate::output::Output;
use crate::session::Session;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return exit::refused(&refusal),
    };
    let json = cli.json;
    let ended = exit::without_panics(|| run(cli));
    exit::report(ended, json)
}

fn run(cli: Cli) -> Ended {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::io("starting the runtime", &cause))?;
    let mut session = Session { url: cli.store, out: Output::new(cli.json) };
    let ended = runtime.block_on(commands::run(cli.command, &mut session));
    // What the command wrote before it failed is part of its output.
    let flushed = session.out.flush();
    let verdict = ended?;
    flushed?;
    Ok(verdict)
}
