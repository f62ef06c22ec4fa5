//! The smoke run over Redis, on servers that it starts itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use kv_bench::{Client, Engine, Visitor, for_each, runtime};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use support::{COUNTS, MEASURES, check_ratio, complaints, number, report, rows, run, smoke};

const PACKAGE: &str = "redis-server";

/// A number of callers, and the most that the ratio may be there.
type Callers = (u64, Option<f64>);

/// Each workload with the callers that it has to run with.
const WORKLOADS: &[(&str, &[Callers])] = &[
    ("get", &[(1, Some(1.05)), (16, Some(1.05)), (64, Some(1.05)), (256, Some(1.0))]),
    ("set", &[(1, Some(1.05)), (16, Some(1.05)), (64, Some(1.05)), (256, Some(1.0))]),
    ("get_many_100", &[(1, None), (64, None)]),
    ("set_many_100", &[(1, None), (64, None)]),
    ("keys_1000", &[(1, None), (64, None)]),
    ("increment", &[(1, None), (64, None)]),
];

const PROMISES: [(&str, f64); 3] =
    [("get_many_100-against-get", 0.1), ("get-beside-16-MiB", 1.0), ("page-among-others", 1.2)];

fn main() -> ExitCode {
    let needs_server: [(&str, fn()); 2] = [
        ("a_smoke_run_has_a_row_for_each_workload", a_smoke_run_has_a_row_for_each_workload),
        ("keys_of_both_sides_are_equally_long", keys_of_both_sides_are_equally_long),
    ];
    let mut trials: Vec<Trial> = needs_server.map(|(name, test)| trial(name, test)).into();
    trials.push(passing("without_its_program_redis_is_left_out_aloud", without_its_program_redis_is_left_out_aloud));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn passing(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A test that is ignored where the server is missing, or fails where everything has to be there.
fn trial(name: &str, test: fn()) -> Trial {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(PACKAGE).is_file()) {
        return passing(name, test);
    }
    if std::env::var_os("KV_TEST_REQUIRE").is_some_and(|require| require == "all") {
        let why = format!("{PACKAGE} is not installed; `cargo xtask test --install` brings it");
        return Trial::test(name, move || Err(Failed::from(why)));
    }
    Trial::test(format!("{name} ({PACKAGE} is not installed)"), || Ok(())).with_ignored_flag(true)
}

fn a_smoke_run_has_a_row_for_each_workload() {
    let out = tempfile::tempdir().unwrap();
    let redis = ["--engine", "redis"];
    let list = run(smoke(MEASURES, out.path(), &redis).arg("--list"));
    run(&mut smoke(COUNTS, out.path(), &redis));
    let printed = run(&mut smoke(MEASURES, out.path(), &redis));
    assert_eq!(servers_in(out.path()), 0, "servers are left");

    let report = report(out.path());
    let mut names = BTreeSet::new();
    let found: Vec<(&str, u64, Option<f64>)> = rows(&report, "rows")
        .iter()
        .map(|row| {
            check_ratio(row);
            assert!(number(row, "allocs") > 0.0 && number(row, "raw_allocs") > 0.0, "{row}");
            let (workload, callers) = (row["workload"].as_str().unwrap(), row["callers"].as_u64().unwrap());
            names.insert(format!("redis/volatile/{workload}/{callers}"));
            (workload, callers, check_limit(row))
        })
        .collect();
    let expected: Vec<(&str, u64, Option<f64>)> = WORKLOADS
        .iter()
        .flat_map(|(workload, all)| all.iter().map(|(callers, limit)| (*workload, *callers, *limit)))
        .collect();
    assert_eq!(found, expected, "{printed}");

    let promises: Vec<(&str, Option<f64>)> = rows(&report, "promises")
        .iter()
        .map(|promised| {
            check_ratio(promised);
            assert!(number(promised, "measured_ns") > 0.0 && number(promised, "beside_ns") > 0.0, "{promised}");
            (promised["promise"].as_str().unwrap(), check_limit(promised))
        })
        .collect();
    assert_eq!(promises, PROMISES.map(|(name, limit)| (name, Some(limit))));

    // What is listed is what is measured.
    let beside = ["polls", "listings", "buckets"].map(|what| rows(&report, what).len());
    assert_eq!(beside, [1, 1, 1]);
    assert_eq!(report["polls"][0]["timer_raw_blocking"], Value::Null, "the driver does not block");
    names.extend(["polls", "listing", "buckets"].map(|what| format!("redis/volatile/{what}")));
    names.extend(PROMISES.map(|(promise, _)| format!("redis/volatile/{promise}")));
    assert_eq!(list.lines().map(str::to_owned).collect::<BTreeSet<_>>(), names);

    let chart = std::fs::read_to_string(out.path().join("report.svg")).unwrap();
    assert_eq!(chart.matches("<circle").count(), found.len() + promises.len(), "one point for each row");
    for (promise, _) in PROMISES {
        assert!(printed.contains(&format!("| redis | volatile | {promise} |")), "{printed}");
        assert!(chart.contains(promise));
    }
}

/// The limit of a row, which says whether it is kept just where there is one.
fn check_limit(row: &Value) -> Option<f64> {
    assert_eq!(row["limit"].is_number(), row["met"].is_boolean(), "{row}");
    row["limit"].as_f64()
}

/// How many processes live in a folder that may be gone, as far as the system tells.
fn servers_in(folder: &Path) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let lives_in = processes.flatten().filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok());
    lives_in.filter(|cwd| cwd.starts_with(folder)).count()
}

