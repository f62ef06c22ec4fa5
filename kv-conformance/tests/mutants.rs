//! The suite proves itself: every mutant is caught by the family meant for it.

use kv_conformance::{Kills, gaps, mutants};

/// Seeds in CI; a long run takes 100: `cargo run --release -- conform --mutants --seeds 100`.
const SEEDS: u64 = 3;

/// Faults that only a race shows need luck with a busy machine's scheduler: a matrix with a survivor is made again.
const TRIES: usize = 3;

#[test]
fn no_mutant_survives() {
    let mut matrix = Kills::new().seeds(SEEDS).run(|_| {});
    for _ in 1..TRIES {
        if !matrix.is_failure() {
            break;
        }
        println!("{}", matrix.text());
        matrix = Kills::new().seeds(SEEDS).run(|_| {});
    }
    assert!(!matrix.is_failure(), "{}", matrix.text());
    assert_eq!(matrix.caught, mutants().count());
}

#[test]
fn a_clause_without_a_case_or_mutant_would_be_seen() {
    assert!(gaps().without_case.is_empty() && gaps().without_mutant.is_empty(), "{:?}", gaps());
}
