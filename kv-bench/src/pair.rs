//! Our provider and the raw driver by turns, so that what the machine does meanwhile hits both.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kv::{Bucket, Store};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::client::{Client, Result};
use crate::data::Data;
use crate::engines::{Class, Engine};
use crate::latency::{Latency, timed};
use crate::suite::Options;
use crate::workload::{Task, Workload};

/// What one row of the report compares.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The engine's name.
    pub engine: &'static str,
    /// The durability class of both sides.
    pub class: Class,
    /// What both sides do.
    pub workload: Workload,
    /// Tasks that call our provider at the same time.
    pub callers: usize,
    /// Tasks that call the raw driver at the same time.
    pub raw_callers: usize,
}

impl Cell {
    /// The cell's name, for filters: `sled/power/set/64`.
    #[must_use]
    pub fn name(&self) -> String {
        let Self { engine, class, workload, callers, raw_callers } = self;
        let beside = if callers == raw_callers { String::new() } else { format!("-beside-{raw_callers}") };
        format!("{engine}/{}/{}/{callers}{beside}", class.name, workload.name())
    }
}

/// One of the two sides of a cell.
pub struct Side<C: Client> {
    client: C,
    data: Arc<Data>,
    workload: Workload,
    callers: usize,
    /// The number of each caller's next call.
    next: usize,
    /// Calls that each caller makes in a round.
    per_caller: usize,
}

impl<C: Client> Side<C> {
    pub(crate) fn new(client: C, data: &Arc<Data>, workload: Workload, callers: usize) -> Self {
        Self { client, data: Arc::clone(data), workload, callers, next: 0, per_caller: 1 }
    }

    /// Finds how many calls fill a round of `length`, and warms up meanwhile.
    ///
    /// # Errors
    ///
    /// What the calls have.
    pub(crate) fn calibrate(&mut self, runtime: &Runtime, length: Duration) -> Result {
        let mut took = self.round(runtime)?;
        while took < length / 4 {
            self.per_caller *= 2;
            took = self.round(runtime)?;
        }
        // The second time on warm ground: the first estimate often comes out too low.
        self.fit(length, took);
        took = self.round(runtime)?;
        self.fit(length, took);
        Ok(())
    }

    fn fit(&mut self, length: Duration, took: Duration) {
        let calls = self.per_caller as f64 * length.as_secs_f64() / took.as_secs_f64();
        self.per_caller = (calls as usize).max(1);
    }

    /// The side's client.
    pub(crate) fn client(&self) -> C {
        self.client.clone()
    }

    /// Calls of one round, of all callers.
    #[must_use]
    pub(crate) fn calls(&self) -> usize {
        self.per_caller * self.callers
    }

    /// Fixes how many calls a round makes, of all callers, rounded up to as many for each caller.
    pub fn set_calls(&mut self, calls: usize) {
        self.per_caller = calls.div_ceil(self.callers).max(1);
    }

    /// Runs a round: one task for each caller, spawned together, joined together.
    ///
    /// # Errors
    ///
    /// What the calls have.
    pub fn round(&mut self, runtime: &Runtime) -> Result<Duration> {
        let numbers = self.numbers(self.per_caller);
        runtime.block_on(async {
            let begun = Instant::now();
            let callers: Vec<_> = (0..self.callers)
                .map(|caller| {
                    let (mut task, numbers) = (self.task(caller), numbers.clone());
                    tokio::spawn(async move {
                        for n in numbers {
                            task.call(n).await?;
                        }
                        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
                    })
                })
                .collect();
            for caller in callers {
                caller.await??;
            }
            Ok(begun.elapsed())
        })
    }

    /// Runs a round; gives nanoseconds a call: the round's time by the calls of all callers.
    ///
    /// # Errors
    ///
    /// What the calls have.
    pub(crate) fn nanos_a_call(&mut self, runtime: &Runtime) -> Result<f64> {
        Ok(self.round(runtime)?.as_nanos() as f64 / self.calls() as f64)
    }

    /// Runs `rounds` rounds in one, with a clock around each call. Not for throughput: the clock costs time.
    ///
    /// # Errors
    ///
    /// What the calls have.
    pub(crate) fn latency(&mut self, runtime: &Runtime, rounds: usize) -> Result<Latency> {
        let numbers = self.numbers(self.per_caller * rounds);
        runtime.block_on(async {
            let callers: Vec<_> =
                (0..self.callers).map(|caller| tokio::spawn(timed(self.task(caller), numbers.clone()))).collect();
            let mut all = Latency::new()?;
            for caller in callers {
                all.add(&caller.await??)?;
            }
            Ok(all)
        })
    }

    fn numbers(&mut self, calls: usize) -> std::ops::Range<usize> {
        let from = self.next;
        self.next += calls;
        from..self.next
    }

    fn task(&self, caller: usize) -> Task<C> {
        Task::new(self.client.clone(), Arc::clone(&self.data), self.workload, caller, self.callers)
    }
}

/// Which side is filled first, another one each time: the second often lies in worse memory.
static RAW_IS_NEXT: AtomicBool = AtomicBool::new(true);

/// Both sides of a cell, each with a fresh store in the same place, filled alike.
pub struct Sides<E: Engine> {
    /// Our provider.
    pub ours: Side<Bucket>,
    /// The raw driver.
    pub raw: Side<E::Raw>,
    store: Store,
    /// Goes last: the stores stand in it.
    place: E::Place,
}

