//! The kill matrix: whether the suite catches what it must.

mod harness;
mod matrix;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::attempt::attempt;
use crate::level::family;
use crate::mutants::Mutant;
use crate::parallel::{News, in_parallel};
use crate::run::{millis, try_case};
use crate::{CASE_LIMIT, Case, DEFAULT_SEED, Ending, Harness, MemoryHarness, Stop, cases, mutants};

use harness::MutantHarness;
pub use matrix::{MATRIX_SCHEMA, Matrix, MutantReport, ReferenceFailure};

/// How long a case may take against a mutant: some hang.
const MUTANT_CASE_LIMIT: Duration = Duration::from_secs(15);

/// How the kill matrix is made.
///
/// ```no_run
/// let matrix = kv_conformance::Kills::new().seeds(3).run(|_| {});
/// print!("{}", matrix.text());
/// assert!(!matrix.is_failure());
/// ```
#[derive(Clone, Debug)]
pub struct Kills {
    seeds: u64,
    first_seed: u64,
    full: bool,
    filter: Option<String>,
    threads: usize,
    limit: Duration,
}

/// What the making of the matrix is at.
#[derive(Clone, Copy, Debug)]
pub enum KillProgress<'a> {
    /// The provider without a fault has passed, or not, with this seed.
    Reference {
        /// The seed.
        seed: u64,
        /// Cases that did not pass.
        failures: usize,
    },
    /// A mutant was tried with every seed.
    Mutant {
        /// What came of it.
        mutant: &'a MutantReport,
        /// How many were tried so far.
        done: usize,
        /// How many there are.
        of: usize,
    },
}

/// Milliseconds that cases take without a fault, so that the quick ones are tried first.
type Times = BTreeMap<&'static str, u64>;

impl Default for Kills {
    fn default() -> Self {
        Self::new()
    }
}

impl Kills {
    /// Prepares to try every mutant with one seed, until its family catches it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            seeds: 1,
            first_seed: DEFAULT_SEED,
            full: false,
            filter: None,
            threads: thread::available_parallelism().map_or(1, NonZero::get),
            limit: MUTANT_CASE_LIMIT,
        }
    }

    /// How many seeds each mutant must be caught with: 3 in CI, 100 in a long run.
    #[must_use]
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds.max(1);
        self
    }

    /// The first of the seeds; the others follow it.
    #[must_use]
    pub fn first_seed(mut self, seed: u64) -> Self {
        self.first_seed = seed;
        self
    }

    /// Whether every case runs against every mutant with the first seed, so that the matrix shows which case catches
    /// what, and which catches nothing. Otherwise a mutant's own family runs until its first catch.
    #[must_use]
    pub fn full(mut self, full: bool) -> Self {
        self.full = full;
        self
    }

    /// Tries only mutants whose name, family or clause is the text, or whose name holds it.
    #[must_use]
    pub fn filter(mut self, text: &str) -> Self {
        self.filter = Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        self
    }

    /// How many mutants are tried at once.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How long a case may take against a mutant; not ending in time counts as caught.
    #[must_use]
    pub fn case_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Tries the mutants. `progress` is called on this thread. Blocks, and treats panics, as [`Run::run`](crate::Run::run) does.
    pub fn run(self, mut progress: impl FnMut(KillProgress<'_>)) -> Matrix {
        let started = Instant::now();
        let chosen: Vec<&'static Mutant> = mutants().filter(|mutant| self.wants(mutant)).collect();
        let (reference, times) = self.reference(&chosen, &mut progress);
        let news = |news: News<'_, &'static Mutant, MutantReport>| {
            if let News::Ended(mutant, done) = news {
                progress(KillProgress::Mutant { mutant, done, of: chosen.len() });
            }
        };
        let reports = in_parallel(&chosen, self.threads, news, |mutant| self.try_one(mutant, &times));
        Matrix::new(&self, reference, reports, millis(started.elapsed()))
    }

    fn wants(&self, mutant: &Mutant) -> bool {
        self.filter.as_deref().is_none_or(|text| {
            mutant.name.contains(text) || mutant.family.as_str() == text || mutant.clause.eq_ignore_ascii_case(text)
        })
    }

    fn seeds_in_order(&self) -> impl Iterator<Item = u64> {
        (0..self.seeds).map(|n| self.first_seed.wrapping_add(n))
    }

    /// The cases that are to catch the mutants must pass without a fault, or a catch means nothing.
    fn reference(
        &self,
        chosen: &[&'static Mutant],
        progress: &mut impl FnMut(KillProgress<'_>),
    ) -> (Vec<ReferenceFailure>, Times) {
        let harness: Arc<dyn Harness> = Arc::new(MemoryHarness);
        let wanted = |case: &&'static Case| self.full || chosen.iter().any(|mutant| mutant.family == case.family);
        let list: Vec<_> = cases().filter(wanted).collect();
        let (mut failures, mut times) = (Vec::new(), Times::new());
        for seed in self.seeds_in_order() {
            let reports = in_parallel(&list, self.threads, |_| {}, |case| try_case(&harness, case, seed, CASE_LIMIT));
            times.extend(reports.iter().map(|case| (case.case, case.ms)));
            let failed = reports.into_iter().filter(|case| case.outcome != Ending::Passed);
            let before = failures.len();
            failures.extend(failed.map(|case| ReferenceFailure {
                case: case.case,
                seed,
                reason: case.reason.unwrap_or_default(),
            }));
            progress(KillProgress::Reference { seed, failures: failures.len() - before });
        }
        (failures, times)
    }

    fn try_one(&self, mutant: &'static Mutant, times: &Times) -> MutantReport {
        let started = Instant::now();
        let harness: Arc<dyn Harness> = Arc::new(MutantHarness(mutant));
        let mut own = family(mutant.family);
        own.sort_by_key(|case| (!case.clauses.contains(&mutant.clause), times.get(case.name)));
        let mut caught_by = BTreeMap::new();
        let mut escaped = Vec::new();
        for seed in self.seeds_in_order() {
            let everything = self.full && seed == self.first_seed;
            let list = if everything { cases().collect() } else { likely_first(&own, &caught_by) };
            let mut caught = false;
            for case in list {
                if let Some(reason) = self.catches(&harness, case, seed) {
                    caught |= case.family == mutant.family;
                    caught_by.entry(case.name).or_insert(reason);
                    if !everything {
                        break;
                    }
                }
            }
            if !caught {
                escaped.push(seed);
            }
        }
        MutantReport::new(mutant, caught_by, escaped, millis(started.elapsed()))
    }

    /// How the case catches the mutant, if it does.
    fn catches(&self, harness: &Arc<dyn Harness>, case: &'static Case, seed: u64) -> Option<String> {
        match attempt(harness, case, seed, self.limit).outcome {
            Err(Stop::Failed(reason)) => Some(reason),
            Ok(()) | Err(Stop::NotApplicable(_) | Stop::Inconclusive(_)) => None,
        }
    }
}

/// The family's cases, those that caught the mutant with an earlier seed before the others.
fn likely_first(own: &[&'static Case], caught_by: &BTreeMap<&'static str, String>) -> Vec<&'static Case> {
    let mut list = own.to_vec();
    list.sort_by_key(|case| !caught_by.contains_key(case.name));
    list
}
