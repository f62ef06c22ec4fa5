#![doc = include_str!("../README.md")]

mod attempt;
mod case;
mod cases;
mod check;
mod clauses;
mod context;
mod from_fn;
mod gates;
mod harness;
mod kills;
mod level;
mod mutants;
mod panics;
mod parallel;
mod report;
mod run;
mod testing;
mod turn;

pub use case::{Case, Family, Needs};
pub use cases::cases;
pub use check::{Outcome, Stop};
pub use clauses::{Gaps, K1_CLAUSES, gaps};
pub use context::Context;
pub use from_fn::FromFn;
pub use harness::{Harness, MemoryHarness, Space};
pub use kills::{KillProgress, Kills, MATRIX_SCHEMA, Matrix, MutantReport, ReferenceFailure};
pub use level::{K1_CASES, chosen, list_hash};
pub use mutants::{Mutant, mutants};
pub use report::{CaseReport, Counts, DeclaredInfo, Ending, REPORT_SCHEMA, Repeat, Report, SuiteInfo, Verdict};
pub use run::{CASE_LIMIT, DEFAULT_SEED, Progress, Run};
pub use testing::{main, main_of};
