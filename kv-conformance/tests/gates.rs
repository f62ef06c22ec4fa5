//! The gates: nothing that is empty, absent or badly declared may pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use kv_conformance::{
    CaseReport, Ending, FromFn, Harness, K1_CASES, MemoryHarness, Report, Run, Space, Verdict, cases, mutants,
};
use kv_core::{
    Atomic, Batch, Cache, Declared, Durability, IncomingValue, Page, PageRequest, Provider, ProviderBucket, ReadWrite,
    Result, Store, Watch, Watching,
};

/// A provider that opens and closes, and has nothing else.
struct Nothing;

#[async_trait]
impl Provider for Nothing {
    fn declared(&self) -> Declared {
        kv_memory::declared()
    }

    async fn open_bucket(&self, _: &str) -> Result<Arc<dyn ProviderBucket>> {
        unimplemented!("open_bucket")
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        unimplemented!("buckets")
    }

    async fn drop_bucket(&self, _: &str) -> Result<()> {
        unimplemented!("drop_bucket")
    }

    // A panic here would hide a case that passes by doing nothing.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        unimplemented!("info")
    }

    fn reindex(&self) -> Option<&dyn kv_core::Reindex> {
        None
    }

    fn checkpoint(&self) -> Option<&dyn kv_core::Checkpoint> {
        None
    }
}

/// A provider whose buckets open and have nothing else.
struct Hollow;

struct HollowBucket;

#[async_trait]
impl Provider for Hollow {
    fn declared(&self) -> Declared {
        kv_memory::declared()
    }

    async fn open_bucket(&self, _: &str) -> Result<Arc<dyn ProviderBucket>> {
        Ok(Arc::new(HollowBucket))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        unimplemented!("buckets")
    }

    async fn drop_bucket(&self, _: &str) -> Result<()> {
        unimplemented!("drop_bucket")
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }

    async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        unimplemented!("info")
    }

    fn reindex(&self) -> Option<&dyn kv_core::Reindex> {
        None
    }

    fn checkpoint(&self) -> Option<&dyn kv_core::Checkpoint> {
        None
    }
}

impl ProviderBucket for HollowBucket {
    fn atomic(&self) -> Option<&dyn Atomic> {
        unimplemented!("atomic")
    }

    fn cache(&self) -> Option<&dyn Cache> {
        unimplemented!("cache")
    }

    fn watch(&self) -> Option<&dyn Watch> {
        unimplemented!("watch")
    }
}

#[async_trait]
impl ReadWrite for HollowBucket {
    async fn get(&self, _: &str) -> Result<Option<IncomingValue>> {
        unimplemented!("get")
    }

    async fn set(&self, _: &str, _: Bytes) -> Result<()> {
        unimplemented!("set")
    }

    async fn delete(&self, _: &str) -> Result<()> {
        unimplemented!("delete")
    }

    async fn exists(&self, _: &str) -> Result<bool> {
        unimplemented!("exists")
    }
}

#[async_trait]
impl Batch for HollowBucket {
    async fn get_many(&self, _: &[&str], _: usize) -> Result<Vec<Option<IncomingValue>>> {
        unimplemented!("get_many")
    }

    async fn set_many(&self, _: &[(&str, Bytes)]) -> Result<()> {
        unimplemented!("set_many")
    }

    async fn delete_many(&self, _: &[&str]) -> Result<()> {
        unimplemented!("delete_many")
    }

    async fn keys(&self, _: PageRequest<'_>) -> Result<Page> {
        unimplemented!("keys")
    }
}

/// Memory, under another declaration of the harness or of the store.
struct Declaring {
    says: Declared,
    required: Option<Declared>,
}

#[async_trait]
impl Harness for Declaring {
    fn name(&self) -> String {
        "declaring".to_owned()
    }

    fn declared(&self) -> Declared {
        self.says.clone()
    }

    fn required(&self) -> Option<Declared> {
        self.required.clone()
    }

    async fn fresh(&self) -> Result<Box<dyn Space>> {
        MemoryHarness.fresh().await
    }

    fn repeat(&self, case: &str, seed: u64) -> String {
        format!("{case} {seed}")
    }
}

fn outcome_of(report: &Report, gate: &str) -> Option<Ending> {
    report.gates.iter().find(|case| case.case == gate).map(|case| case.outcome)
}

