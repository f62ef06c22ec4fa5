//! How long a poll of our futures holds a runtime's thread (RUN-2), and what that does to a timer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Runtime;

use crate::Cell;
use crate::client::{Client, Raw, Result};
use crate::data::Data;
use crate::engines::{Class, Engine};
use crate::latency::Latency;
use crate::pair::Sides;
use crate::report::Spread;
use crate::suite::Options;
use crate::workload::Workload;

/// Writers that keep the store busy.
const WRITERS: usize = 64;

/// How long each side is watched.
const LENGTH: Duration = Duration::from_secs(3);

/// As [`LENGTH`], for smoke runs.
const QUICK: Duration = Duration::from_millis(100);

/// The timer whose delay is measured.
const TICK: Duration = Duration::from_millis(1);

/// The longest that a poll may last at p99.9 (RUN-2).
pub(crate) const LIMIT: Duration = Duration::from_millis(1);

/// Poll times of `set` under saturating load, and a timer's delay beside them.
#[derive(Debug, Serialize)]
pub(crate) struct Polls {
    engine: &'static str,
    durability: &'static str,
    workload: &'static str,
    callers: usize,
    value_bytes: usize,
    /// Polls that were timed.
    pub(crate) polls: u64,
    /// How long they took.
    pub(crate) poll: Spread,
    /// The most that RUN-2 allows at p99.9.
    pub(crate) limit_p999_ns: u64,
    /// Whether it was kept.
    pub(crate) met: bool,
    /// How late a timer of 1 ms was, beside our provider.
    pub(crate) timer: Timer,
    /// Likewise beside the raw driver called in the tasks, which yield after each call.
    pub(crate) timer_raw_inline: Timer,
    /// Likewise beside the raw driver called through the blocking pool; none of a driver whose calls do not block.
    pub(crate) timer_raw_blocking: Option<Timer>,
}

/// How late a timer was.
#[derive(Debug, Serialize)]
pub(crate) struct Timer {
    /// Nanoseconds beyond its time.
    #[serde(flatten)]
    pub(crate) late: Spread,
    /// Writes that were done meanwhile, a second.
    pub(crate) writes_per_second: u64,
}

impl Polls {
    /// What was watched.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.engine, self.durability, self.workload, self.callers)
    }
}

/// Watches one class of an engine.
pub(crate) fn probe<E: Engine>(runtime: &Runtime, options: &Options, class: Class, data: &Arc<Data>) -> Result<Polls> {
    let cell = Cell { engine: E::NAME, class, workload: Workload::Set, callers: WRITERS, raw_callers: WRITERS };
    let sides = Sides::<E>::open(runtime, options.dir(), &options.with, data, &cell)?;
    let length = if options.quick { QUICK } else { LENGTH };
    let (ours, raw) = (sides.ours.client(), sides.raw.client());
    // The first pass warms up.
    let mut watched = None;
    for _ in 0..2 {
        watched =
            Some(watch(runtime, length, |caller, until| ours_polled(ours.clone(), Arc::clone(data), caller, until))?);
    }
    let (timer, polls) = watched.ok_or("nothing was watched")?;
    let (timer_raw_inline, _) =
        watch(runtime, length, |caller, until| raw_inline(raw.clone(), Arc::clone(data), caller, until))?;
    let timer_raw_blocking = match raw.blocking() {
        None => None,
        Some(_) => {
            Some(watch(runtime, length, |caller, until| raw_blocking(raw.clone(), Arc::clone(data), caller, until))?.0)
        }
    };
    sides.close(runtime)?;

    let poll = Spread::of(&polls);
    let limit_p999_ns = LIMIT.as_nanos() as u64;
    Ok(Polls {
        engine: E::NAME,
        durability: class.name,
        workload: Workload::Set.name(),
        callers: WRITERS,
        value_bytes: data.value_bytes(),
        polls: polls.count(),
        met: poll.p999_ns <= limit_p999_ns,
        poll,
        limit_p999_ns,
        timer,
        timer_raw_inline,
        timer_raw_blocking,
    })
}

/// What a writer did.
struct Written {
    writes: u64,
    polls: Latency,
}

