//! The suite proves itself: every mutant is caught by the family meant for it.

use kv_conformance::{Kills, gaps, mutants};

/// Seeds in CI; a long run takes 100: `cargo run --release -- conform --mutants --seeds 100`.
const SEEDS: u64 = 3;

/// Faults that only a race or a measurement of the process shows need luck with a busy machine: a mutant that got away is
/// tried again, by itself and with all seeds.
const TRIES: usize = 3;

#[test]
fn no_mutant_survives() {
    let mut matrix = Kills::new().seeds(SEEDS).run(|_| {});
    for _ in 1..TRIES {
        if !matrix.reference_failures.is_empty() {
            println!("{}", matrix.text());
            matrix = Kills::new().seeds(SEEDS).run(|_| {});
        }
    }
    assert!(matrix.reference_failures.is_empty(), "{}", matrix.text());
    assert_eq!(matrix.mutants.len(), mutants().count());
    let mut at_large: Vec<_> = matrix.mutants.iter().filter(|mutant| !mutant.caught).collect();
    for _ in 1..TRIES {
        at_large.retain(|mutant| {
            println!("{}", mutant.line());
            let again = Kills::new().seeds(SEEDS).filter(mutant.mutant).run(|_| {});
            !again.mutants.iter().any(|tried| tried.mutant == mutant.mutant && tried.caught)
        });
    }
    let lines: Vec<_> = at_large.iter().map(|mutant| mutant.line()).collect();
    assert!(at_large.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn a_clause_without_a_case_or_mutant_would_be_seen() {
    assert!(gaps().without_case.is_empty() && gaps().without_mutant.is_empty(), "{:?}", gaps());
}
