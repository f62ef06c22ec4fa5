//! The real binary on RocksDB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

#[path = "../machine/needs.rs"]
mod needs;
#[allow(dead_code, reason = "other test programs start servers with it; this one shares what looks for them")]
#[path = "../../../kv-redis/tests/support/process.rs"]
mod process;
#[allow(dead_code, reason = "another test program uses more of it")]
#[path = "../machine/real_data.rs"]
mod real_data;
#[path = "../it/run.rs"]
mod run;
#[path = "../it/shared.rs"]
mod shared;

mod backup;

use libtest_mimic::Arguments;
use serde_json::Value;

use needs::{Need, Test, trial};
use run::Kv;

const TESTS: &[Test] = &[
    Test { name: "the_tour_is_as_promised", needs: &[], run: tour },
    Test { name: "words_come_back", needs: &[Need::Words], run: words_come_back },
    Test { name: "info_tells_what_the_engine_does", needs: &[], run: info },
    Test { name: "a_family_of_the_suite_passes", needs: &[], run: conform },
    Test { name: "mistakes_are_told_and_make_nothing", needs: &[], run: mistakes },
];

fn main() {
    let trials = TESTS.iter().chain(backup::TESTS).map(trial);
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn tour() {
    let kv = Kv::on("rocksdb", "?durability=power");
    let ran = kv.ok(&["tour"]);
    assert!(ran.text().contains("A tour of kv on RocksDB"), "{}", ran.text());
    assert!(ran.text().contains("results are as promised"), "{}", ran.text());
    shared::tour(&kv);
}

fn words_come_back() {
    // What is copied to another kind of store and back must not differ either.
    let copies = [Kv::on("rocksdb", "?durability=relaxed&compression=none"), Kv::new()];
    real_data::words(&Kv::on("rocksdb", ""), &copies);
}

fn info() {
    let kv = Kv::on("rocksdb", "");
    let words: String = shared::words(20_000).join("\n");
    let file = kv.file("words", words);
    kv.ok(&["import", "words", &file, "--format", "lines"]);
    let ran = kv.ok(&["info"]);
    let told = ran.text().to_lowercase();
    for word in ["rocksdb", "folder", "durability", "bytes on disk", "levels", "cache", "probe", "stall"] {
        assert!(told.contains(word), "{word} is missing in {told}");
    }
    let facts = kv.ok(&["info", "--json"]).json();
    assert_eq!((&facts["durability"], &facts["watch"]), (&"process".into(), &"every write".into()));
    assert_eq!((&facts["one_process_only"], &facts["expiry"]), (&true.into(), &true.into()));
    // No fact stands there without a value.
    assert!(facts.as_object().unwrap().values().all(|value| !matches!(value, Value::Null)), "{facts}");
}

fn conform() {
    let kv = Kv::on("rocksdb", "");
    let url = kv.url().to_owned();
    let ran = kv.ok(&["conform", &url, "--case", "store::", "--json"]);
    let report = ran.json();
    let cases = report["cases"].as_array().unwrap();
    assert!(!cases.is_empty() && cases.iter().all(|case| case["outcome"] == "passed"), "{report}");
    assert!(!kv.path("store").exists(), "the cases' folder is left");
}

fn mistakes() {
    let kv = Kv::on("rocksdb", "");
    for args in [&["get", "b", "k"][..], &["keys", "b"], &["info"], &["backup", "copy"]] {
        kv.run(args).code(3).says("there is no store at");
        assert!(!kv.path("store").exists() && !kv.path("copy").exists(), "{args:?}");
    }
    for (url, text) in [
        ("rocksdb:", "folder"),
        ("rocksdb://host/x", "folder"),
        ("rocksdb:./x?durability=strong", "one of relaxed, process, power"),
        ("rocksdb:./x?compression=zip", "compression"),
        ("rocksdb:./x?cache=7", "cache_mb"),
    ] {
        Kv::at(url).run(&["set", "b", "k", "v"]).code(2).says(text);
    }
    let file = kv.file("plain", "not a store");
    Kv::at(format!("rocksdb:{file}")).run(&["set", "b", "k", "v"]).code(3).says("is a file");
    // sled's folder is not RocksDB's, and the other way round.
    let sled = Kv::new();
    sled.ok(&["set", "b", "k", "v"]);
    let folder = sled.path("store");
    Kv::at(format!("rocksdb:{}", folder.display())).run(&["set", "b", "k", "w"]).code(3).says("store");
    assert_eq!(sled.ok(&["get", "b", "k"]).out, b"v");
}
