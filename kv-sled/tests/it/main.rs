//! What is peculiar to this backend: blob files, syncs, crashes, damage, and folders that are no stores.
//!
//! Some tests start this binary again as a child that is traced, killed, or kept out; see `child`.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod blobs;
mod child;
mod crash;
mod damage;
mod refusals;
mod support;
mod syncs;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(role) = std::env::var_os("KV_SLED_CHILD") {
        return child::run(&role.to_string_lossy());
    }
    let trials: Vec<Trial> = [blobs::trials(), crash::trials(), damage::trials(), refusals::trials(), syncs::trials()]
        .into_iter()
        .flatten()
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
