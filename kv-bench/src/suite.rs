//! Which cells there are, and running them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::allocs::{Allocs, Counts};
use crate::blocking::Blocking;
use crate::client::Result;
use crate::data::Data;
use crate::engines::{BUSY, Class, Engine, Visitor, for_each};
use crate::further::Further;
use crate::latency::Latency;
use crate::pair::{Cell, Pairs, Side, Sides};
use crate::report::{LeftOut, Report, Row};
use crate::workload::Workload;
use crate::{poll, scale};

/// Rounds' worth of calls that the latency pass of each pair of stores makes: percentiles need more calls than a mean.
const LATENCY_ROUNDS: usize = 2;

/// Measures the providers beside the raw drivers.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// A smoke run: few records, few and short rounds. Its figures are worth nothing.
    #[arg(long)]
    pub quick: bool,
    /// Only what has this in its name, such as sled/relaxed/get; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub filter: Vec<String>,
    /// Only this engine; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub engine: Vec<String>,
    /// Prints the names of what would be measured.
    #[arg(long)]
    pub list: bool,
    /// Opens this store with all its buckets, and says what that cost: for the process that measures many buckets.
    #[arg(long, value_name = "URL", hide = true)]
    pub reopen: Option<String>,
    /// Pairs of rounds for each row, rounded up to as many for each of its stores.
    #[arg(long, default_value_t = 24)]
    pub rounds: usize,
    /// Fresh pairs of stores for each row, one after another: where a store happens to lie in memory makes a
    /// difference of some per cent that no number of rounds evens out.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    pub stores: u16,
    /// Length of a round in milliseconds.
    #[arg(long, default_value_t = 100, value_name = "MS")]
    pub round_ms: u64,
    /// Records in each store.
    #[arg(long, default_value_t = 100_000)]
    pub records: usize,
    /// Length of a value in bytes.
    #[arg(long, default_value_t = 100)]
    pub value_bytes: usize,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    pub out: PathBuf,
    /// Where the stores stand while they are measured; --out if not given. Its disk is what durable writes measure.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// A further option of our stores' URLs, such as io=inline; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub with: Vec<String>,
    /// What the machine is, for the report: "two-core VM, virtual SSD".
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub machine: String,
    /// Copies the Markdown report and the chart into this folder, as benchmarks.md and benchmarks.svg.
    #[arg(long, value_name = "DIR")]
    pub publish: Option<PathBuf>,
}

impl Options {
    /// The same, with what `--quick` means put in.
    #[must_use]
    pub fn settled(mut self) -> Self {
        if self.quick {
            self.rounds = self.rounds.min(3);
            self.stores = 1;
            self.round_ms = self.round_ms.min(5);
            // Each of 64 callers needs a batch of 100 keys of its own.
            self.records = self.records.min(8_000);
        }
        self.rounds = self.rounds.next_multiple_of(usize::from(self.stores));
        self
    }

    fn wants(&self, engine: &str, name: &str) -> bool {
        (self.engine.is_empty() || self.engine.iter().any(|wanted| wanted == engine))
            && (self.filter.is_empty() || self.filter.iter().any(|text| name.contains(text)))
    }

    /// Whether a filter has the last part of the name in it, whole.
    fn names(&self, engine: &str, name: &str) -> bool {
        let last = name.rsplit('/').next().unwrap_or(name);
        self.wants(engine, name) && self.filter.iter().any(|text| text.contains(last))
    }

    /// The options of our stores' URLs, with these instead of others of the same name.
    pub(crate) fn with_own(&self, own: &[&str]) -> Vec<String> {
        let name = |option: &str| option.split('=').next().map(str::to_owned);
        let kept = self.with.iter().filter(|option| own.iter().all(|own| name(own) != name(option)));
        kept.cloned().chain(own.iter().map(|own| (*own).to_owned())).collect()
    }

    pub(crate) fn dir(&self) -> &PathBuf {
        self.dir.as_ref().unwrap_or(&self.out)
    }

    /// Pairs of rounds in each of the stores.
    pub(crate) fn rounds_a_store(&self) -> usize {
        self.rounds / usize::from(self.stores)
    }

