//! The same guests on every kind of store, with the same results.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

mod examples;
mod suite;
mod tours;
mod visits;
mod watchers;

#[path = "../machine/needs.rs"]
mod needs;
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../../../kv-wasi/tests/it/run.rs"]
mod program;
#[path = "../it/run.rs"]
mod run;
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../wasi/server.rs"]
mod server;

/// Servers as kv-redis's own tests start them.
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../../../kv-redis/tests/support"]
mod servers {
    pub(crate) mod cluster;
    pub(crate) mod control;
    pub(crate) mod process;
}

use libtest_mimic::{Arguments, Trial};

use needs::{Need, Test, trial, trial_of};
use servers::cluster::Cluster;
use servers::process::{self, Process, redis_server};

/// Tries one store, by its URL.
type OnStore = fn(&str);

/// What is tried on every store.
const ALIKE: [(&str, OnStore); 5] = [
    ("tours_are_alike", tours::all),
    ("examples_are_alike", examples::all),
    ("a_command_is_alike", examples::command),
    ("each_of_many_requests_is_counted_once", visits::counted),
    ("watchers_hear_the_same", watchers::all),
];

/// A kind of store, and how a test is given one.
struct Provider {
    place: &'static str,
    needs: &'static [Need],
    with: fn(OnStore),
}

const PROVIDERS: [Provider; 5] = [
    Provider { place: "on_memory", needs: &[], with: |test| in_folder("memory", test) },
    Provider { place: "on_sled", needs: &[], with: |test| in_folder("sled", test) },
    Provider { place: "on_rocksdb", needs: &[], with: |test| in_folder("rocksdb", test) },
    Provider { place: "on_redis", needs: &[Need::Redis], with: on_a_server },
    Provider { place: "in_a_cluster", needs: &[Need::Redis], with: in_a_cluster },
];

const TESTS: &[Test] = &[
    Test {
        name: "a_watcher_hears_of_other_processes",
        needs: &[Need::Redis],
        run: || on_a_server(watchers::elsewhere),
    },
    Test { name: "the_suite_goes_through_each_shape", needs: &[], run: suite::each_shape },
    Test { name: "a_clause_takes_its_cases_through_each_shape", needs: &[], run: suite::a_clause },
    Test { name: "javascript_on_sled", needs: &[Need::JavaScript], run: || in_folder("sled", examples::javascript) },
    Test { name: "python_on_sled", needs: &[Need::Python], run: || in_folder("sled", examples::python) },
];

const EXERCISERS: [&str; 5] =
    ["exerciser-2023", "exerciser-0.1.0", "exerciser-draft", "exerciser-draft2", "exerciser-spin"];

fn main() {
    let mut trials: Vec<Trial> = TESTS.iter().map(trial).collect();
    for (name, test) in ALIKE {
        for Provider { place, needs, with } in PROVIDERS {
            trials.push(trial_of(&format!("{name}_{place}"), needs, move || with(test)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A store in memory has the path as its name, so that each test has its own.
fn in_folder(scheme: &str, test: impl FnOnce(&str)) {
    let folder = tempfile::tempdir().unwrap();
    test(&format!("{scheme}:{}", folder.path().join("store").display()));
}

fn on_a_server(test: OnStore) {
    let server = Process::start(&redis_server().unwrap(), |_| Ok(Vec::new())).unwrap();
    test(&format!("redis://127.0.0.1:{}", server.port()));
}

fn in_a_cluster(test: OnStore) {
    let cluster = Cluster::start(&redis_server().unwrap(), &[]).unwrap();
    test(&format!("redis+cluster://{}", cluster.hosts()));
}

/// Whether the store is there when its process has ended.
fn is_kept(url: &str) -> bool {
    !url.starts_with("memory:")
}

fn component(name: &str) -> String {
    program::path(name).to_str().unwrap().to_owned()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}
