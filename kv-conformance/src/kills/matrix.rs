use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::Kills;
use crate::mutants::Mutant;
use crate::report::cell;
use crate::{DEFAULT_SEED, SuiteInfo, cases};

/// The JSON schema of a [`Matrix`], which `matrix.schema.json` in this crate's folder holds too.
pub const MATRIX_SCHEMA: &str = include_str!("../../matrix.schema.json");

/// Which mutants were caught, and by what.
///
/// Serializes to the JSON that [`MATRIX_SCHEMA`] describes.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// Which suite was tried.
    pub suite: SuiteInfo,
    /// The seeds that each mutant had to be caught with.
    pub seeds: Vec<u64>,
    /// Whether every case ran against every mutant with the first seed.
    pub full: bool,
    /// Which mutants were asked for; `None` for all of them.
    pub filter: Option<String>,
    /// Milliseconds that it took.
    pub ms: u64,
    /// Mutants that their own family caught with every seed.
    pub caught: usize,
    /// Mutants that got away with at least one seed.
    pub survivors: usize,
    /// Cases that did not pass against the provider without a fault.
    pub reference_failures: Vec<ReferenceFailure>,
    /// Cases that caught no mutant; known only after a full run of all mutants.
    pub idle_cases: Option<Vec<&'static str>>,
    /// Every mutant that was tried, family by family.
    pub mutants: Vec<MutantReport>,
}

/// What became of one mutant.
#[derive(Clone, Debug, Serialize)]
pub struct MutantReport {
    /// Its name.
    pub mutant: &'static str,
    /// The clause that it violates.
    pub clause: &'static str,
    /// The family that has to catch it.
    pub family: &'static str,
    /// Whether that family caught it with every seed.
    pub caught: bool,
    /// The cases that caught it, each with what it found. Without `full` a seed's first catch only.
    pub by: BTreeMap<&'static str, String>,
    /// The seeds with which it got away.
    pub escaped: Vec<u64>,
    /// Milliseconds that it took.
    pub ms: u64,
}

/// A case that did not pass against the provider without a fault: what it catches means nothing.
#[derive(Clone, Debug, Serialize)]
pub struct ReferenceFailure {
    /// The case.
    pub case: &'static str,
    /// The seed that it ran with.
    pub seed: u64,
    /// What it said.
    pub reason: String,
}

impl MutantReport {
    pub(super) fn new(mutant: &Mutant, by: BTreeMap<&'static str, String>, escaped: Vec<u64>, ms: u64) -> Self {
        let caught = escaped.is_empty();
        Self { mutant: mutant.name, clause: mutant.clause, family: mutant.family.as_str(), caught, by, escaped, ms }
    }

    /// The one command that tries it again, with the first seed that let it get away.
    #[must_use]
    pub fn command(&self) -> String {
        let seed = self.escaped.first().copied().unwrap_or(DEFAULT_SEED);
        format!("cargo run --release -- conform --mutants --case {} --seed {seed}", self.mutant)
    }

    /// One line: the mutant, whether it was caught, and by what.
    #[must_use]
    pub fn line(&self) -> String {
        let by: Vec<_> = self.by.keys().copied().collect();
        let ended = if self.caught { "caught" } else { "SURVIVED" };
        format!("{ended:8} {:7} {:12} {:40} {}", self.clause, self.family, self.mutant, by.join(" "))
    }
}

impl Matrix {
    pub(super) fn new(kills: &Kills, reference: Vec<ReferenceFailure>, mutants: Vec<MutantReport>, ms: u64) -> Self {
        let caught = mutants.iter().filter(|mutant| mutant.caught).count();
        let catches = |case: &str| mutants.iter().any(|mutant| mutant.by.contains_key(case));
        let is_known = kills.full && kills.filter.is_none();
        let idle_cases = is_known.then(|| cases().map(|case| case.name).filter(|case| !catches(case)).collect());
        Self {
            suite: SuiteInfo::current(),
            seeds: kills.seeds_in_order().collect(),
            full: kills.full,
            filter: kills.filter.clone(),
            ms,
            caught,
            survivors: mutants.len() - caught,
            reference_failures: reference,
            idle_cases,
            mutants,
        }
    }