    pub(crate) fn round(&self) -> Duration {
        Duration::from_millis(self.round_ms)
    }
}

/// The runtime that all tasks of both sides run on: as many threads as the machine has.
///
/// # Errors
///
/// What the system has.
pub fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// One run over all engines.
pub struct Suite<'a> {
    options: &'a Options,
    runtime: Runtime,
    data: Arc<Data>,
    work: Work<'a>,
}

enum Work<'a> {
    List,
    Measure { allocs: Allocs, report: &'a mut Report },
    Count { allocs: &'a mut Allocs, count: &'a Count<'a> },
}

/// Runs what it is given and counts the allocations meanwhile.
type Count<'a> = dyn Fn(&mut dyn FnMut() -> Result) -> Result<u64> + 'a;

impl<'a> Suite<'a> {
    fn new(options: &'a Options, work: Work<'a>) -> Result<Self> {
        std::fs::create_dir_all(&options.out)?;
        std::fs::create_dir_all(options.dir())?;
        let data = Arc::new(Data::new(options.records, options.value_bytes));
        Ok(Self { options, runtime: runtime()?, data, work })
    }

    /// Prints the names of everything there is.
    ///
    /// # Errors
    ///
    /// What the system has.
    pub fn list(options: &Options) -> Result {
        for_each(&mut Suite::new(options, Work::List)?)
    }

    /// Measures and gives the report.
    ///
    /// # Errors
    ///
    /// What a store has, and a sentence if nothing matched.
    pub fn measure(options: &Options) -> Result<Report> {
        let mut report = Report::new(options);
        let allocs = Allocs::read(&options.out)?;
        for_each(&mut Suite::new(options, Work::Measure { allocs, report: &mut report })?)?;
        if report.is_empty() {
            if let Some(LeftOut { engine, why }) = report.left_out.first() {
                return Err(format!("nothing was measured: {engine} is left out, because {why}").into());
            }
            return Err("nothing to measure has such a name; --list shows the names there are".into());
        }
        Ok(report)
    }

    /// Counts allocations.
    ///
    /// # Errors
    ///
    /// What a store has.
    pub fn count(options: &Options, count: &dyn Fn(&mut dyn FnMut() -> Result) -> Result<u64>) -> Result<Allocs> {
        let mut allocs = Allocs::default();
        for_each(&mut Suite::new(options, Work::Count { allocs: &mut allocs, count })?)?;
        Ok(allocs)
    }

    fn cell<E: Engine>(&mut self, cell: &Cell) -> Result {
        let (options, runtime, name) = (self.options, &self.runtime, cell.name());
        let open = || {
            let mut sides = Sides::<E>::open(runtime, options.dir(), &options.with, &self.data, cell)?;
            sides.ours.calibrate(runtime, options.round())?;
            sides.raw.calibrate(runtime, options.round())?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(sides)
        };
        match &mut self.work {
            Work::List => {}
            Work::Measure { allocs, report } => {
                let (mut pairs, mut latency, mut raw_latency) = (Pairs::default(), Latency::new()?, Latency::new()?);
                for _ in 0..options.stores {
                    let mut sides = open()?;
                    sides.compare(runtime, options.rounds_a_store(), &mut pairs)?;
                    latency.add(&sides.ours.latency(runtime, LATENCY_ROUNDS)?)?;
                    raw_latency.add(&sides.raw.latency(runtime, LATENCY_ROUNDS)?)?;
                    sides.close(runtime)?;
                }
                let row = Row::new(cell, options, pairs.sum_up(), &latency, &raw_latency, allocs.get(&name));
                eprintln!("{name:<34}{row}");
                report.rows.push(row);
            }
            Work::Count { allocs, count } => {
                let mut sides = open()?;
                let ours = per_call(&mut sides.ours, runtime, *count)?;
                let raw = per_call(&mut sides.raw, runtime, *count)?;
                allocs.insert(name, Counts { ours, raw });
                sides.close(runtime)?;
            }
        }
        Ok(())
    }

    fn probe<E: Engine>(&mut self, name: &str, class: Class, probe: Probe) -> Result {
        let Work::Measure { report, .. } = &mut self.work else { return Ok(()) };
        eprintln!("{name}");
        match probe {
            Probe::Polls => report.polls.push(poll::probe::<E>(&self.runtime, self.options, class, &self.data)?),
            Probe::Listing => report.listings.push(scale::listing::<E>(&self.runtime, self.options, class)?),
            Probe::Buckets => report.buckets.push(scale::buckets::<E>(&self.runtime, self.options, class)?),
            Probe::Blocking(blocking) => {
                for blocked in blocking.probe::<E>(&self.runtime, self.options, class)? {
                    eprintln!("{blocked}");
                    report.blocked.push(blocked);
                }
            }
            Probe::Further(further) => {
                let promised = further.measure::<E>(&self.runtime, self.options, class, &self.data)?;
                eprintln!("{promised}");
                report.promises.push(promised);
            }
        }
        Ok(())
    }
}

impl Visitor for Suite<'_> {
    fn visit<E: Engine>(&mut self) -> Result {
        let mut jobs = jobs::<E>();
        jobs.retain(|(name, job)| match job {
            Job::Probe(_, probe) if probe.is_long() && !matches!(self.work, Work::List) => {
                self.options.names(E::NAME, name)
            }
            _ => self.options.wants(E::NAME, name),
        });
        if let Some(why) = E::lacking()
            && !jobs.is_empty()
        {
            eprintln!("{} is left out: {why}", E::NAME);
            if let Work::Measure { report, .. } = &mut self.work {
                report.left_out.push(LeftOut { engine: E::NAME, why });
            }
            return Ok(());
        }
        for (name, job) in jobs {
            match job {
                _ if matches!(self.work, Work::List) => println!("{name}"),
                Job::Cell(cell) => self.cell::<E>(&cell)?,
                Job::Probe(class, probe) => self.probe::<E>(&name, class, probe)?,
            }
        }
        Ok(())
    }
}

