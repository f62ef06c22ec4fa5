//! What is peculiar to this backend: crashes, syncs, damage, folders that are no stores, copies of a store in use,
//! reads that must not wait for a disk, space given back, and values of very different sizes.
//!
//! Some tests start this binary again as a child that is traced, killed, or kept out; see `child`.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod blocking;
mod checkpoint;
mod child;
mod crash;
mod damage;
mod drops;
mod engine;
mod faults;
mod full_disk;
mod large;
mod ledger;
mod model;
mod refusals;
mod support;
mod sweeping;
mod syncs;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(role) = std::env::var_os(support::CHILD) {
        return child::run(&role.to_string_lossy());
    }
    let trials: Vec<Trial> = [
        crash::trials(),
        damage::trials(),
        syncs::trials(),
        faults::trials(),
        full_disk::trials(),
        refusals::trials(),
        engine::trials(),
        checkpoint::trials(),
        blocking::trials(),
        drops::trials(),
        sweeping::trials(),
        large::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