/// Runs the writers and the timer beside them.
fn watch<F>(runtime: &Runtime, length: Duration, writer: impl Fn(usize, Instant) -> F) -> Result<(Timer, Latency)>
where
    F: Future<Output = Result<Written>> + Send + 'static,
{
    runtime.block_on(async {
        let begun = Instant::now();
        let until = begun + length;
        let timer = tokio::spawn(tick(until));
        let writers: Vec<_> = (0..WRITERS).map(|caller| tokio::spawn(writer(caller, until))).collect();
        let mut writes = 0;
        let mut polls = Latency::new()?;
        for writer in writers {
            let written = writer.await??;
            writes += written.writes;
            polls.add(&written.polls)?;
        }
        // The last calls end after the time is over.
        let writes_per_second = (writes as f64 / begun.elapsed().as_secs_f64()) as u64;
        let late = Spread::of(&timer.await??);
        Ok((Timer { late, writes_per_second }, polls))
    })
}

/// Sleeps again and again and records how much too long.
async fn tick(until: Instant) -> Result<Latency> {
    let mut late = Latency::new()?;
    while Instant::now() < until {
        let begun = Instant::now();
        tokio::time::sleep(TICK).await;
        late.record(begun.elapsed().saturating_sub(TICK));
    }
    Ok(late)
}

async fn ours_polled<C: Client>(mut client: C, data: Arc<Data>, caller: usize, until: Instant) -> Result<Written> {
    let keys = data.share(caller, WRITERS);
    let mut written = Written { writes: 0, polls: Latency::new()? };
    for (n, key) in keys.iter().cycle().enumerate() {
        if Instant::now() >= until {
            break;
        }
        timed(client.set(key, data.value(n)), &mut written.polls).await?;
        written.writes += 1;
    }
    Ok(written)
}

/// Makes a call with a clock around each of its polls.
async fn timed<F: Future>(call: F, polls: &mut Latency) -> F::Output {
    let mut call = pin!(call);
    poll_fn(|cx| {
        let begun = Instant::now();
        let polled = call.as_mut().poll(cx);
        polls.record(begun.elapsed());
        polled
    })
    .await
}

/// Nanoseconds a `set` of 64 writers, for the length of a round: the round's time by the calls of all.
pub(crate) fn nanos_a_set<C: Client>(runtime: &Runtime, length: Duration, client: &C, data: &Arc<Data>) -> Result<f64> {
    let (timer, _) =
        watch(runtime, length, |caller, until| ours_polled(client.clone(), Arc::clone(data), caller, until))?;
    Ok(1e9 / timer.writes_per_second as f64)
}

/// Likewise of the raw driver's blocking call, in the blocking pool.
pub(crate) fn nanos_a_set_in_pool<R: Raw>(
    runtime: &Runtime,
    length: Duration,
    raw: &R,
    data: &Arc<Data>,
) -> Result<f64> {
    let (timer, _) =
        watch(runtime, length, |caller, until| raw_blocking(raw.clone(), Arc::clone(data), caller, until))?;
    Ok(1e9 / timer.writes_per_second as f64)
}

async fn raw_inline<R: Raw>(mut raw: R, data: Arc<Data>, caller: usize, until: Instant) -> Result<Written> {
    let keys = data.share(caller, WRITERS);
    let mut written = Written { writes: 0, polls: Latency::new()? };
    for (n, key) in keys.iter().cycle().enumerate() {
        if Instant::now() >= until {
            break;
        }
        raw.set(key, data.value(n)).await?;
        written.writes += 1;
        // Calls that are always ready would otherwise keep the thread until the end.
        tokio::task::yield_now().await;
    }
    Ok(written)
}

async fn raw_blocking<R: Raw>(raw: R, data: Arc<Data>, caller: usize, until: Instant) -> Result<Written> {
    let keys = data.share(caller, WRITERS);
    let mut written = Written { writes: 0, polls: Latency::new()? };
    for (n, key) in keys.iter().cycle().enumerate() {
        if Instant::now() >= until {
            break;
        }
        let (raw, key, value) = (raw.clone(), key.clone(), data.value(n).clone());
        let set = move || raw.blocking().map_or(Ok(()), |raw| raw.set_now(&key, &value));
        tokio::task::spawn_blocking(set).await??;
        written.writes += 1;
    }
    Ok(written)
}
