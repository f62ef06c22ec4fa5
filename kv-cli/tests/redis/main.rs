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
#[path = "../machine/real_data.rs"]
mod real_data;
#[path = "../it/run.rs"]
mod run;
#[path = "../it/shared.rs"]
mod shared;

/// Servers as kv-redis's own tests start them.
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../../../kv-redis/tests/support"]
mod servers {
    pub(crate) mod cluster;
    pub(crate) mod control;
    pub(crate) mod process;
}

mod refusals;

use libtest_mimic::Arguments;

use needs::{Need, Test, trial};
use run::Kv;
use servers::cluster::Cluster;
use servers::process::{self, Process, redis_server};

const TESTS: &[Test] = &[
    Test { name: "the_tour_is_as_promised", needs: &[Need::Redis], run: tour },
    Test { name: "words_come_back", needs: &[Need::Redis, Need::Words], run: words_come_back },
    Test { name: "the_tour_in_a_cluster_is_as_promised", needs: &[Need::Redis], run: tour_in_a_cluster },
    Test { name: "words_come_back_from_a_cluster", needs: &[Need::Redis, Need::Words], run: words_in_a_cluster },
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
    // On the command line, as the README has it, and from the environment.
    let ran = run::finish(run::binary().args(["tour", "--store", kv.url()])).code(0);
    assert!(ran.text().contains("results are as promised"), "{}", ran.text());
    shared::tour(&kv);
}

fn words_come_back() {
    let server = server(&[]);
    // What is copied to another kind of store and back must not differ either.
    real_data::words(&at(&server, "?namespace=one"), &[at(&server, "?namespace=two"), Kv::new()]);
}

fn cluster() -> Cluster {
    Cluster::start(&redis_server().unwrap(), &[]).unwrap()
}

fn tour_in_a_cluster() {
    let cluster = cluster();
    let kv = Kv::at(format!("redis+cluster://{}", cluster.hosts()));
    kv.ok(&["set", "mine", "k", "v"]);
    assert_eq!(kv.ok(&["tour", "--json"]).json()["as_promised"], true);
    assert_eq!(kv.ok(&["buckets"]).text(), "mine\n");
    // An entry that redis-cli made, in the group and on the node that its key says.
    let group = cluster.control(0).unwrap().ask::<u16>(&["CLUSTER", "KEYSLOT", "theirs"]).unwrap() & 255;
    let physical = format!("kv:e:{{mine:{group:02x}}}:0:theirs");
    let slot = cluster.control(0).unwrap().ask(&["CLUSTER", "KEYSLOT", &physical]).unwrap();
    let node = cluster.primary_of(slot).unwrap();
    cluster.control(node).unwrap().ask::<()>(&["SET", &physical, "w"]).unwrap();
    assert_eq!(kv.ok(&["get", "mine", "theirs"]).out, b"w");
    assert_eq!(kv.ok(&["keys", "mine"]).text(), "k\n");
    assert_eq!(kv.ok(&["reindex", "mine"]).text(), "1\n");
    assert_eq!(kv.ok(&["--json", "reindex", "mine"]).json()["added"], 0);
    assert_eq!(kv.ok(&["keys", "mine"]).text().lines().count(), 2);
}

fn words_in_a_cluster() {
    let cluster = cluster();
    let at = |namespace: &str| Kv::at(format!("redis+cluster://{}?namespace={namespace}", cluster.hosts()));
    real_data::words(&at("one"), &[at("two"), Kv::new()]);
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