/// One thing to do.
enum Job {
    Cell(Cell),
    Probe(Class, Probe),
}

/// What is measured beside the workloads.
#[derive(Clone, Copy)]
enum Probe {
    Polls,
    Listing,
    Buckets,
    Blocking(Blocking),
    Further(Further),
}

impl Probe {
    /// Whether it takes minutes, and so is only done where a filter names it.
    fn is_long(self) -> bool {
        matches!(self, Self::Further(further) if further.is_long())
    }
}

/// All that there is to do with an engine, by names for filters.
fn jobs<E: Engine>() -> Vec<(String, Job)> {
    let mut jobs = Vec::new();
    for (at, class) in E::CLASSES.iter().copied().enumerate() {
        jobs.extend(cells::<E>(class, at == 0).into_iter().map(|cell| (cell.name(), Job::Cell(cell))));
        let mut probe = |what: &str, probe| {
            jobs.push((format!("{}/{}/{what}", E::NAME, class.name), Job::Probe(class, probe)));
        };
        probe("polls", Probe::Polls);
        if at == 0 {
            probe("listing", Probe::Listing);
            probe("buckets", Probe::Buckets);
        }
        for blocking in E::blocks(class) {
            probe(blocking.name(), Probe::Blocking(*blocking));
        }
        for further in E::further(class) {
            probe(further.name(), Probe::Further(*further));
        }
    }
    jobs
}

/// The cells of a class: all workloads in an engine's first class, those that write in the others, where many
/// callers that share a flush also stand beside one raw caller that has each to itself.
fn cells<E: Engine>(class: Class, first: bool) -> Vec<Cell> {
    let engine = E::NAME;
    let mut cells = Vec::new();
    for workload in Workload::ALL {
        if !first && !workload.writes() {
            continue;
        }
        for callers in E::callers(workload).iter().copied() {
            cells.push(Cell { engine, class, workload, callers, raw_callers: callers });
        }
        if !first && workload == Workload::Set {
            cells.push(Cell { engine, class, workload, callers: BUSY, raw_callers: 1 });
        }
    }
    cells
}

fn per_call<C: crate::Client>(side: &mut Side<C>, runtime: &Runtime, count: &Count<'_>) -> Result<f64> {
    let allocations = count(&mut || side.round(runtime).map(drop))?;
    Ok(allocations as f64 / side.calls() as f64)
}