/// What the two sides send and the server compares must not differ in length: the raw side's prefix is written down.
fn keys_of_both_sides_are_equally_long() {
    struct Lengths(Vec<usize>);

    impl Visitor for Lengths {
        fn visit<E: Engine>(&mut self) -> kv_bench::Result {
            if E::NAME != "redis" {
                return Ok(());
            }
            let dir = tempfile::tempdir()?;
            let place = E::place(dir.path())?;
            let url = E::url(&place, E::CLASSES[0]);
            runtime()?.block_on(async {
                let entry = || vec![("a-key", Bytes::from_static(b"a value"))];
                E::open_raw(&place, E::CLASSES[0]).await?.set_many(entry()).await?;
                let store = E::open(&place, E::CLASSES[0], &[]).await?;
                store.open_bucket("bench").await?.set_many(entry()).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(store.close().await?)
            })?;
            let mut server = redis::Client::open(url.split('?').next().unwrap())?.get_connection()?;
            let entries: Vec<String> = redis::cmd("KEYS").arg("*a-key").query(&mut server)?;
            self.0 = entries.iter().map(String::len).collect();
            Ok(())
        }
    }

    let mut lengths = Lengths(Vec::new());
    for_each(&mut lengths).unwrap();
    assert!(matches!(lengths.0.as_slice(), [one, other] if one == other), "{:?}", lengths.0);
}

fn without_its_program_redis_is_left_out_aloud() {
    const WHY: &str = "redis-server is not on the PATH";
    let out = tempfile::tempdir().unwrap();
    let args = ["--filter", "volatile/get/1"];
    let mut both = smoke(MEASURES, out.path(), &args);
    let output = both.args(["--engine", "memory", "--engine", "redis"]).env("PATH", "").output().unwrap();
    assert!(output.status.success() && complaints(&output).contains(WHY), "{}", complaints(&output));
    let report = report(out.path());
    assert_eq!((rows(&report, "rows").len(), &report["left_out"][0]["engine"]), (1, &Value::from("redis")));
    assert!(String::from_utf8_lossy(&output.stdout).contains(WHY), "the report says it too");

    let alone = smoke(MEASURES, out.path(), &args).args(["--engine", "redis"]).env("PATH", "").output().unwrap();
    assert!(!alone.status.success() && complaints(&alone).contains(WHY), "{}", complaints(&alone));
}
