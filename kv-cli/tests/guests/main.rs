//! The same guests on every kind of store, with the same results.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

#[path = "../machine/needs.rs"]
mod needs;
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../../../kv-wasi/tests/it/run.rs"]
mod run;

/// Servers as kv-redis's own tests start them.
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../../../kv-redis/tests/support"]
mod servers {
    pub(crate) mod cluster;
    pub(crate) mod control;
    pub(crate) mod process;
}

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use kv_wasi::{Access, Host};
use libtest_mimic::Arguments;

use needs::{Need, Test, built, trial};
use run::Program;
use servers::cluster::Cluster;
use servers::process::{self, Process, redis_server};

const TESTS: &[Test] = &[
    Test { name: "tours_are_alike_on_memory", needs: &[], run: || tours("memory:") },
    Test { name: "tours_are_alike_on_sled", needs: &[], run: || in_folder("sled", tours) },
    Test { name: "tours_are_alike_on_rocksdb", needs: &[], run: || in_folder("rocksdb", tours) },
    Test { name: "tours_are_alike_on_redis", needs: &[Need::Redis], run: || on_a_server(tours) },
    Test { name: "tours_are_alike_in_a_cluster", needs: &[Need::Redis], run: || in_a_cluster(tours) },
    Test { name: "examples_are_alike_on_sled", needs: &[], run: || in_folder("sled", examples) },
    Test { name: "examples_are_alike_on_rocksdb", needs: &[], run: || in_folder("rocksdb", examples) },
    Test { name: "examples_are_alike_on_redis", needs: &[Need::Redis], run: || on_a_server(examples) },
    Test { name: "examples_are_alike_in_a_cluster", needs: &[Need::Redis], run: || in_a_cluster(examples) },
    Test { name: "a_watcher_hears_of_other_processes", needs: &[Need::Redis], run: || on_a_server(watcher) },
    Test { name: "the_suite_goes_through_each_shape", needs: &[], run: suite },
    Test { name: "javascript_on_sled", needs: &[Need::JavaScript], run: || in_folder("sled", |url| script("js", url)) },
    Test { name: "python_on_sled", needs: &[Need::Python], run: || in_folder("sled", |url| script("python", url)) },
];

const EXERCISERS: [&str; 5] =
    ["exerciser-2023", "exerciser-0.1.0", "exerciser-draft", "exerciser-draft2", "exerciser-spin"];

fn main() {
    libtest_mimic::run(&Arguments::from_args(), TESTS.iter().map(trial).collect()).exit();
}

fn in_folder(scheme: &str, test: impl FnOnce(&str)) {
    let folder = tempfile::tempdir().unwrap();
    test(&format!("{scheme}:{}", folder.path().join("store").display()));
}

fn on_a_server(test: impl FnOnce(&str)) {
    let server = Process::start(&redis_server().unwrap(), |_| Ok(Vec::new())).unwrap();
    test(&format!("redis://127.0.0.1:{}", server.port()));
}

