//! Runs the suite, or its mutants, against the memory provider:
//! `cargo run -p kv-conformance --example run -- [FILTER] [--seed N] [--mutants [--seeds N] [--full]] [--json|--markdown]`.

use std::process::ExitCode;
use std::sync::Arc;

use kv_conformance::{DEFAULT_SEED, Ending, KillProgress, Kills, MemoryHarness, Progress, Run};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut filter, mut seed, mut seeds) = (String::new(), DEFAULT_SEED, 1);
    let (mut mutants, mut full, mut json, mut markdown) = (false, false, false, false);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--seed" => seed = number().unwrap_or(seed),
            "--seeds" => seeds = number().unwrap_or(seeds),
            "--mutants" => mutants = true,
            "--full" => full = true,
            "--json" => json = true,
            "--markdown" => markdown = true,
            text => text.clone_into(&mut filter),
        }
    }
    if mutants {
        let kills = Kills::new().first_seed(seed).seeds(seeds).full(full).filter(&filter);
        let matrix = kills.run(|progress| match progress {
            KillProgress::Reference { seed, failures } => {
                eprintln!("without a fault, seed {seed}: {failures} failures")
            }
            KillProgress::Mutant { mutant, done, of } => eprintln!("{done:>4}/{of} {}", mutant.line()),
        });
        let text = if json {
            matrix.json().unwrap_or_default()
        } else if markdown {
            matrix.markdown()
        } else {
            matrix.text()
        };
        print!("{text}");
        return ExitCode::from(u8::from(matrix.is_failure()));
    }
    let report = Run::new(Arc::new(MemoryHarness)).seed(seed).filter(&filter).run(|progress| {
        if let Progress::Ended { case, .. } = progress {
            eprintln!("{}", case.line());
            if case.outcome == Ending::Failed {
                eprintln!("    {}", case.reason.as_deref().unwrap_or_default());
            }
        }
    });
    let text = if json {
        report.json().unwrap_or_default()
    } else if markdown {
        report.markdown()
    } else {
        report.text()
    };
    print!("{text}");
    ExitCode::from(u8::from(report.is_failure()))
}