impl<E: Engine> Sides<E> {
    /// Opens and fills both stores in a new place under `dir`; `with` holds further options for ours.
    ///
    /// # Errors
    ///
    /// What the place and the stores have.
    pub fn open(runtime: &Runtime, dir: &Path, with: &[String], data: &Arc<Data>, cell: &Cell) -> Result<Self> {
        let place = E::place(dir)?;
        let fill = cell.workload.fill();
        let (raw, store, bucket) = runtime.block_on(async {
            let mut raw = E::open_raw(&place, cell.class).await?;
            let store = E::open(&place, cell.class, with).await?;
            let mut bucket = store.open_bucket("bench").await?;
            if RAW_IS_NEXT.fetch_not(Ordering::Relaxed) {
                data.fill(&mut raw, fill).await?;
                data.fill(&mut bucket, fill).await?;
            } else {
                data.fill(&mut bucket, fill).await?;
                data.fill(&mut raw, fill).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((raw, store, bucket))
        })?;
        Ok(Self {
            ours: Side::new(bucket, data, cell.workload, cell.callers),
            raw: Side::new(raw, data, cell.workload, cell.raw_callers),
            store,
            place,
        })
    }

    /// Closes both stores and opens them again, with a cache of so many MiB if not the usual one: what was written is in
    /// the engine's files then, where it has any.
    ///
    /// # Errors
    ///
    /// What the stores have.
    pub(crate) fn reopened(
        self,
        runtime: &Runtime,
        options: &Options,
        data: &Arc<Data>,
        cell: &Cell,
        cache_mb: Option<usize>,
    ) -> Result<Self> {
        let Self { ours, raw, store, place } = self;
        let (raw, store, bucket) = runtime.block_on(async {
            drop((ours, raw));
            store.close().await?;
            let (raw, store) = match cache_mb {
                None => (E::open_raw(&place, cell.class).await?, E::open(&place, cell.class, &options.with).await?),
                Some(mebibytes) => (
                    E::open_raw_cached(&place, cell.class, mebibytes).await?,
                    E::open(&place, cell.class, &options.with_own(&[&format!("cache_mb={mebibytes}")])).await?,
                ),
            };
            let bucket = store.open_bucket("bench").await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((raw, store, bucket))
        })?;
        Ok(Self {
            ours: Side::new(bucket, data, cell.workload, cell.callers),
            raw: Side::new(raw, data, cell.workload, cell.raw_callers),
            store,
            place,
        })
    }

    /// Measures both sides by turns and adds what it finds to `pairs`.
    ///
    /// # Errors
    ///
    /// What the calls have.
    pub(crate) fn compare(&mut self, runtime: &Runtime, rounds: usize, pairs: &mut Pairs) -> Result {
        for _ in 0..rounds {
            pairs.by_turns(|| self.ours.nanos_a_call(runtime), || self.raw.nanos_a_call(runtime))?;
        }
        Ok(())
    }

    /// Where the stores stand.
    pub(crate) fn place(&self) -> &E::Place {
        &self.place
    }

    /// Closes our store; the raw one ends with its last handle.
    ///
    /// # Errors
    ///
    /// What closing has.
    pub fn close(self, runtime: &Runtime) -> Result {
        Ok(runtime.block_on(self.store.close())?)
    }
}

/// What two things that were measured by turns took, in nanoseconds: a call of ours and of the raw driver, as a rule.
#[derive(Default)]
pub struct Pairs {
    ours: Vec<f64>,
    raw: Vec<f64>,
    ratios: Vec<f64>,
}

impl Pairs {
    /// Measures one thing and another, each in nanoseconds, beginning with another one each time, also from one pair of
    /// stores to the next.
    ///
    /// # Errors
    ///
    /// What the two have.
    pub fn by_turns(&mut self, mut ours: impl FnMut() -> Result<f64>, mut raw: impl FnMut() -> Result<f64>) -> Result {
        let (ours, raw) = if self.ratios.len().is_multiple_of(2) {
            let ours = ours()?;
            (ours, raw()?)
        } else {
            let raw = raw()?;
            (ours()?, raw)
        };
        self.add(ours, raw);
        Ok(())
    }

    fn add(&mut self, ours: f64, raw: f64) {
        self.ours.push(ours);
        self.raw.push(raw);
        self.ratios.push(ours / raw);
    }

    /// The medians, and the ratio's range.
    #[must_use]
    pub fn sum_up(mut self) -> Compared {
        for values in [&mut self.ours, &mut self.raw, &mut self.ratios] {
            values.sort_by(f64::total_cmp);
        }
        Compared {
            provider_ns: rounded(median(&self.ours), 1.0),
            raw_ns: rounded(median(&self.raw), 1.0),
            ratio: rounded(median(&self.ratios), 10_000.0),
            ratio_min: rounded(self.ratios.first().copied().unwrap_or(f64::NAN), 10_000.0),
            ratio_max: rounded(self.ratios.last().copied().unwrap_or(f64::NAN), 10_000.0),
        }
    }
}

/// Our provider against the raw driver.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Median nanoseconds a call of our provider: time of a round by calls of all callers.
    pub provider_ns: f64,
    /// Likewise of the raw driver.
    pub raw_ns: f64,
    /// Median of the ratios of the pairs; not the ratio of the medians.
    pub ratio: f64,
    /// The lowest pair.
    pub ratio_min: f64,
    /// The highest pair.
    pub ratio_max: f64,
}

/// The middle of sorted values.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = (sorted.len() / 2).checked_sub(1).and_then(|at| sorted.get(at)).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

pub(crate) fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_pairs() {
        let mut pairs = Pairs::default();
        for (ours, raw) in [(120.0, 100.0), (1_000.0, 100.0), (110.0, 100.0)] {
            pairs.add(ours, raw);
        }
        let all = pairs.sum_up();
        assert_eq!((all.provider_ns, all.raw_ns), (120.0, 100.0));
        assert_eq!((all.ratio, all.ratio_min, all.ratio_max), (1.2, 1.1, 10.0));
    }

    #[test]
    fn an_even_number_has_its_median_between_two() {
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
    }
}
