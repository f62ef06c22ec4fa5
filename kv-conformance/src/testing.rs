//! The suite under `cargo test`: one test for each case.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::report::{CaseReport, Ending};
use crate::run::try_case;
use crate::{CASE_LIMIT, Case, DEFAULT_SEED, Harness, cases, gates};

/// Names the seed of a run under `cargo test`.
const SEED_VARIABLE: &str = "KV_CONFORMANCE_SEED";

/// Runs the suite against one provider as the `main` of a test file with `harness = false`.
///
/// One test for each case and gate, with the filters and options of `cargo test`. The seed is in the variable
/// `KV_CONFORMANCE_SEED`. A case that does not apply to what is declared is ignored, with the reason beside it.
#[must_use]
pub fn main(harness: impl Harness) -> ExitCode {
    main_of([("", Arc::new(harness) as Arc<dyn Harness>)])
}

/// [`main`] for several harnesses: each test's name begins with its harness's label, as in
/// `power::store::delete_absent`.
#[must_use]
pub fn main_of<L: Into<String>>(harnesses: impl IntoIterator<Item = (L, Arc<dyn Harness>)>) -> ExitCode {
    let seed = match std::env::var(SEED_VARIABLE) {
        Err(_) => DEFAULT_SEED,
        Ok(text) => match text.trim().parse() {
            Ok(seed) => seed,
            Err(_) => {
                eprintln!("{SEED_VARIABLE} must be a whole number from 0 to {}; it is not", u64::MAX);
                return ExitCode::from(2);
            }
        },
    };
    let trials = harnesses.into_iter().flat_map(|(label, harness)| trials(&label.into(), &harness, seed)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// One test for each gate and each case.
fn trials(label: &str, harness: &Arc<dyn Harness>, seed: u64) -> Vec<Trial> {
    let named = |case: &str| if label.is_empty() { case.to_owned() } else { format!("{label}::{case}") };
    let trial = |case: &'static Case| {
        let (name, harness) = (named(case.name), Arc::clone(harness));
        Trial::ignorable_test(name.clone(), move || completion(&try_case(&harness, case, seed, CASE_LIMIT), &name))
    };
    let whole = gates::list_is_whole(&harness.declared(), seed);
    let name = named(whole.case);
    let whole = Trial::ignorable_test(name.clone(), move || completion(&whole, &name));
    let (alone, beside): (Vec<_>, Vec<_>) = cases().partition(|case| case.exclusive);
    // Those that measure the process come first, before others leave memory behind that hides what a call takes.
    gates::GATES.iter().chain(alone).chain(beside).map(trial).chain([whole]).collect()
}

fn completion(report: &CaseReport, test: &str) -> Result<Completion, Failed> {
    match report.outcome {
        Ending::Passed => Ok(Completion::Completed),
        Ending::NotApplicable => {
            Ok(Completion::ignored_with(format!("not applicable: {}", report.reason.as_deref().unwrap_or_default())))
        }
        Ending::Failed | Ending::Inconclusive => {
            Err(Failed::from(report.failure(&cargo_test_command(test, report.seed))))
        }
    }
}

/// The command that runs one test of the running test program again.
pub(crate) fn cargo_test_command(test: &str, seed: u64) -> String {
    let package = std::env::var("CARGO_PKG_NAME").map(|name| format!(" -p {name}")).unwrap_or_default();
    let program = std::env::args().next().unwrap_or_default();
    let stem = Path::new(&program).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    // Cargo puts a hash behind the name of the test file.
    let target = stem.rsplit_once('-').map_or(stem, |(target, _)| target);
    let target = if target.is_empty() { "conformance" } else { target };
    format!("{SEED_VARIABLE}={seed} cargo test{package} --test {target} -- --exact {test}")
}

#[cfg(test)]
mod tests {
    use kv_core::Declared;
    use libtest_mimic::Conclusion;

    use super::*;
    use crate::{FromFn, MemoryHarness};

    fn run(harness: impl Harness, filter: &str) -> Conclusion {
        let arguments = Arguments { filter: Some(filter.to_owned()), ..Arguments::default() };
        let harness: Arc<dyn Harness> = Arc::new(harness);
        libtest_mimic::run(&arguments, trials("m", &harness, 1))
    }

    #[test]
    fn gates_are_tests_with_the_harnesses_label() {
        let ended = run(MemoryHarness, "m::gate::");
        assert_eq!((ended.num_passed, ended.num_failed, ended.num_ignored), (4, 0, 0));
    }

    #[test]
    fn what_does_not_apply_is_ignored() {
        let declared = Declared { atomic: false, ..kv_memory::declared() };
        let harness = FromFn::new("less", declared, |_| async { unreachable!("nothing of it is opened") });
        let ended = run(harness, "m::atomic::");
        assert!(ended.num_ignored > 0, "{ended:?}");
        assert_eq!((ended.num_passed, ended.num_failed), (0, 0));
    }

    #[test]
    fn a_failure_says_clause_reason_seed_and_command() {
        let report = CaseReport {
            case: "store::set",
            clause: "RW-2",
            family: "store",
            outcome: Ending::Failed,
            reason: Some("expected: 1; found: 2".to_owned()),
            seed: 77,
            ms: 5,
        };
        let failed = completion(&report, "m::store::set").err().unwrap();
        let text = failed.message().unwrap();
        for part in
            ["RW-2", "expected: 1; found: 2", "seed: 77", "KV_CONFORMANCE_SEED=77 cargo test", "--exact m::store::set"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let undecided = CaseReport { outcome: Ending::Inconclusive, ..report };
        assert!(completion(&undecided, "m::store::set").is_err());
    }
}
