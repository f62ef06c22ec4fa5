use async_trait::async_trait;
use kv_core::{IncomingValue, Result};

use super::*;
use crate::Family;
use crate::mutants::{Fault, Under};

struct Unharmed;

impl Fault for Unharmed {}

struct Deaf;

#[async_trait]
impl Fault for Deaf {
    async fn get(&self, _: &Under, _: &str) -> Result<Option<IncomingValue>> {
        std::future::pending().await
    }
}

struct Panicking;

#[async_trait]
impl Fault for Panicking {
    async fn exists(&self, _: &Under, _: &str) -> Result<bool> {
        panic!("a fault that panics")
    }
}

const fn mutant(name: &'static str, make: fn() -> Arc<dyn Fault>) -> Mutant {
    Mutant { name, clause: "RW-1", family: Family::Store, measured: false, make }
}

static UNHARMED: Mutant = mutant("unharmed", || Arc::new(Unharmed));
static DEAF: Mutant = mutant("deaf", || Arc::new(Deaf));
static PANICKING: Mutant = mutant("panicking", || Arc::new(Panicking));

fn tried(kills: &Kills, mutant: &'static Mutant) -> MutantReport {
    let tries = vec![Try::new(mutant, kills.seeds_in_order().collect())];
    kills.try_all(tries, &Times::new(), &mut |_| {}).pop().unwrap().report()
}

fn matrix(kills: &Kills, mutant: &'static Mutant) -> Matrix {
    Matrix::new(kills, Vec::new(), vec![tried(kills, mutant)], 0)
}

#[test]
fn a_provider_without_a_fault_survives_and_fails_the_matrix() {
    let matrix = matrix(&Kills::new().first_seed(5), &UNHARMED);
    assert!(matrix.is_failure());
    assert_eq!((matrix.caught, matrix.survivors), (0, 1));
    assert_eq!(matrix.mutants[0].escaped, [5]);
    assert!(matrix.mutants[0].by.is_empty(), "{:?}", matrix.mutants[0].by);
    assert!(matrix.text().contains("unharmed survived the family store"), "{}", matrix.text());
    assert!(matrix.markdown().contains("**survived**"), "{}", matrix.markdown());
}

#[test]
fn panics_and_hangs_are_caught_with_every_seed() {
    let kills = Kills::new().seeds(2).case_limit(Duration::from_millis(200));
    for (mutant, says) in [(&PANICKING, "a fault that panics"), (&DEAF, "did not end within 200ms")] {
        let matrix = matrix(&kills, mutant);
        assert!(!matrix.is_failure(), "{}", matrix.text());
        assert!(matrix.mutants[0].by.values().any(|found| found.contains(says)), "{:?}", matrix.mutants[0].by);
    }
}

#[test]
fn a_matrix_of_nothing_or_with_a_failing_reference_fails() {
    let kills = Kills::new();
    assert!(Matrix::new(&kills, Vec::new(), Vec::new(), 0).is_failure());
    let caught = tried(&kills, &PANICKING);
    let failure = ReferenceFailure { case: "store::x", seed: 1, reason: "expected: a|b".to_owned() };
    let matrix = Matrix::new(&kills, vec![failure], vec![caught], 0);
    assert!(matrix.is_failure());
    assert!(matrix.markdown().contains("a\\|b"));
}
