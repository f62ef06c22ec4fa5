//! The cases, a file for each family, and the whole list.

mod atomic;
mod batch;
mod cache;
mod cancellation;
mod cas;
mod errors;
mod isolation;
mod keys;
mod listing;
mod open;
mod runtime;
mod store;
mod values;
mod watch;

use crate::Case;

/// Every case of the suite, in the order in which they run.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        open::CASES,
        store::CASES,
        keys::CASES,
        values::CASES,
        isolation::CASES,
        listing::CASES,
        batch::CASES,
        atomic::CASES,
        cas::CASES,
        cache::CASES,
        watch::CASES,
        errors::CASES,
        cancellation::CASES,
        runtime::CASES,
    ]
    .into_iter()
    .flatten()
}
