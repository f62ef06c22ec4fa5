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
const MUTANT_CASE_LIMIT: Duration = Duration::from_secs(10);

/// Mutants that are tried at once, per core: against them most cases wait for what never comes.
const THREADS_PER_CORE: usize = 4;

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
            threads: cores() * THREADS_PER_CORE,
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
        let mut tries: Vec<Try> =
            chosen.iter().map(|mutant| Try::new(mutant, self.seeds_in_order().collect())).collect();
        self.try_measured(&mut tries);
        let (reference, times) = self.reference(&chosen, &mut progress);
        let tries = self.try_all(tries, &times, &mut progress);
        let reports = tries.into_iter().map(Try::report).collect();
        Matrix::new(&self, reference, reports, millis(started.elapsed()))
    }

    /// Tries the mutants that only a measurement of the process shows, before other cases leave memory behind that
    /// hides what they take.
    fn try_measured(&self, tries: &mut [Try]) {
        for tried in tries.iter_mut().filter(|tried| tried.mutant.measured) {
            self.go_through(tried, &Times::new(), |case| case.exclusive);
        }
    }

    /// Tries the mutants, first with the cases that run beside one another, where much waiting overlaps, and then, one
    /// by one, with those that run alone.
    fn try_all(&self, tries: Vec<Try>, times: &Times, progress: &mut impl FnMut(KillProgress<'_>)) -> Vec<Try> {
        let (of, mut done) = (tries.len(), 0);
        let mut tell = |tried: &Try| {
            done += 1;
            progress(KillProgress::Mutant { mutant: &tried.clone().report(), done, of });
        };
        let news = |news: News<'_, &Try, Try>| {
            if let News::Ended(tried, _) = news
                && !self.goes_on(tried)
            {
                tell(tried);
            }
        };
        let jobs: Vec<&Try> = tries.iter().collect();
        let mut tries = in_parallel(&jobs, self.threads, news, |tried| {
            let mut tried = tried.clone();
            self.go_through(&mut tried, times, |case| !case.exclusive);
            tried
        });
        for tried in tries.iter_mut().filter(|tried| self.goes_on(tried)) {
            if !tried.mutant.measured {
                self.go_through(tried, times, |case| case.exclusive);
            }
            tell(tried);
        }
        tries
    }

    /// Whether the cases that run alone are to try the mutant too.
    fn goes_on(&self, tried: &Try) -> bool {
        self.full || !tried.escaped.is_empty()
    }

    /// Tries the mutant with the wanted cases and the seeds with which it is at large.
    fn go_through(&self, tried: &mut Try, times: &Times, wanted: impl Fn(&Case) -> bool) {
        let started = Instant::now();
        let mutant = tried.mutant;
        let harness: Arc<dyn Harness> = Arc::new(MutantHarness(mutant));
        let mut own = family(mutant.family);
        own.retain(|case| wanted(case));
        own.sort_by_key(|case| (!case.clauses.contains(&mutant.clause), times.get(case.name)));
        let mut escaped = Vec::new();
        for seed in self.seeds_in_order() {
            let at_large = tried.escaped.contains(&seed);
            let everything = self.full && seed == self.first_seed;
            if !at_large && !everything {
                continue;
            }
            let list =
                if everything { cases().filter(|case| wanted(case)).collect() } else { likely_first(&own, &tried.by) };
            let caught = self.first_catch_or_all(tried, &harness, &list, seed, everything);
            if at_large && !caught {
                escaped.push(seed);
            }
        }
        tried.escaped = escaped;
        tried.took += started.elapsed();
    }

    /// Runs the cases, up to the first catch or all of them; says whether the mutant's own family caught it.
    fn first_catch_or_all(
        &self,
        tried: &mut Try,
        harness: &Arc<dyn Harness>,
        list: &[&'static Case],
        seed: u64,
        all: bool,
    ) -> bool {
        let mut caught = false;
        for case in list {
            if let Err(Stop::Failed(reason)) = attempt(harness, case, seed, self.limit).outcome {
                caught |= case.family == tried.mutant.family;
                tried.by.entry(case.name).or_insert(reason);
                if !all {
                    break;
                }
            }
        }
        caught
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
            let reports = in_parallel(&list, cores() * 2, |_| {}, |case| try_case(&harness, case, seed, CASE_LIMIT));
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
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// A mutant as far as it was tried.
#[derive(Clone)]
struct Try {
    mutant: &'static Mutant,
    by: BTreeMap<&'static str, String>,
    escaped: Vec<u64>,
    took: Duration,
}

impl Try {
    fn new(mutant: &'static Mutant, seeds: Vec<u64>) -> Self {
        Self { mutant, by: BTreeMap::new(), escaped: seeds, took: Duration::ZERO }
    }

    fn report(self) -> MutantReport {
        MutantReport::new(self.mutant, self.by, self.escaped, millis(self.took))
    }
}

/// The family's cases, those that caught the mutant with an earlier seed before the others.
fn likely_first(own: &[&'static Case], caught_by: &BTreeMap<&'static str, String>) -> Vec<&'static Case> {
    let mut list = own.to_vec();
    list.sort_by_key(|case| !caught_by.contains_key(case.name));
    list
}
