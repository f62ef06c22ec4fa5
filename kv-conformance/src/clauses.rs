//! Whether every clause has a case that proves it and a mutant that violates it.

use crate::{cases, mutants};

/// The clauses of the contract that level K1 proves.
///
/// DUR-3 and DUR-5 need crashes and failing disks, TOK needs tokens: later levels.
pub const K1_CLAUSES: &[&str] = &[
    "NAM-1", "NAM-2", "NAM-3", "LIM-1", "LIM-2", "BKT-1", "BKT-2", "BKT-3", "BKT-4", "BKT-5", "RW-1", "RW-2", "RW-3",
    "RW-4", "RW-5", "RW-6", "BAT-1", "BAT-2", "BAT-3", "BAT-4", "LST-1", "LST-2", "LST-3", "ATM-1", "ATM-2", "ATM-3",
    "CAS-1", "CAS-2", "CAS-3", "TTL-1", "TTL-2", "TTL-3", "TTL-4", "WCH-1", "WCH-2", "ERR-1", "ERR-2", "ERR-3",
    "ERR-4", "ERR-5", "ERR-6", "CAN-1", "RUN-1", "RUN-2", "DUR-1", "DUR-2", "DUR-4",
];

/// Clauses that nothing proves, or that nothing shows to be proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Clauses of [`K1_CLAUSES`] that no case names.
    pub without_case: Vec<&'static str>,
    /// Clauses of [`K1_CLAUSES`] that no mutant violates.
    pub without_mutant: Vec<&'static str>,
    /// Clauses that a case or a mutant names and that [`K1_CLAUSES`] does not have.
    pub unknown: Vec<&'static str>,
}

/// Looks for clauses without a case or without a mutant.
#[must_use]
pub fn gaps() -> Gaps {
    let proved: Vec<_> = cases().flat_map(|case| case.clauses.iter().copied()).collect();
    let violated: Vec<_> = mutants().map(|mutant| mutant.clause).collect();
    let lacking =
        |named: &[&'static str]| K1_CLAUSES.iter().filter(|clause| !named.contains(clause)).copied().collect();
    let mut unknown: Vec<_> =
        proved.iter().chain(&violated).filter(|clause| !K1_CLAUSES.contains(clause)).copied().collect();
    unknown.sort_unstable();
    unknown.dedup();
    Gaps { without_case: lacking(&proved), without_mutant: lacking(&violated), unknown }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_clause_has_a_case_and_a_mutant() {
        assert_eq!(gaps(), Gaps::default());
    }

    #[test]
    fn the_level_holds_at_least_150_cases() {
        assert!(cases().count() >= 150, "{} cases", cases().count());
    }

    #[test]
    fn mutants_have_names_of_their_own() {
        let mut seen = HashSet::new();
        for mutant in mutants() {
            assert!(seen.insert(mutant.name), "{} is there twice", mutant.name);
        }
    }

    #[test]
    fn every_mutant_belongs_to_a_family_that_has_cases() {
        for mutant in mutants() {
            assert!(cases().any(|case| case.family == mutant.family), "{}", mutant.name);
        }
    }
}
