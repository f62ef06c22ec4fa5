//! What needs something of the machine: word lists, a terminal, a second user, a small disk.
//!
//! Where that is missing a test shows as ignored and says what brings it. With `KV_TEST_REQUIRE=all` it fails instead,
//! if what is missing is a package that `cargo xtask test --install` brings.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

#[allow(dead_code, reason = "other test programs start servers with it; this one looks whether there are any")]
#[path = "../../../kv-redis/tests/support/process.rs"]
mod process;
#[path = "../it/run.rs"]
mod run;
#[path = "../it/shared.rs"]
mod shared;

mod needs;
mod real_data;
mod system;

use libtest_mimic::Arguments;

use needs::{Test, trial};

fn main() {
    let args = Arguments::from_args();
    let trials = real_data::TESTS.iter().chain(system::TESTS).map(trial);
    libtest_mimic::run(&args, trials.collect()).exit();
}
