//! What a run found: the same facts as JSON, Markdown, terminal text and a badge.

mod badge;
mod markdown;
mod terminal;

use std::collections::BTreeMap;

use kv_core::{Batches, Consistency, Declared, Watching};
use serde::Serialize;

use crate::{Case, K1_CASES, Stop, list_hash};

pub(crate) use markdown::cell;

/// The JSON schema of a [`Report`], which `report.schema.json` in this crate's folder holds too.
pub const REPORT_SCHEMA: &str = include_str!("../../report.schema.json");

/// What a run of the suite found.
///
/// Serializes to the JSON that [`REPORT_SCHEMA`] describes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which suite ran.
    pub suite: SuiteInfo,
    /// What was tested, as the harness names it; without secrets.
    pub store: String,
    /// The engine and its version, as declared.
    pub engine: String,
    /// What the provider's author says that it declares.
    pub declared: DeclaredInfo,
    /// The seed of the whole run.
    pub seed: u64,
    /// Which cases were asked for; `None` for all of them. A filtered run is no verdict on the level.
    pub filter: Option<String>,
    /// Milliseconds that the run took.
    pub ms: u64,
    /// How many cases ended how.
    pub counts: Counts,
    /// What follows from the cases and gates.
    pub verdict: Verdict,
    /// Why the verdict is not `passed`, a sentence each.
    pub why: Vec<String>,
    /// The checks that keep an empty run from passing, in order.
    pub gates: Vec<CaseReport>,
    /// Every case of the list that the filter let through, in the list's order.
    pub cases: Vec<CaseReport>,
    /// Which cases prove each clause.
    pub clauses: BTreeMap<&'static str, Vec<&'static str>>,
    /// One command for each case or gate that did not pass, to run it again.
    pub repeat: Vec<Repeat>,
}

/// Which suite ran.
#[derive(Clone, Debug, Serialize)]
pub struct SuiteInfo {
    /// The version of this crate.
    pub version: &'static str,
    /// The level, `K1`.
    pub level: &'static str,
    /// How many cases the level has.
    pub cases: usize,
    /// The hash of the case list.
    pub hash: String,
}

impl SuiteInfo {
    /// This suite.
    pub(crate) fn current() -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), level: "K1", cases: K1_CASES, hash: list_hash() }
    }
}

/// How one case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The case's name.
    pub case: &'static str,
    /// The main clause that it proves; [`Report::clauses`] has them all.
    pub clause: &'static str,
    /// The family that it belongs to.
    pub family: &'static str,
    /// How it ended.
    pub outcome: Ending,
    /// Why it did not pass: what was expected and what was found, or what is not declared.
    pub reason: Option<String>,
    /// The seed that it ran with.
    pub seed: u64,
    /// Milliseconds that it took.
    pub ms: u64,
}

impl CaseReport {
    pub(crate) fn new(case: &Case, outcome: Result<(), Stop>, seed: u64, ms: u64) -> Self {
        let (outcome, reason) = match outcome {
            Ok(()) => (Ending::Passed, None),
            Err(Stop::Failed(what)) => (Ending::Failed, Some(what)),
            Err(Stop::NotApplicable(why)) => (Ending::NotApplicable, Some(why)),
            Err(Stop::Inconclusive(why)) => (Ending::Inconclusive, Some(why)),
        };
        let clause = case.clauses.first().copied().unwrap_or_default();
        Self { case: case.name, clause, family: case.family.as_str(), outcome, reason, seed, ms }
    }

    /// Whether it is a failure or no decision, which counts no less.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        matches!(self.outcome, Ending::Failed | Ending::Inconclusive)
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The promise was kept.
    Passed,
    /// The promise was not kept.
    Failed,
    /// What it tries is not declared.
    NotApplicable,
    /// It could not decide; never a pass.
    Inconclusive,
}

impl Ending {
    /// The word that reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotApplicable => "not-applicable",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// How many cases ended how; gates are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub total: usize,
    /// Those that passed.
    pub passed: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that do not apply to what is declared.
    pub not_applicable: usize,
    /// Those that could not decide.
    pub inconclusive: usize,
}

impl Counts {
    pub(crate) fn of(cases: &[CaseReport]) -> Self {
        let count = |ending| cases.iter().filter(|case| case.outcome == ending).count();
        Self {
            total: cases.len(),
            passed: count(Ending::Passed),
            failed: count(Ending::Failed),
            not_applicable: count(Ending::NotApplicable),
            inconclusive: count(Ending::Inconclusive),
        }
    }
}

/// What follows from a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The provider keeps what the level proves and what it declares.
    Passed,
    /// It does not, or the run proves nothing.
    Failed,
    /// No failure, but a filter left cases out: no verdict on the level.
    Partial,
}

impl Verdict {
    /// The word that reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Partial => "partial",
        }
    }
}

/// The one command that runs a case again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// The case.
    pub case: &'static str,
    /// The command.
    pub command: String,
}

/// What a provider declares, as reports write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names and meanings are those of kv_core::Declared")]
pub struct DeclaredInfo {
    pub atomic: bool,
    pub cache: bool,
    pub watch: Option<&'static str>,
    pub consistency: &'static str,
    pub batches: &'static str,
    pub durability: &'static str,
    pub exclusive: bool,
}

impl From<&Declared> for DeclaredInfo {
    fn from(declared: &Declared) -> Self {
        Self {
            atomic: declared.atomic,
            cache: declared.cache,
            watch: declared.watch.map(|watching| match watching {
                Watching::Every => "every",
                Watching::Latest => "latest",
            }),
            consistency: match declared.consistency {
                Consistency::LinearizablePerKey => "linearizable-per-key",
                Consistency::ReadYourWrites => "read-your-writes",
                Consistency::Eventual => "eventual",
            },
            batches: match declared.batches {
                Batches::Atomic => "atomic",
                Batches::PerKey => "per-key",
            },
            durability: declared.durability.as_str(),
            exclusive: declared.exclusive,
        }
    }
}

impl DeclaredInfo {
    /// What is declared, as rows of a name and a word.
    pub(crate) fn rows(&self) -> [(&'static str, &'static str); 7] {
        let yes = |has| if has { "yes" } else { "no" };
        [
            ("atomic", yes(self.atomic)),
            ("cache", yes(self.cache)),
            ("watch", self.watch.unwrap_or("no")),
            ("consistency", self.consistency),
            ("batches", self.batches),
            ("durability", self.durability),
            ("exclusive", yes(self.exclusive)),
        ]
    }
}

impl Report {
    /// Whether a case or a gate failed or the run proves nothing: exit code 1.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.verdict == Verdict::Failed
    }

    /// The report as JSON, indented, with a line end.
    ///
    /// # Errors
    ///
    /// None that a report of this crate can cause.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Gates and cases that did not pass although they apply.
    pub fn troubles(&self) -> impl Iterator<Item = &CaseReport> {
        self.gates.iter().chain(&self.cases).filter(|case| case.is_trouble())
    }

    /// The command that runs the case again.
    #[must_use]
    pub fn command(&self, case: &str) -> Option<&str> {
        self.repeat.iter().find(|repeat| repeat.case == case).map(|repeat| repeat.command.as_str())
    }
}
