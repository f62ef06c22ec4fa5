//! The smoke run gives a report of the promised shape.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{COUNTS, MEASURES, check_ratio, complaints, number, report, rows, smoke};

/// Engines that need a server have tests of their own.
fn run(program: &str, out: &Path, args: &[&str]) -> String {
    support::run(smoke(program, out, args).args(["--engine", "memory", "--engine", "sled"]))
}

#[test]
fn a_smoke_run_reports_what_is_promised() {
    let out = tempfile::tempdir().unwrap();
    run(COUNTS, out.path(), &["--filter", "get/"]);
    let printed = run(MEASURES, out.path(), &["--filter", "get/", "--filter", "power/set/64"]);

    let report = report(out.path());
    let rows = rows(&report, "rows");
    // One and 64 callers for get; for set also 64 beside one.
    let engines = 1 + usize::from(cfg!(feature = "sled"));
    assert_eq!(rows.len(), 2 * engines + 2 * usize::from(cfg!(feature = "sled")), "{printed}");
    for row in rows {
        for text in ["engine", "durability", "workload"] {
            assert!(row[text].is_string(), "{text} of {row}");
        }
        assert!(matches!(row["callers"].as_u64(), Some(1 | 64)), "{row}");
        assert_eq!((row["value_bytes"].as_u64(), row["records"].as_u64()), (Some(100), Some(8_000)));
        check_ratio(row);
        assert!(number(row, "provider_ns") > 0.0 && number(row, "raw_ns") > 0.0, "{row}");
        let [p50, p99, p999] = ["p50_ns", "p99_ns", "p999_ns"].map(|field| number(row, field));
        assert!(0.0 < p50 && p50 <= p99 && p99 <= p999, "{row}");
        // Only get was counted.
        assert_eq!(row["allocs"].is_number(), row["workload"] == "get", "{row}");
    }
    assert_eq!(report["quick"], Value::Bool(true));

    let markdown = std::fs::read_to_string(out.path().join("report.md")).unwrap();
    assert!(markdown.contains("A smoke run"), "{markdown}");
    let table = markdown.lines().filter(|line| line.starts_with("| memory") || line.starts_with("| sled"));
    assert_eq!(table.count(), rows.len(), "{markdown}");
    let chart = std::fs::read_to_string(out.path().join("report.svg")).unwrap();
    assert_eq!(chart.matches("<circle").count(), rows.len(), "one point for each row");
}

#[test]
fn polls_listings_and_buckets_are_measured_too() {
    let out = tempfile::tempdir().unwrap();
    run(
        MEASURES,
        out.path(),
        &[
            "--filter",
            "memory/volatile/polls",
            "--filter",
            "memory/volatile/listing",
            "--filter",
            "memory/volatile/buckets",
        ],
    );
    let report = report(out.path());
    let polls = &report["polls"][0];
    assert!(number(polls, "polls") >= 64.0 && number(&polls["poll"], "p999_ns") > 0.0, "{polls}");
    for timer in ["timer", "timer_raw_inline", "timer_raw_blocking"] {
        assert!(number(&polls[timer], "writes_per_second") > 0.0, "{polls}");
    }
    assert_eq!(report["listings"][0]["keys"], 20_000);
    let listings = report["buckets"][0]["listings"].as_array().unwrap();
    let sizes: Vec<u64> = listings.iter().filter_map(|listing| listing["buckets"].as_u64()).collect();
    assert_eq!(sizes, [20, 100, 200]);
}

#[test]
fn a_filter_that_matches_nothing_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let output = smoke(MEASURES, out.path(), &["--filter", "no-such-row"]).output().unwrap();
    assert!(!output.status.success());
    assert!(complaints(&output).contains("--list"));
}