fn in_a_cluster(test: impl FnOnce(&str)) {
    let cluster = Cluster::start(&redis_server().unwrap(), &[]).unwrap();
    test(&format!("redis+cluster://{}", cluster.hosts()));
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// Each exerciser calls every function of its shape and tells what it gave.
fn tours(url: &str) {
    block_on(async {
        let store = kv::open(url).await.unwrap();
        for name in EXERCISERS {
            let program = Program::load(&run::path(name), &Host::new(Access::all_of(&store)));
            let mut running = program.start().await;
            let (lines,): (Vec<String>,) = running.call("kv:guests/tour#run", ("tour",)).await.unwrap();
            let expected = std::fs::read_to_string(run::path(name).with_extension("txt")).unwrap();
            for (n, (line, expected)) in lines.iter().zip(expected.lines()).enumerate() {
                assert_eq!(line, expected, "{name}, line {} of its tour", n + 1);
            }
            assert_eq!(lines.len(), expected.lines().count(), "{name}");
            assert_eq!(store.buckets().await.unwrap(), Vec::<String>::new(), "{name} leaves nothing behind");
        }
        store.close().await.unwrap();
    });
}

fn examples(url: &str) {
    for name in ["example-2023", "example-2023-wasi", "example-0.1.0"] {
        example(&run::path(name), url);
    }
}

/// The value is there again after the host has ended, and a missing key is none.
fn example(component: &Path, url: &str) {
    for is_first in [true, false] {
        block_on(async {
            let store = kv::open(url).await.unwrap();
            let program = Program::load(component, &Host::new(Access::all_of(&store)));
            let mut running = program.start().await;
            let mut get = async |key: &str| {
                let (found,): (Option<Vec<u8>>,) = running.call("golem:examples/api#get", ("b", key)).await.unwrap();
                found
            };
            if is_first {
                assert_eq!(get("k").await, None);
                running.call::<_, ()>("golem:examples/api#set", ("b", "k", &b"v\0\xff"[..])).await.unwrap();
            } else {
                assert_eq!(get("k").await.as_deref(), Some(&b"v\0\xff"[..]));
                assert_eq!(get("missing").await, None);
                store.drop_bucket("b").await.unwrap();
            }
            store.close().await.unwrap();
        });
    }
}

/// One that is built when it is tested.
fn script(language: &str, url: &str) {
    example(&built(language), url);
}

/// `kv watch-run` calls the program at what others change, in their order, and ends after as many calls as were wanted.
fn watcher(url: &str) {
    let kv = |args: &[&str]| {
        let mut kv = std::process::Command::new(env!("CARGO_BIN_EXE_kv"));
        kv.args(["--store", url]).args(args).env_remove("RUST_BACKTRACE");
        kv
    };
    let component = run::path("watcher-draft2");
    let options = ["--bucket", "watched", "--prefix", "user-", "--count", "3"];
    let mut command = kv(&["watch-run", component.to_str().unwrap()]);
    let mut watching = command.args(options).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stderr.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "kv: watching \"watched\"");
    for args in [
        &["set", "watched", "user-1", "abc"][..],
        &["set", "watched", "other", "x"],
        &["set", "watched", "user-2", "abcd"],
        &["delete", "watched", "user-1"],
    ] {
        assert!(kv(args).status().unwrap().success());
    }
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(watching.wait().unwrap().success() && said.is_empty(), "{said:?}");
    for (number, event) in [("00000000", "set user-1 3"), ("00000001", "set user-2 4"), ("00000002", "delete user-1")] {
        let seen = kv(&["get", "seen", number]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&seen.stdout), event);
    }
}

/// Each shape lets enough of the suite's cases through, and none of them fails.
fn suite() {
    for url in ["memory:", "sled"] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("suite");
        let url = if url == "sled" { format!("sled:{}", place.display()) } else { url.to_owned() };
        let mut conform = std::process::Command::new(env!("CARGO_BIN_EXE_kv"));
        let ran = conform.args(["--json", "conform", &url, "--through-wasm"]).output().unwrap();
        let report = String::from_utf8_lossy(&ran.stdout);
        let report: serde_json::Value =
            serde_json::from_str(&report).unwrap_or_else(|cause| panic!("{cause}: {ran:?}"));
        let shapes = report["shapes"].as_array().unwrap();
        assert_eq!(shapes.len(), EXERCISERS.len());
        for shape in shapes {
            assert!(shape["counts"]["passed"].as_u64().unwrap() >= 60, "{url}: {}", shape["shape"]);
            let cases = shape["cases"].as_array().unwrap();
            let failed: Vec<_> = cases.iter().filter(|case| case["outcome"] == "failed").collect();
            assert!(failed.is_empty(), "{url}: {}: {failed:?}", shape["shape"]);
            assert!(cases.iter().all(|case| (case["outcome"] == "passed") == case["reason"].is_null()));
        }
        assert!(ran.status.success());
    }
}