fn passing(report: &Report) -> Vec<&str> {
    report.cases.iter().filter(|case| case.outcome != Ending::Failed).map(|case| case.case).collect()
}

#[test]
fn an_unimplemented_provider_fails_every_case() {
    let harness = FromFn::new("nothing", kv_memory::declared(), |_| async { Ok(Store::new(Nothing)) });
    let report = Run::new(Arc::new(harness)).case_limit(Duration::from_secs(5)).threads(8).run(|_| {});
    assert_eq!(passing(&report), Vec::<&str>::new());
    assert_eq!(report.counts.failed, K1_CASES);
}

#[test]
fn an_unimplemented_bucket_fails_every_case() {
    let harness = FromFn::new("hollow", kv_memory::declared(), |_| async { Ok(Store::new(Hollow)) });
    let report = Run::new(Arc::new(harness)).case_limit(Duration::from_secs(5)).threads(8).run(|_| {});
    assert_eq!(passing(&report), Vec::<&str>::new());
    let panicked = |case: &CaseReport| case.reason.as_deref().is_some_and(|reason| reason.contains("not implemented"));
    assert!(report.cases.iter().filter(|case| panicked(case)).count() > 50, "{}", report.text());
}

#[test]
fn a_run_without_cases_fails() {
    let report = Run::new(Arc::new(MemoryHarness)).filter("no::such_case").run(|_| {});
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(outcome_of(&report, "gate::the_whole_list_ran"), Some(Ending::Failed));
    assert!(report.why.iter().any(|why| why.contains("none did")), "{:?}", report.why);
}

#[test]
fn declaring_other_than_the_store_fails() {
    let says = Declared { atomic: false, ..kv_memory::declared() };
    let report = Run::new(Arc::new(Declaring { says, required: None })).filter("gate::").run(|_| {});
    assert_eq!(outcome_of(&report, "gate::declares_the_same"), Some(Ending::Failed));
    assert_eq!(outcome_of(&report, "gate::powers_are_as_declared"), Some(Ending::Failed));
    assert_eq!(outcome_of(&report, "gate::declares_enough"), Some(Ending::NotApplicable));
    assert!(report.is_failure());
}

#[test]
fn declaring_less_than_required_fails() {
    let full = kv_memory::declared();
    let less = [
        Declared { atomic: false, ..full.clone() },
        Declared { cache: false, ..full.clone() },
        Declared { watch: None, ..full.clone() },
        Declared { watch: Some(Watching::Latest), ..full.clone() },
        Declared { consistency: kv_core::Consistency::ReadYourWrites, ..full.clone() },
        Declared { batches: kv_core::Batches::PerKey, ..full.clone() },
        Declared { exclusive: false, ..full.clone() },
    ];
    let verdict = |says: Declared, required: Declared| {
        let harness = Declaring { says, required: Some(required) };
        let report = Run::new(Arc::new(harness)).filter("gate::declares_enough").run(|_| {});
        outcome_of(&report, "gate::declares_enough")
    };
    for less in less {
        assert_eq!(verdict(less.clone(), full.clone()), Some(Ending::Failed), "{less:?}");
        assert_eq!(verdict(full.clone(), less.clone()), Some(Ending::Passed), "more than required is enough: {less:?}");
    }
    let durable = Declared { durability: Durability::Process, ..full.clone() };
    assert_eq!(verdict(full.clone(), durable.clone()), Some(Ending::Failed));
    assert_eq!(verdict(durable, full), Some(Ending::Passed));
}

#[test]
fn blocked_and_endless_cases_end_the_run_in_time() {
    let blocks = FromFn::new("blocks", kv_memory::declared(), |_| async {
        std::thread::sleep(Duration::from_secs(3_600));
        Ok(Store::new(Nothing))
    });
    let waits = FromFn::new("waits", kv_memory::declared(), |_| std::future::pending());
    let started = Instant::now();
    for (harness, says) in [(blocks, "its thread is blocked"), (waits, "did not end within 100ms")] {
        let report = Run::new(Arc::new(harness))
            .filter("gate::declares_the_same")
            .case_limit(Duration::from_millis(100))
            .run(|_| {});
        let reason = report.gates[0].reason.as_deref().unwrap();
        assert!(reason.contains(says), "{reason}");
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn mutants_and_cases_are_there() {
    assert_eq!(cases().count(), K1_CASES);
    assert!(mutants().count() > 0);
}
