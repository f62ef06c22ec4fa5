//! The single-call workloads under criterion, our provider beside the raw driver.
//!
//! For following one workload over time. The ratios that the project promises come from `cargo xtask bench`, which
//! runs the two sides by turns.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use kv_bench::{Cell, Client, Data, Engine, Result, Side, Sides, Visitor, Workload, for_each, runtime};
use tokio::runtime::Runtime;

const RECORDS: usize = 100_000;

/// Records where nothing is measured: `cargo test --benches` only tries whether it runs.
const TRIED_RECORDS: usize = 1_000;

const VALUE_BYTES: usize = 100;

struct Groups<'a> {
    criterion: &'a mut Criterion,
    runtime: Runtime,
    data: Arc<Data>,
}

impl Visitor for Groups<'_> {
    fn visit<E: Engine>(&mut self) -> Result {
        if let Some(why) = E::lacking() {
            eprintln!("{} is left out: {why}", E::NAME);
            return Ok(());
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        for (at, class) in E::CLASSES.iter().copied().enumerate() {
            for workload in [Workload::Get, Workload::Set, Workload::Increment] {
                if at > 0 && !workload.writes() {
                    continue;
                }
                let cell = Cell { engine: E::NAME, class, workload, callers: 1, raw_callers: 1 };
                let name = format!("{}-{}-{}", E::NAME, class.name, workload.name());
                let mut group = self.criterion.benchmark_group(name);
                let mut sides = Sides::<E>::open(&self.runtime, dir, &[], &self.data, &cell)?;
                side(&mut group, "kv", &mut sides.ours, &self.runtime);
                side(&mut group, "raw", &mut sides.raw, &self.runtime);
                group.finish();
                sides.close(&self.runtime)?;
            }
        }
        Ok(())
    }
}

fn side<C: Client>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, side: &mut Side<C>, runtime: &Runtime) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|calls| {
            side.set_calls(calls as usize);
            side.round(runtime).unwrap_or_else(|error| panic!("{name}: {error}"))
        });
    });
}

fn workloads(criterion: &mut Criterion) {
    let runtime = runtime().unwrap_or_else(|error| panic!("no runtime: {error}"));
    let measures = std::env::args().any(|arg| arg == "--bench");
    let data = Arc::new(Data::new(if measures { RECORDS } else { TRIED_RECORDS }, VALUE_BYTES));
    for_each(&mut Groups { criterion, runtime, data }).unwrap_or_else(|error| panic!("{error}"));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = workloads
}
criterion_main!(benches);
