//! What needs something of the machine: word lists, a terminal, a second user, a small disk.
//!
//! Where that is missing a test shows as ignored and says what brings it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

#[path = "../it/run.rs"]
mod run;
#[path = "../it/shared.rs"]
mod shared;

mod needs;
mod real_data;
mod system;

use libtest_mimic::{Arguments, Trial};

use needs::Need;

/// A test and what it needs.
struct Test {
    name: &'static str,
    needs: &'static [Need],
    run: fn(),
}

fn main() {
    let args = Arguments::from_args();
    let trials = real_data::TESTS.iter().chain(system::TESTS).map(|test| {
        let missing: Vec<&str> = test.needs.iter().filter(|need| !need.is_there()).map(Need::brought_by).collect();
        let name = if missing.is_empty() {
            test.name.to_owned()
        } else {
            format!("{} (needs {})", test.name, missing.join(", "))
        };
        let run = test.run;
        Trial::test(name, move || {
            run();
            Ok(())
        })
        .with_ignored_flag(!missing.is_empty())
    });
    libtest_mimic::run(&args, trials.collect()).exit();
}