    /// Whether a mutant survived, the provider without a fault failed, or nothing was tried: exit code 1.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.survivors > 0 || !self.reference_failures.is_empty() || self.mutants.is_empty()
    }

    /// The matrix as JSON, indented, with a line end.
    ///
    /// # Errors
    ///
    /// None that a matrix of this crate can cause.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// The matrix as terminal text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for mutant in &self.mutants {
            let _ = writeln!(text, "{}", mutant.line());
        }
        for failure in &self.reference_failures {
            let _ = writeln!(
                text,
                "the provider without a fault fails {} with seed {}: {}",
                failure.case, failure.seed, failure.reason
            );
        }
        for mutant in self.mutants.iter().filter(|mutant| !mutant.caught) {
            let _ = writeln!(
                text,
                "{} survived the family {} with the seeds {:?}; it violates {}\n  repeat: {}",
                mutant.mutant,
                mutant.family,
                mutant.escaped,
                mutant.clause,
                mutant.command()
            );
        }
        if let Some(idle) = self.idle_cases.as_ref().filter(|idle| !idle.is_empty()) {
            let _ = writeln!(text, "cases that caught no mutant: {}", idle.join(", "));
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    /// The matrix as Markdown: a row for each mutant, and in a full run how many cases of each family caught it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# Kill matrix\n\n{}.\n", self.summary());
        let mut families: Vec<&str> = cases().map(|case| case.family.as_str()).collect();
        families.dedup();
        let families = if self.full { families } else { Vec::new() };
        text.push_str("\n| mutant | clause | family | caught by its family |");
        families.iter().for_each(|family| text.push_str(&format!(" {family} |")));
        text.push_str("\n|---|---|---|---|");
        families.iter().for_each(|_| text.push_str("---|"));
        text.push('\n');
        for mutant in &self.mutants {
            let own = |case: &&&str| case.split_once("::").is_some_and(|(family, _)| family == mutant.family);
            let by: Vec<_> = mutant.by.keys().filter(own).map(|case| format!("`{case}`")).collect();
            let by = if mutant.caught { by.join(" ") } else { format!("**survived** the seeds {:?}", mutant.escaped) };
            let _ = write!(text, "| `{}` | {} | {} | {by} |", mutant.mutant, mutant.clause, mutant.family);
            for family in &families {
                let count = mutant.by.keys().filter(|case| case.starts_with(&format!("{family}::"))).count();
                let _ = if count == 0 { write!(text, " |") } else { write!(text, " {count} |") };
            }
            text.push('\n');
        }
        for failure in &self.reference_failures {
            let _ = writeln!(
                text,
                "\nThe provider without a fault fails `{}` with seed {}: {}",
                failure.case,
                failure.seed,
                cell(&failure.reason)
            );
        }
        match &self.idle_cases {
            None => {}
            Some(idle) if idle.is_empty() => text.push_str("\nEvery case caught a mutant.\n"),
            Some(idle) => {
                let _ = writeln!(text, "\n{} cases caught no mutant:\n", idle.len());
                idle.iter().for_each(|case| text.push_str(&format!("- `{case}`\n")));
            }
        }
        text
    }

    fn summary(&self) -> String {
        format!(
            "{} of {} mutants caught by their family with each of {} seeds, {} survivors, {} failures without a fault, \
             in {:.1} s, suite {} list {}",
            self.caught,
            self.mutants.len(),
            self.seeds.len(),
            self.survivors,
            self.reference_failures.len(),
            std::time::Duration::from_millis(self.ms).as_secs_f64(),
            self.suite.version,
            self.suite.hash
        )
    }
}
