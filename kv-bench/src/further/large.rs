use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::Found;
use crate::client::{Client, Result};
use crate::data::Data;
use crate::engines::{Class, Engine};
use crate::latency::Latency;
use crate::pair::{Cell, Pairs, Sides};
use crate::suite::Options;
use crate::workload::{Task, Workload};

/// The large value's key and size.
const KEY: &str = "large";
const BYTES: usize = 16 << 20;

/// Callers of small gets, and how often each asks.
const CALLERS: usize = 16;
const GETS_EVERY: Duration = Duration::from_millis(1);

/// How often the large value moves. Both are the same on both sides: the faster one would else give itself more to wait
/// for, and its server too.
const TRANSFERS_EVERY: Duration = Duration::from_millis(25);

/// How long a round lasts: some dozens of transfers of the large value.
const ROUND: Duration = Duration::from_millis(500);
const QUICK_ROUND: Duration = Duration::from_millis(50);

/// What the rounds of one side did.
#[derive(Default)]
struct Done {
    gets: u64,
    transfers: u64,
    took: Duration,
}

impl Done {
    /// Adds a round; gives its p99.
    fn add(&mut self, (p99, round): (f64, Self)) -> Result<f64> {
        self.gets += round.gets;
        self.transfers += round.transfers;
        self.took += round.took;
        Ok(p99)
    }

    fn a_second(&self) -> String {
        let a_second = |count: u64| count as f64 / self.took.as_secs_f64();
        format!("{:.0} gets and {:.0} transfers of 16 MiB a second", a_second(self.gets), a_second(self.transfers))
    }
}

/// Compares how long small gets take at p99 beside a large value: ours in one store, the driver with a second connection on
/// a runtime with a thread of its own.
pub(super) fn measure<E: Engine>(
    runtime: &Runtime,
    options: &Options,
    class: Class,
    data: &Arc<Data>,
) -> Result<Found> {
    let (mut pairs, mut done) = (Pairs::default(), [Done::default(), Done::default()]);
    for _ in 0..options.stores {
        in_store::<E>(runtime, options, class, data, &mut pairs, &mut done)?;
    }
    let [ours, raw] = done;
    Ok(Found { compared: pairs.sum_up(), note: Some(format!("ours {}; raw {}", ours.a_second(), raw.a_second())) })
}

fn in_store<E: Engine>(
    runtime: &Runtime,
    options: &Options,
    class: Class,
    data: &Arc<Data>,
    pairs: &mut Pairs,
    [of_ours, of_raw]: &mut [Done; 2],
) -> Result {
    let cell = Cell { engine: E::NAME, class, workload: Workload::Get, callers: CALLERS, raw_callers: CALLERS };
    let sides = Sides::<E>::open(runtime, options.dir(), &options.with, data, &cell)?;
    let (ours, mut raw) = (sides.ours.client(), sides.raw.client());
    let value = Bytes::from(vec![b'.'; BYTES]);
    runtime.block_on(async {
        ours.set_many(vec![(KEY, value.clone())]).await?;
        raw.set_many(vec![(KEY, value.clone())]).await
    })?;
    let aside = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let raw_large = aside.block_on(E::open_raw(sides.place(), class))?;

    let length = if options.quick { QUICK_ROUND } else { ROUND };
    for _ in 0..options.rounds_a_store() {
        pairs.by_turns(
            || of_ours.add(beside(runtime, runtime, &ours, &ours, data, &value, length)?),
            || of_raw.add(beside(runtime, &aside, &raw, &raw_large, data, &value, length)?),
        )?;
    }
    sides.close(runtime)
}

/// One round: small gets on one runtime, the large value on the same or another one. Gives the gets' p99 in nanoseconds.
fn beside<C: Client>(
    runtime: &Runtime,
    large_runtime: &Runtime,
    small: &C,
    large: &C,
    data: &Arc<Data>,
    value: &Bytes,
    length: Duration,
) -> Result<(f64, Done)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let (begins, has_begun) = oneshot::channel();
    let mover = large_runtime.spawn(transfer(large.clone(), value.clone(), Arc::clone(&is_over), begins));
    runtime.block_on(async {
        if has_begun.await.is_err() {
            return Err(mover.await?.err().unwrap_or_else(|| "the large value was not moved".into()));
        }
        let begun = Instant::now();
        let until = begun + length;
        let callers: Vec<JoinHandle<Result<Latency>>> = (0..CALLERS)
            .map(|caller| {
                let task = Task::new(small.clone(), Arc::clone(data), Workload::Get, caller, CALLERS);
                tokio::spawn(paced(task, until))
            })
            .collect();
        let mut all = Latency::new()?;
        for caller in callers {
            all.add(&caller.await??)?;
        }
        let took = begun.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let transfers = mover.await??;
        Ok((all.at(0.99) as f64, Done { gets: all.count(), transfers, took }))
    })
}

/// Makes a caller's calls at their times, those that it is late for at once, with a clock around each.
async fn paced<C: Client>(mut task: Task<C>, until: Instant) -> Result<Latency> {
    let (mut latency, mut ticks) = (Latency::new()?, interval(GETS_EVERY));
    for n in 0.. {
        ticks.tick().await;
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        task.call(n).await?;
        latency.record(begun.elapsed());
    }
    Ok(latency)
}

/// Reads and writes the large value over and over; gives how often it moved.
async fn transfer<C: Client>(
    mut client: C,
    value: Bytes,
    is_over: Arc<AtomicBool>,
    begins: oneshot::Sender<()>,
) -> Result<u64> {
    let (mut begins, mut transfers, mut ticks) = (Some(begins), 0, interval(TRANSFERS_EVERY));
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let found = client.get(KEY).await?;
        if found != value.len() {
            return Err(format!("{found} instead of {} bytes of the large value", value.len()).into());
        }
        ticks.tick().await;
        client.set(KEY, &value).await?;
        transfers += 2;
        // Whoever waits for it may be gone.
        let _ = begins.take().map(|begins| begins.send(()));
    }
    Ok(transfers)
}
