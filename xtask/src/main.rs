//! `cargo xtask TASK`: what a shell line cannot say.

mod bench;
mod guests;
mod libclang;
mod packages;
mod project;
mod scope;
mod steps;
mod test;
mod tidy;
mod valkey;

use std::process::ExitCode;

/// What a task gives back; the text of the error is printed.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo xtask TASK

  test [--install]   all that a change has to pass: formatting, clippy, the tests on every provider, doctests, the
                     documentation, each crate and feature alone, the README's installation, tidy. Twenty minutes on
                     two cores, and half an hour more at the first time, most of it to compile RocksDB and wasmtime.
                     --install first brings the missing packages: Debian's by apt-get, through sudo where need be, and
                     those of PyPI and npm into the user's cache, ~/.cache/kv
  tidy               the rules of the workspace that no compiler checks
  guests [--install] builds the WebAssembly components of guests/ anew; --install first brings what builds them
  bench [OPTION]...  the workloads beside the raw drivers; writes target/bench/report.json and a Markdown table";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().take(2).any(|arg| arg == "--help" || arg == "-h") && args.first().is_none_or(|task| task != "bench")
    {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let result = match args.split_first() {
        Some((task, rest)) if task == "test" => test::run(rest),
        Some((task, [])) if task == "tidy" => tidy::run(),
        Some((task, rest)) if task == "guests" => guests::run(rest),
        Some((task, rest)) if task == "bench" => bench::run(rest),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
