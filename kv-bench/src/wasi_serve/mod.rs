//! `kv serve` under load: its rate, its latency and its memory, and its rate beside a server of wasmtime's own crates.
//!
//! First ours alone for a minute, which shows what its memory does. Then both by turns, since what the machine does meanwhile
//! would otherwise hit one of them.

mod beside;
mod load;
mod report;
mod server;

use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use clap::Args;
use kv_bench::{Pairs, Result};
use tokio::runtime::Runtime;

pub(crate) use self::beside::beside;
use self::load::{Load, drive};
use self::report::{Memory, Report, Sample, Served, Turns, mebibytes};
use self::server::Server;

/// How long a server has to settle: its memory from then on may hardly grow.
const SETTLED: Duration = Duration::from_secs(10);

/// How often its memory is read.
const BETWEEN: Duration = Duration::from_secs(1);

/// Memory is told on standard error each so many times that it is read.
const TOLD: usize = 10;

/// Measures how `kv serve` bears load: its rate and its memory, beside a server of wasmtime's own crates.
#[derive(Args, Clone)]
#[command(after_help = "\
The load runs on this machine, in one thread of this program. Memory is read on Linux only. No
request may fail, and the resident memory at the end may be at most 10 % over that at 10 s. The exit
code is 1 where that is missed, but for --quick. The whole takes three minutes and a quarter.

The server beside is made of wasmtime-wasi-http and wasmtime-wasi-keyvalue, so the guest has to
import wasi:keyvalue@0.2.0-draft, and to answer GET /hits with a count.

Examples:
  cargo build --release -p kv-cli --features wasi
  kv-bench-wasi serve target/release/kv
  kv-bench-wasi serve target/release/kv --seconds 600 --rounds 0")]
pub(crate) struct Options {
    /// The command that is measured, built with the feature `wasi`.
    #[arg(value_name = "KV")]
    kv: PathBuf,
    /// A smoke run: three seconds and one pair of short rounds. Its figures are worth nothing, and no limit is judged.
    #[arg(long)]
    quick: bool,
    /// The guest of both servers.
    #[arg(long, default_value = "guests/built/http-counter.wasm", value_name = "FILE")]
    guest: PathBuf,
    /// Connections, each of which asks again as soon as it has an answer.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// How long `kv serve` is under load alone.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Pairs of rounds, one of each server.
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// Length of a round in milliseconds.
    #[arg(long, default_value_t = 5_000, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    round_ms: u32,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
}

impl Options {
    /// The same, with what `--quick` means put in.
    fn settled(&self) -> Self {
        let mut settled = self.clone();
        if self.quick {
            settled.seconds = self.seconds.min(3);
            settled.rounds = self.rounds.min(1);
            settled.round_ms = self.round_ms.min(300);
        }
        settled
    }
}

pub(crate) fn run(options: &Options) -> Result {
    let options = options.settled();
    let runtime = load::runtime()?;
    let mut ours = Server::kv(&options.kv, &options.guest)?;
    let (load, memory) = alone(&runtime, &mut ours, &options)?;
    let alone = Served::new(&load);
    eprintln!("{:<34}{alone}", "kv serve alone");
    let turns = if options.rounds > 0 { Some(turns(&runtime, &mut ours, &options)?) } else { None };
    let report = Report { quick: options.quick, connections: options.connections, alone, memory, turns };
    println!("{}", report.markdown());
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("wasi-serve.json"), serde_json::to_string_pretty(&report)?)?;
    let missed = report.missed();
    if missed.is_empty() || options.quick { Ok(()) } else { Err(missed.join("; ").into()) }
}

/// One server under load, with its memory meanwhile.
fn alone(runtime: &Runtime, server: &mut Server, options: &Options) -> Result<(Load, Option<Memory>)> {
    let length = Duration::from_secs(options.seconds.into());
    // A short run settles early, and is read more often.
    let (settled, between) = (SETTLED.min(length / 6), BETWEEN.min(length / 6));
    let mut samples = Vec::new();
    let load = runtime.block_on(async {
        let begun = Instant::now();
        let mut due = tokio::time::interval(between);
        let mut driven = pin!(drive(&server.address, options.connections.into(), length));
        loop {
            tokio::select! {
                load = &mut driven => break load,
                _ = due.tick() => {
                    let (at, Some(bytes)) = (begun.elapsed(), server.resident()?) else { continue };
                    samples.push(Sample { seconds: at.as_secs_f64(), bytes });
                    if samples.len() % TOLD == 1 {
                        eprintln!("kv serve: {:>4.0} s, {:.1} MiB resident", at.as_secs_f64(), mebibytes(bytes));
                    }
                }
            }
        }
    });
    // First, since it says better what is wrong.
    server.check()?;
    Ok((load?, Memory::new(samples, settled)))
}

/// Both servers by turns.
fn turns(runtime: &Runtime, ours: &mut Server, options: &Options) -> Result<Turns> {
    let mut beside = Server::beside(&options.guest)?;
    let length = Duration::from_millis(options.round_ms.into());
    let round = |server: &mut Server, all: &mut Load| {
        let load = runtime.block_on(drive(&server.address, options.connections.into(), length));
        server.check()?;
        let load = load?;
        let nanos = load.nanos_a_request()?;
        all.add(load)?;
        Ok(nanos)
    };
    // Ours has long run; the other one has its first requests behind it now.
    round(&mut beside, &mut Load::none()?)?;
    let (mut our_load, mut other_load, mut pairs) = (Load::none()?, Load::none()?, Pairs::default());
    for n in 1..=options.rounds {
        pairs.by_turns(|| round(ours, &mut our_load), || round(&mut beside, &mut other_load))?;
        eprintln!(
            "by turns, {n:>2} of {}: {:.0} and {:.0} requests a second until now",
            options.rounds,
            our_load.rate(),
            other_load.rate()
        );
    }
    Ok(Turns {
        rounds: options.rounds,
        ours: Served::new(&our_load),
        beside: Served::new(&other_load),
        compared: pairs.sum_up(),
    })
}
