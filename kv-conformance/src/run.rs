use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::attempt::{Ended, attempt};
use crate::gates;
use crate::level::Filter;
use crate::parallel::{News, in_parallel};
use crate::report::{CaseReport, Counts, Ending, Repeat, Report, SuiteInfo, Verdict};
use crate::{Case, Harness, cases};

/// The seed of a run that names none.
pub const DEFAULT_SEED: u64 = 1;

/// How long a case may take; after that it has failed.
pub const CASE_LIMIT: Duration = Duration::from_secs(60);

/// Threads that run cases unless told otherwise: more would make cases disturb one another's waiting.
const MOST_THREADS: usize = 4;

/// A run of the suite against one provider.
///
/// ```no_run
/// # fn main() -> std::process::ExitCode {
/// use std::sync::Arc;
///
/// use kv_conformance::{MemoryHarness, Run};
///
/// let report = Run::new(Arc::new(MemoryHarness)).seed(7).run(|_| {});
/// print!("{}", report.text());
/// std::process::ExitCode::from(u8::from(report.is_failure()))
/// # }
/// ```
pub struct Run {
    harness: Arc<dyn Harness>,
    seed: u64,
    filter: Filter,
    threads: usize,
    limit: Duration,
}

/// What a run is doing, for those who watch it.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A case begins.
    Started {
        /// Its name.
        case: &'static str,
    },
    /// A case has ended.
    Ended {
        /// How.
        case: &'a CaseReport,
        /// How many have ended so far.
        done: usize,
        /// How many there are, gates included.
        of: usize,
    },
}

impl Run {
    /// Prepares to run every case of the level.
    #[must_use]
    pub fn new(harness: Arc<dyn Harness>) -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        Self { harness, seed: DEFAULT_SEED, filter: Filter::default(), threads, limit: CASE_LIMIT }
    }

    /// Where the cases' random numbers begin; the same seed gives the same run.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs only the case of this name, or else the cases whose name holds the text or that prove the clause of this
    /// number. Empty text takes all. A filtered run is no verdict on the level.
    #[must_use]
    pub fn filter(mut self, text: &str) -> Self {
        // The gate over the whole list can only be tried again with the whole list.
        self.filter = if text == gates::WHOLE_LIST_NAME { Filter::default() } else { Filter::new(text) };
        self
    }

    /// How many cases may run at once; those that count files, threads or memory run alone in any case.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How long a case may take, [`CASE_LIMIT`] unless told otherwise.
    #[must_use]
    pub fn case_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the cases and says what was found. `progress` is called on this thread.
    ///
    /// Blocks for as long as the run takes: call it from a thread of its own in asynchronous programs. Each case has
    /// a thread and a runtime of its own. Panics on those are caught and reported, not printed; for that a panic hook
    /// is put before the process's own, which all other threads' panics still reach.
    pub fn run(self, mut progress: impl FnMut(Progress<'_>)) -> Report {
        let started = Instant::now();
        let gates = self.filter.choose(gates::GATES.iter());
        let chosen = self.filter.choose(cases());
        let all: Vec<&'static Case> = gates.iter().chain(&chosen).copied().collect();
        let news = |news: News<'_, (usize, &'static Case), (usize, CaseReport)>| match news {
            News::Started((_, case)) => progress(Progress::Started { case: case.name }),
            News::Ended((_, case), done) => progress(Progress::Ended { case, done, of: all.len() }),
        };
        let mut order: Vec<(usize, &'static Case)> = all.iter().copied().enumerate().collect();
        // Those that measure the process come first, before others leave memory behind that hides what a call takes.
        order.sort_by_key(|(_, case)| !case.exclusive);
        let mut reports = in_parallel(&order, self.threads, news, |(at, case)| {
            (at, try_case(&self.harness, case, self.seed, self.limit))
        });
        reports.sort_by_key(|(at, _)| *at);
        let mut reports: Vec<CaseReport> = reports.into_iter().map(|(_, case)| case).collect();
        let case_reports = reports.split_off(gates.len());
        reports.push(gates::whole_list(&reports, &case_reports, self.filter.text().is_some(), self.seed));
        self.report(reports, case_reports, started.elapsed())
    }

    fn report(self, gates: Vec<CaseReport>, cases: Vec<CaseReport>, took: Duration) -> Report {
        let counts = Counts::of(&cases);
        let (verdict, why) = self.judge(&gates, counts);
        let troubles = gates.iter().chain(&cases).filter(|case| case.is_trouble());
        let repeat = troubles
            .map(|case| Repeat { case: case.case, command: self.harness.repeat(case.case, self.seed) })
            .collect();
        let declared = self.harness.declared();
        Report {
            suite: SuiteInfo::current(),
            store: self.harness.name(),
            engine: declared.engine.clone(),
            declared: (&declared).into(),
            seed: self.seed,
            filter: self.filter.text().map(str::to_owned),
            ms: millis(took),
            counts,
            verdict,
            why,
            clauses: proved_by(&cases),
            gates,
            cases,
            repeat,
        }
    }

    fn judge(&self, gates: &[CaseReport], counts: Counts) -> (Verdict, Vec<String>) {
        let mut why = Vec::new();
        if counts.failed > 0 {
            why.push(format!("{} of {} cases failed", counts.failed, counts.total));
        }
        if counts.inconclusive > 0 {
            why.push(format!("{} cases were inconclusive, which is no pass", counts.inconclusive));
        }
        for gate in gates.iter().filter(|gate| gate.is_trouble()) {
            why.push(format!("{}: {}", gate.case, gate.reason.as_deref().unwrap_or_default()));
        }
        match self.filter.text() {
            _ if !why.is_empty() => (Verdict::Failed, why),
            Some(filter) => {
                let left = format!("the filter '{filter}' left cases out, so this is no verdict on the level");
                (Verdict::Partial, vec![left])
            }
            None => (Verdict::Passed, why),
        }
    }
}

/// Runs one case and reports it.
pub(crate) fn try_case(harness: &Arc<dyn Harness>, case: &'static Case, seed: u64, limit: Duration) -> CaseReport {
    let Ended { outcome, took } = attempt(harness, case, seed, limit);
    CaseReport::new(case, outcome, seed, millis(took))
}

pub(crate) fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn proved_by(cases: &[CaseReport]) -> BTreeMap<&'static str, Vec<&'static str>> {
    let passed = |name| cases.iter().any(|case| case.case == name && case.outcome == Ending::Passed);
    let mut proved = BTreeMap::<_, Vec<_>>::new();
    for case in crate::cases().filter(|case| passed(case.name)) {
        for clause in case.clauses {
            proved.entry(*clause).or_default().push(case.name);
        }
    }
    proved
}
