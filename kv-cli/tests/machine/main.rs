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
    let is_all_required = std::env::var_os("KV_TEST_REQUIRE").is_some_and(|require| require == "all");
    let trials = real_data::TESTS.iter().chain(system::TESTS).map(|test| trial(test, is_all_required));
    libtest_mimic::run(&args, trials.collect()).exit();
}

fn trial(test: &Test, is_all_required: bool) -> Trial {
    let missing: Vec<&Need> = test.needs.iter().filter(|need| !need.is_there()).collect();
    let run = test.run;
    let work = move || {
        run();
        Ok(())
    };
    if missing.is_empty() {
        return Trial::test(test.name, work);
    }
    if is_all_required && let Some(need) = missing.iter().find(|need| need.is_installed_by_xtask()) {
        let reason = format!("needs {}; `cargo xtask test --install` brings it", need.brought_by());
        return Trial::test(test.name, move || Err(reason.into()));
    }
    let needs: Vec<&str> = missing.iter().map(|need| need.brought_by()).collect();
    Trial::test(format!("{} (needs {})", test.name, needs.join(", ")), work).with_ignored_flag(true)
}
