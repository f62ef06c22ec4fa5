//! `conform`: what it reports and how it ends; the suite itself is tested where it lives.

use crate::run::{Kv, binary, finish};

#[test]
fn a_family_runs_and_reports() {
    let kv = Kv::new();
    let (markdown, badge) = (kv.path("report/k1.md"), kv.path("report/k1.svg"));
    let url = kv.url().to_owned();
    let ran = kv.ok(&[
        "conform",
        &url,
        "--case",
        "store::",
        "--json",
        "--markdown",
        markdown.to_str().unwrap(),
        "--badge",
        badge.to_str().unwrap(),
    ]);
    let report = ran.json();
    let cases = report["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        assert_eq!(case["outcome"], "passed", "{case}");
        assert!(case["ms"].is_u64() && case["seed"].is_u64() && case["clause"].is_string(), "{case}");
    }
    assert!(std::fs::read_to_string(markdown).unwrap().contains("# Conformance of sled:"));
    assert!(std::fs::read_to_string(badge).unwrap().starts_with("<svg"));
    assert!(!kv.path("store").exists(), "the cases' folder is left");
}

#[test]
fn cases_are_told_as_they_end_and_what_was_there_stays() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v"]);
    let url = kv.url().to_owned();
    let ran = kv.ok(&["conform", &url, "--case", "RW-3", "--seed", "7"]);
    assert!(ran.text().contains("passed") && ran.text().contains("RW-3") && ran.text().contains("seed 7"));
    assert_eq!(kv.ok(&["get", "b", "k"]).out, b"v");
}

#[test]
fn what_proves_nothing_fails() {
    finish(binary().args(["conform", "memory:", "--case", "no such case"])).code(2).says("no case is named");
    finish(binary().args(["conform"])).code(2);
    finish(binary().args(["conform", "memory:", "--mutants"])).code(2);
    finish(binary().args(["conform", "memory:", "--full"])).code(2);
    finish(binary().args(["conform", "memory:", "--seeds", "2"])).code(2);
    finish(binary().args(["conform", "sledd:x"])).code(2).says("did you mean sled?");
    // A report that can't be written is known before the run.
    let kv = Kv::new();
    let inside_a_file = format!("{}/report.md", kv.file("plain", ""));
    kv.run(&["conform", "memory:", "--markdown", &inside_a_file]).code(3).says("making ");
    let url = kv.url().to_owned();
    kv.run(&["conform", &url, "--markdown", &inside_a_file]).code(3).says("making ");
    assert!(!kv.path("store").exists(), "the cases' folder is left");
}

#[test]
fn a_wrong_url_leaves_earlier_reports_as_they_are() {
    let kv = Kv::new();
    let (markdown, badge) = (kv.file("k1.md", "earlier"), kv.file("k1.svg", "earlier"));
    let no_folder = format!("sled:{}", kv.file("plain", ""));
    for (url, code) in [("sledd:x", 2), ("memory:x?no=1", 2), (no_folder.as_str(), 3)] {
        kv.run(&["conform", url, "--markdown", &markdown, "--badge", &badge]).code(code);
        for file in [&markdown, &badge] {
            assert_eq!(std::fs::read_to_string(file).unwrap(), "earlier", "{url}");
        }
    }
}

#[test]
fn mutants_are_caught() {
    let ran = finish(binary().args(["conform", "--mutants", "--case", "store", "--json"])).code(0);
    let matrix = ran.json();
    assert_eq!(matrix["survivors"], 0);
    assert!(!matrix["mutants"].as_array().unwrap().is_empty());
}
