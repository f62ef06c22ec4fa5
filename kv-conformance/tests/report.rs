//! What a run reports, in each of its forms.

mod schema;

use std::sync::Arc;

use async_trait::async_trait;
use kv_conformance::{
    Ending, FromFn, Harness, K1_CASES, Kills, MATRIX_SCHEMA, MemoryHarness, Progress, REPORT_SCHEMA, Report, Run,
    Space, Verdict, cases, list_hash,
};
use kv_core::{Declared, Error, Result};
use schema::misfits;
use serde_json::Value;

#[expect(clippy::unwrap_used, reason = "what is no JSON fails the test")]
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn memory(filter: &str) -> Report {
    Run::new(Arc::new(MemoryHarness)).seed(9).filter(filter).run(|_| {})
}

/// A harness that can't open anything, and whose text would break out of a line or a table.
struct Broken;

#[async_trait]
impl Harness for Broken {
    fn name(&self) -> String {
        "broken|<b>".to_owned()
    }

    fn declared(&self) -> Declared {
        Declared { watch: None, ..kv_memory::declared() }
    }

    fn required(&self) -> Option<Declared> {
        None
    }

    async fn fresh(&self) -> Result<Box<dyn Space>> {
        Err(Error::invalid("nothing\nopens | here <script>"))
    }

    fn repeat(&self, case: &str, seed: u64) -> String {
        format!("repeat {case} {seed}")
    }
}

#[test]
fn json_fits_its_schema() {
    let schema = parsed(REPORT_SCHEMA);
    for report in [memory("store::"), Run::new(Arc::new(Broken)).run(|_| {})] {
        let json = parsed(&report.json().unwrap());
        assert_eq!(misfits(&schema, &json), Vec::<String>::new());
    }
    let mut json = parsed(&memory("store::").json().unwrap());
    json["cases"][0]["outcome"] = "skipped".into();
    json["cases"][1].as_object_mut().unwrap().remove("seed");
    json["counts"]["extra"] = 1.into();
    json["seed"] = "9".into();
    assert_eq!(misfits(&schema, &json).len(), 4, "the checker must see what does not fit");
}

#[test]
fn the_matrix_fits_its_schema() {
    let matrix = Kills::new().filter("store").run(|_| {});
    assert!(!matrix.mutants.is_empty());
    let json = parsed(&matrix.json().unwrap());
    assert_eq!(misfits(&parsed(MATRIX_SCHEMA), &json), Vec::<String>::new());
    assert!(json["idle_cases"].is_null(), "only a full run knows which cases catch nothing");
}

#[test]
fn a_whole_run_passes_and_says_all() {
    let (mut started, mut ended) = (0, 0);
    let report = Run::new(Arc::new(MemoryHarness)).run(|progress| match progress {
        Progress::Started { .. } => started += 1,
        Progress::Ended { done, .. } => {
            ended += 1;
            assert_eq!(done, ended);
        }
    });
    assert_eq!(report.verdict, Verdict::Passed, "{}", report.text());
    assert!(!report.is_failure());
    assert_eq!(report.cases.len(), K1_CASES);
    assert_eq!(report.counts.passed, K1_CASES, "the reference provider declares everything");
    assert_eq!(ended, started);
    assert_eq!(ended, K1_CASES + report.gates.len() - 1, "the gate over the list itself is no case");
    assert_eq!(report.suite.hash, list_hash());
    let names: Vec<_> = cases().map(|case| case.name).collect();
    let reported: Vec<_> = report.cases.iter().map(|case| case.case).collect();
    assert_eq!(reported, names, "results stand in the order of the list");
    assert!(report.repeat.is_empty());
    assert!(report.clauses.get("RW-3").is_some_and(|cases| !cases.is_empty()));
    assert!(report.badge().contains(&format!("{K1_CASES} of {K1_CASES} passed")));
    assert!(report.markdown().contains("Everything applies."));
}

#[test]
fn a_filtered_run_is_no_verdict() {
    let report = memory("RW-3");
    assert_eq!(report.verdict, Verdict::Partial);
    assert!(!report.is_failure());
    assert!(report.cases.iter().any(|case| case.outcome == Ending::Passed && case.seed == 9));
    assert!(report.cases.len() < K1_CASES);
    assert!(report.text().contains("no verdict on the level"), "{}", report.text());
    assert!(report.badge().contains("partial run"));
    let one = report.cases[0].case;
    let alone = memory(one);
    assert_eq!(alone.cases.iter().map(|case| case.case).collect::<Vec<_>>(), [one]);
    let gate = memory("gate::declares_enough");
    assert_eq!((gate.verdict, gate.cases.len()), (Verdict::Partial, 0));
}

#[test]
fn failures_and_what_does_not_apply_are_told_in_full() {
    let report = Run::new(Arc::new(Broken)).seed(5).run(|_| {});
    assert!(report.is_failure());
    let watches = cases().filter(|case| case.needs.missing(&Broken.declared()).is_some()).count();
    assert!(watches > 0);
    assert_eq!((report.counts.not_applicable, report.counts.passed), (watches, 0));
    assert_eq!(report.counts.failed, K1_CASES - watches);
    assert_eq!(report.repeat.len(), report.troubles().count());
    let (text, markdown) = (report.text(), report.markdown());
    for case in &report.cases {
        let reason = case.reason.as_deref().unwrap();
        if case.outcome == Ending::NotApplicable {
            assert!(text.contains(&format!("{}: {reason}", case.case)) && reason.contains("watch"));
            assert!(markdown.contains(&format!("- `{}`: {reason}", case.case)));
        } else {
            let command = format!("repeat {} 5", case.case);
            assert_eq!(report.command(case.case), Some(command.as_str()));
            assert!(text.contains(&format!("repeat: {command}")) && markdown.contains(&command));
            assert!(reason.contains("InvalidArgument") && reason.contains("nothing opens"), "{reason}");
        }
    }
    assert!(text.contains("seed: 5"));
    assert!(!markdown.contains("<script>") && !markdown.contains("<b>"), "text must not become markup");
    assert!(report.badge().contains("failed"));
}

#[test]
fn closures_make_a_harness() {
    use std::collections::HashMap;
    use std::sync::Mutex;

    let media: Arc<Mutex<HashMap<String, kv_memory::Medium>>> = Arc::default();
    let (opened, removed) = (Arc::clone(&media), Arc::clone(&media));
    let harness =
        FromFn::new("memory by closures", kv_memory::declared(), move |id| {
            let medium = opened.lock().unwrap().entry(id).or_default().clone();
            async move { Ok(kv_core::Store::new(kv_memory::Provider::open(&medium)?)) }
        })
        .remove(move |id| {
            let was_there = removed.lock().unwrap().remove(&id).is_some();
            async move {
                if was_there { Ok(()) } else { Err(Error::invalid("a namespace was removed twice or never opened")) }
            }
        })
        .required(kv_memory::declared())
        .repeat(|case, seed| format!("again {case} {seed}"));
    assert_eq!(Harness::repeat(&harness, "a::b", 3), "again a::b 3");
    let report = Run::new(Arc::new(harness)).filter("open::").run(|_| {});
    assert_eq!(report.counts.failed, 0, "{}", report.text());
    assert!(report.counts.passed > 0);
    assert!(media.lock().unwrap().is_empty(), "every namespace is removed after its case");
}
