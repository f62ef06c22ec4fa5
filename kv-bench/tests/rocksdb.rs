//! The smoke run over RocksDB has every row that is promised.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{MEASURES, check_ratio, number, report, rows, run, smoke};

/// Class, workload, callers, raw callers, and the most that the ratio may be there.
const LIMITS: [(&str, &str, u64, u64, f64); 10] = [
    ("relaxed", "get", 1, 1, 1.2),
    ("relaxed", "get", 64, 64, 1.2),
    ("relaxed", "set", 1, 1, 1.1),
    ("relaxed", "set", 64, 64, 1.1),
    ("process", "set", 1, 1, 1.1),
    ("process", "set", 64, 64, 1.1),
    ("power", "set", 1, 1, 1.6),
    ("power", "set", 64, 1, 1.0 / 12.0),
    // None is promised of these.
    ("power", "set", 64, 64, f64::INFINITY),
    ("process", "set", 64, 1, f64::INFINITY),
];

const PROMISES: [(&str, &str, f64); 6] = [
    ("relaxed", "get-flushed", 1.2),
    ("relaxed", "get-flushed-64", 1.2),
    ("relaxed", "get_many_100-flushed", 1.0 / 1.1),
    ("relaxed", "get-growth", 1.05),
    ("relaxed", "get-growth-cached", 1.05),
    ("power", "set-64-against-pool", 1.0 / 3.0),
];

#[test]
fn a_smoke_run_has_a_row_for_each_promise() {
    let out = tempfile::tempdir().unwrap();
    let rocksdb = ["--engine", "rocksdb"];
    let list = run(smoke(MEASURES, out.path(), &rocksdb).arg("--list"));
    let printed = run(smoke(MEASURES, out.path(), &rocksdb).args([
        "--filter",
        "rocksdb/",
        "--filter",
        "get-growth",
        "--filter",
        "get-growth-cached",
    ]));
    let report = report(out.path());

    let all = rows(&report, "rows");
    for (class, workload, callers, raw_callers, limit) in LIMITS {
        let is_it = |row: &&Value| {
            row["durability"] == class
                && row["workload"] == workload
                && row["callers"] == callers
                && row["raw_callers"] == raw_callers
        };
        let row = all.iter().find(is_it).unwrap_or_else(|| panic!("{class} {workload} {callers}: {printed}"));
        let found = row["limit"].as_f64().unwrap_or(f64::INFINITY);
        assert!(found == limit || (found - limit).abs() < 1e-9, "{row}");
    }
    all.iter().for_each(check_ratio);

    let promises = rows(&report, "promises");
    let found: BTreeSet<(&str, &str)> =
        promises.iter().map(|row| (text(row, "durability"), text(row, "promise"))).collect();
    assert_eq!(found, PROMISES.iter().map(|(class, name, _)| (*class, *name)).collect());
    for promised in promises {
        check_ratio(promised);
        let (_, _, limit) = PROMISES.iter().find(|(_, name, _)| *name == text(promised, "promise")).unwrap();
        // JSON rounds the last digit.
        assert!((number(promised, "limit") - limit).abs() < 1e-9, "{promised}");
    }

    let blocked = rows(&report, "blocked");
    let situations: Vec<(&str, &str)> = blocked.iter().map(|row| (text(row, "situation"), text(row, "io"))).collect();
    let both = |name| [(name, "auto"), (name, "inline")];
    assert_eq!(situations, [both("polls-cold-get"), both("polls-stalled-set")].concat());
    for row in blocked {
        assert!(number(row, "polls") >= 64.0 && number(&row["held"], "p999_ns") > 0.0, "{row}");
        assert_eq!(row["limit_p999_ns"].as_u64(), (row["io"] == "auto").then_some(1_000_000), "{row}");
    }

    let opening = &report["buckets"][0]["opening"];
    assert!(number(opening, "ns") > 0.0 && opening["met"].is_boolean(), "{opening}");
    assert!(number(&report["listings"][0]["ours"], "ns_per_key_of_tenth") > 0.0);

    // What is listed is what is measured.
    let names = all.len() + promises.len() + blocked.len() / 2 + rows(&report, "polls").len() + 2;
    assert_eq!(list.lines().collect::<BTreeSet<_>>().len(), names, "{list}");
}

#[test]
fn what_takes_minutes_is_only_measured_where_it_is_named() {
    let out = tempfile::tempdir().unwrap();
    let args = ["--engine", "rocksdb", "--filter", "relaxed/get-"];
    run(&mut smoke(MEASURES, out.path(), &args));
    let report = report(out.path());
    let found: Vec<&str> = rows(&report, "promises").iter().map(|row| text(row, "promise")).collect();
    assert_eq!(found, ["get-flushed", "get-flushed-64"]);
}

fn text<'r>(row: &'r Value, field: &str) -> &'r str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {row}"))
}
