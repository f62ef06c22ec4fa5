//! Mutants: the memory provider with one fault each. The suite proves itself by catching them all.

mod atomic;
mod batch;
mod cache;
mod cancellation;
mod cas;
mod errors;
mod fault;
mod isolation;
mod keys;
mod listing;
mod mutated;
mod open;
mod runtime;
mod store;
mod values;
mod watch;

use std::sync::Arc;

use crate::Family;

pub(crate) use fault::{Fault, Under};
pub(crate) use mutated::Mutated;

/// A provider with one fault.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// What the fault does, in `snake_case`.
    pub name: &'static str,
    /// The clause that it violates.
    pub clause: &'static str,
    /// The family that has to catch it.
    pub family: Family,
    /// Whether only a measurement of the process shows it, so that it is tried first, while the process is small.
    pub(crate) measured: bool,
    /// Makes the fault anew for one namespace.
    pub(crate) make: fn() -> Arc<dyn Fault>,
}

impl Mutant {
    /// Only a measurement of the process's memory shows it.
    pub(crate) const fn measured(mut self) -> Self {
        self.measured = true;
        self
    }
}

/// Every mutant, family by family.
pub fn mutants() -> impl Iterator<Item = &'static Mutant> {
    [
        open::MUTANTS,
        store::MUTANTS,
        keys::MUTANTS,
        values::MUTANTS,
        isolation::MUTANTS,
        listing::MUTANTS,
        batch::MUTANTS,
        atomic::MUTANTS,
        cas::MUTANTS,
        cache::MUTANTS,
        watch::MUTANTS,
        errors::MUTANTS,
        cancellation::MUTANTS,
        runtime::MUTANTS,
    ]
    .into_iter()
    .flatten()
}

/// Names a mutant: the family that must catch it, the fault (a type with `Default`), the clause that it violates.
macro_rules! mutant {
    ($family:ident, $name:literal, $fault:expr, $clause:literal) => {
        $crate::mutants::Mutant {
            name: $name,
            clause: $clause,
            family: $crate::Family::$family,
            measured: false,
            make: || std::sync::Arc::new($fault),
        }
    };
}
pub(crate) use mutant;
