//! Counts the allocations of the workloads' calls and leaves the counts for the program that measures.

use std::process::ExitCode;

use alloc_tracker::{Allocator, Session};
use clap::Parser;
use kv_bench::{Options, Result, Suite};

#[global_allocator]
static ALLOCATOR: Allocator<std::alloc::System> = Allocator::system();

/// Counts hardly depend on how much a store holds; less to fill is sooner done.
const RECORDS: usize = 10_000;

/// Length of the counted round. It is long enough for what an engine's own threads do now and then to average out.
const ROUND_MS: u64 = 20;

fn main() -> ExitCode {
    let mut options = Options::parse().settled();
    options.records = options.records.min(RECORDS);
    options.round_ms = options.round_ms.min(ROUND_MS);
    match Suite::count(&options, &count).and_then(|allocs| allocs.write(&options.out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kv-bench-allocs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts all allocations of the process while `round` runs.
fn count(round: &mut dyn FnMut() -> Result) -> Result<u64> {
    let session = Session::new().no_stdout().no_file();
    let operation = session.operation("round");
    let span = operation.measure_process().iterations(1);
    round()?;
    drop(span);
    let report = session.to_report();
    Ok(report.operations().map(|(_, operation)| operation.total_allocations_count()).sum())
}
