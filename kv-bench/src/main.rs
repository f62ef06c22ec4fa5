//! Measures the providers beside the raw drivers and writes the report.

use std::process::ExitCode;

use clap::Parser;
use kv_bench::{Options, Suite};

fn main() -> ExitCode {
    match run(&Options::parse().settled()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kv-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> kv_bench::Result {
    if options.list {
        return Suite::list(options);
    }
    if let Some(url) = &options.reopen {
        println!("{}", serde_json::to_string(&kv_bench::reopen(url)?)?);
        return Ok(());
    }
    let report = Suite::measure(options)?;
    report.write(options)?;
    println!("{}", report.markdown());
    println!("written to {}: report.json, report.md, report.svg", options.out.display());
    Ok(())
}
