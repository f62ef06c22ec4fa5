//! The real binary on real Redis servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

#[path = "../machine/needs.rs"]
mod needs;
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../../../kv-redis/tests/support/process.rs"]
mod process;
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../machine/real_data.rs"]
mod real_data;
#[path = "../it/run.rs"]
mod run;
#[path = "../it/shared.rs"]
mod shared;

mod refusals;

use libtest_mimic::Arguments;

use needs::{Need, Test, trial};
use process::{Process, redis_server};
use run::Kv;

const TESTS: &[Test] = &[
    Test { name: "the_tour_is_as_promised", needs: &[Need::Redis], run: tour },
    Test { name: "words_come_back", needs: &[Need::Redis, Need::Words], run: words_come_back },
    Test { name: "a_password_comes_from_a_file", needs: &[Need::Redis], run: password_file },
];

fn main() {
    let trials = TESTS.iter().chain(refusals::TESTS).map(trial);
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// A server of its own for a test, with these options.
fn server(options: &[&str]) -> Process {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    Process::start(&redis_server().unwrap(), |_| Ok(options.clone())).unwrap()
}

/// A store on the server; `rest` follows the port.
fn at(server: &Process, rest: &str) -> Kv {
    Kv::at(format!("redis://127.0.0.1:{}{rest}", server.port()))
}

fn tour() {
    let server = server(&[]);
    let kv = at(&server, "");
    kv.ok(&["set", "mine", "k", "v"]);
    // On the command line, as the README has it, and from the environment.
    let ran = run::finish(run::binary().args(["tour", "--store", kv.url()])).code(0);
    assert!(ran.text().contains("results are as promised"), "{}", ran.text());
    let ran = kv.ok(&["tour", "--json"]);
    assert_eq!(ran.json()["as_promised"], true);
    assert!(ran.json()["steps"].as_array().unwrap().len() > 30);
    assert_eq!(kv.ok(&["buckets"]).text(), "mine\n");
    assert_eq!(kv.ok(&["get", "mine", "k"]).out, b"v");
}

fn words_come_back() {
    let server = server(&[]);
    // What is copied to another kind of store and back must not differ either.
    real_data::words(&at(&server, "?namespace=one"), &[at(&server, "?namespace=two"), Kv::new()]);
}

fn password_file() {
    let server = server(&["--requirepass", "geheim"]);
    let inside = at(&server, "");
    let file = inside.file("password", "geheim\n");
    let kv = at(&server, &format!("?password_file={file}"));
    kv.ok(&["set", "b", "k", "v"]);
    assert_eq!(kv.ok(&["get", "b", "k"]).out, b"v");
    for args in [&["info"][..], &["info", "--json"], &["buckets"]] {
        let ran = kv.ok(args);
        assert!(!format!("{}{}", ran.text(), ran.err).contains("geheim"), "{ran:?}");
    }
    inside.run(&["get", "b", "k"]).code(3).says("wants a user and a password");
}
