//! How long a poll holds a runtime's thread where the engine itself would block it: on a cold disk, in write stalls.

mod cold;
mod stalls;

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use kv::Store;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::client::Result;
use crate::engines::{Class, Engine};
use crate::latency::Latency;
use crate::poll::LIMIT;
use crate::report::Spread;
use crate::suite::Options;

/// Callers at once.
const CALLERS: usize = 64;

/// A situation in which the engine's calls block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// What is read is neither in the engine's cache nor in the system's.
    ColdReads,
    /// More is written than the engine can put into its files.
    Stalls,
}

/// Poll times of one situation under one policy.
#[derive(Debug, Serialize)]
pub(crate) struct Blocked {
    engine: &'static str,
    durability: &'static str,
    situation: &'static str,
    /// The policy `io`.
    pub(crate) io: &'static str,
    callers: usize,
    /// Polls that were timed.
    pub(crate) polls: u64,
    /// How long each held its thread: work, and waiting for anything but a core. The promise is about this.
    pub(crate) held: Spread,
    /// How long each took by the clock. The pool's threads want the same cores.
    pub(crate) clock: Spread,
    /// The most that is promised at p99.9; none of `inline`, which may block.
    pub(crate) limit_p999_ns: Option<u64>,
    /// Whether it was kept; none where nothing is promised, or the situation did not come about.
    pub(crate) met: Option<bool>,
    /// What happened meanwhile.
    pub(crate) note: String,
}

/// What was seen in a situation.
struct Seen {
    times: Times,
    /// Whether calls had anything to block on.
    came_about: bool,
    note: String,
}

/// The times of polls, without and with those in which other threads had the core.
struct Times {
    held: Latency,
    clock: Latency,
}

impl Times {
    fn new() -> Result<Self> {
        Ok(Self { held: Latency::new()?, clock: Latency::new()? })
    }

    fn add(&mut self, other: &Self) -> Result {
        self.held.add(&other.held)?;
        self.clock.add(&other.clock)
    }

    /// Makes a call and times each of its polls.
    async fn timed<F: Future>(&mut self, call: F) -> F::Output {
        let mut call = pin!(call);
        poll_fn(|cx| {
            let (waited, begun) = (waited_for_a_core(), Instant::now());
            let polled = call.as_mut().poll(cx);
            let took = begun.elapsed();
            self.clock.record(took);
            self.held.record(took.saturating_sub(waited_for_a_core().saturating_sub(waited)));
            polled
        })
        .await
    }
}

/// How long this thread could have run and was not let, by the kernel's account; zero where there is none.
fn waited_for_a_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or_default())
}

/// Our store with these options, instead of those that the run gives for the same.
async fn opened<E: Engine>(place: &E::Place, options: &Options, class: Class, with: &[&str]) -> Result<Store> {
    E::open(place, class, &options.with_own(with)).await
}

impl Blocking {
    /// The name in reports and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ColdReads => "polls-cold-get",
            Self::Stalls => "polls-stalled-set",
        }
    }

    /// Watches an engine under the default policy, and beside it with `io=inline`.
    pub(crate) fn probe<E: Engine>(self, runtime: &Runtime, options: &Options, class: Class) -> Result<Vec<Blocked>> {
        match self {
            Self::ColdReads => {
                let folder = cold::Folder::<E>::fill(runtime, options, class)?;
                ["auto", "inline"]
                    .map(|io| Ok(self.told::<E>(class, io, folder.read(runtime, options, class, io)?)))
                    .into_iter()
                    .collect()
            }
            Self::Stalls => ["auto", "inline"]
                .map(|io| Ok(self.told::<E>(class, io, stalls::write::<E>(runtime, options, class, io)?)))
                .into_iter()
                .collect(),
        }
    }

    fn told<E: Engine>(self, class: Class, io: &'static str, seen: Seen) -> Blocked {
        let held = Spread::of(&seen.times.held);
        let limit_p999_ns = (io == "auto").then_some(LIMIT.as_nanos() as u64);
        let met = limit_p999_ns.filter(|_| seen.came_about).map(|limit| held.p999_ns <= limit);
        Blocked {
            engine: E::NAME,
            durability: class.name,
            situation: self.name(),
            io,
            callers: CALLERS,
            polls: seen.times.held.count(),
            held,
            clock: Spread::of(&seen.times.clock),
            limit_p999_ns,
            met,
            note: seen.note,
        }
    }
}

impl Blocked {
    /// What was watched.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.engine, self.durability, self.situation, self.callers)
    }

    /// How it ended, in words.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.limit_p999_ns, self.met) {
            (_, Some(true)) => "kept",
            (_, Some(false)) => "**missed**",
            (Some(_), None) => "not shown",
            (None, None) => "",
        }
    }
}

/// The line that is shown while the run goes on.
impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { io, polls, held, clock, note, .. } = self;
        let Spread { p50_ns, p99_ns, p999_ns, max_ns } = held;
        let verdict = self.verdict().replace("**missed**", "MISSED");
        write!(
            f,
            "    io={io}: {polls} polls, p50 {p50_ns} ns, p99 {p99_ns} ns, p99.9 {p999_ns} ns ({} ns by the clock), longest \
             {max_ns} ns  {verdict}\n    {note}",
            clock.p999_ns
        )
    }
}
