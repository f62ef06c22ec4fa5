//! Measures the host for WebAssembly guests: beside wasmtime's own `wasi:keyvalue`, and beside the provider's own call.
//!
//! The same guest, `guests/built/bench.wasm`, on engines that are set up alike, both with data in memory. Nothing here takes
//! long, so rounds of both sides go by turns as they do for the providers. How `kv serve` bears load is a part of its own.

mod wasi_serve;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use kv::Store;
use kv_bench::{Compared, Pairs, Result};
use kv_wasi::{Access, Guest, Host, KvCtx, KvCtxView, KvView, Ticker};
use serde::Serialize;
use tokio::runtime::Runtime;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable, TypedFunc};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx, WasiKeyValueCtxBuilder};

/// The guest's bucket: the only one that wasmtime's own host has.
const BUCKET: &str = "";
const KEY: &str = "key";
const VALUE_BYTES: usize = 100;

/// Nanoseconds that a call may take more on our host, and that it may take more than the provider's own.
const MORE_THAN_OTHER: f64 = 300.0;
const MORE_THAN_OWN: f64 = 2_000.0;

/// Measures the host for WebAssembly guests: what calls of the host cost, or with `serve` how `kv serve` bears load.
#[derive(Parser)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Without a subcommand it measures calls of the host, which takes half a minute. A get may take 300 ns
more than on wasmtime-wasi-keyvalue, and 2,000 ns more than the provider's own. The exit code is 1
where that is missed, but for --quick.

Examples:
  kv-bench-wasi
  kv-bench-wasi serve target/release/kv"
)]
struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// A smoke run: few and short rounds. Its figures are worth nothing, and no limit is judged.
    #[arg(long)]
    quick: bool,
    /// The guest.
    #[arg(long, default_value = "guests/built/bench.wasm", value_name = "FILE")]
    guest: PathBuf,
    /// Pairs of rounds.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
}

#[derive(Subcommand)]
enum Part {
    Serve(wasi_serve::Options),
    /// Serves a guest by wasmtime's own crates, until its standard input ends: the child process beside `kv serve`.
    #[command(hide = true)]
    Beside {
        /// The guest.
        guest: PathBuf,
    },
}

#[derive(Serialize)]
struct Row {
    measured: &'static str,
    beside: &'static str,
    #[serde(flatten)]
    compared: Compared,
    more_ns: f64,
    limit_ns: Option<f64>,
    met: Option<bool>,
}

struct Ours(KvCtx, ResourceTable);

impl KvView for Ours {
    fn kv(&mut self) -> KvCtxView<'_> {
        KvCtxView { ctx: &mut self.0, table: &mut self.1 }
    }
}

struct Theirs(WasiKeyValueCtx, ResourceTable);

type Gets = TypedFunc<(&'static str, &'static str, u32), (u64,)>;

fn main() -> ExitCode {
    let options = Options::parse();
    let ran = match &options.part {
        None => run(&options),
        Some(Part::Serve(serve)) => wasi_serve::run(serve),
        Some(Part::Beside { guest }) => wasi_serve::beside(guest),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kv-bench-wasi: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result {
    let runtime = kv_bench::runtime()?;
    let (rounds, calls) = if options.quick { (2, 100) } else { (options.rounds, 100_000) };
    let bench = Bench::new(&runtime, std::fs::read(&options.guest)?)?;
    let rows = [
        bench.beside_other(&runtime, rounds, calls)?,
        bench.beside_own(&runtime, rounds, calls)?,
        bench.instances(&runtime, rounds, calls / 50)?,
    ];
    println!("| measured | beside | ns | ns beside | more | at most | ratio | lowest to highest |");
    println!("|---|---|---:|---:|---:|---:|---:|---|");
    for row in &rows {
        let Compared { provider_ns, raw_ns, ratio, ratio_min, ratio_max } = row.compared;
        let limit = match (row.limit_ns, row.met) {
            (Some(limit), Some(true)) => format!("{limit}"),
            (Some(limit), _) => format!("{limit} **missed**"),
            _ => String::new(),
        };
        println!(
            "| {} | {} | {provider_ns:.0} | {raw_ns:.0} | {:.0} | {limit} | {ratio:.3} | {ratio_min:.3} to {ratio_max:.3} |",
            row.measured, row.beside, row.more_ns
        );
    }
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("wasi.json"), serde_json::to_string_pretty(&rows)?)?;
    let missed: Vec<&str> = rows.iter().filter(|row| row.met == Some(false)).map(|row| row.beside).collect();
    if missed.is_empty() || options.quick {
        return Ok(());
    }
    Err(format!("a get takes longer than it may, beside {}", missed.join(" and ")).into())
}

/// The guest on both hosts.
struct Bench {
    engine: Engine,
    _ticker: Ticker,
    store: Store,
    guest: Guest,
    ours: InstancePre<Ours>,
    theirs: InstancePre<Theirs>,
}

impl Bench {
    fn new(runtime: &Runtime, component: Vec<u8>) -> Result<Self> {
        let mut config = Config::new();
        // As kv's own commands have it for programs of WASI 0.2.
        config.epoch_interruption(true).concurrency_support(false);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::default()));
        let engine = Engine::new(&config)?;
        let ticker = Ticker::start(&engine)?;
        let store = runtime.block_on(async {
            let store = kv::open("memory:").await?;
            store.open_bucket(BUCKET).await?.set(KEY, value()).await?;
            Ok::<_, kv::Error>(store)
        })?;
        let guest = Host::new(Access::all_of(&store)).load(&engine, &component)?;
        let ours = guest.link(&Linker::new(&engine))?.instantiate_pre(guest.component())?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi_keyvalue::add_to_linker(&mut linker, |theirs: &mut Theirs| {
            WasiKeyValue::new(&theirs.0, &mut theirs.1)
        })?;
        let theirs = linker.instantiate_pre(&Component::new(&engine, &component)?)?;
        Ok(Self { engine, _ticker: ticker, store, guest, ours, theirs })
    }

    async fn start_ours(&self) -> Result<(wasmtime::Store<Ours>, Gets)> {
        let mut store = wasmtime::Store::new(&self.engine, Ours(self.guest.context(), ResourceTable::new()));
        self.guest.prepare(&mut store);
        let instance = self.ours.instantiate_async(&mut store).await?;
        let gets = instance.get_typed_func(&mut store, "gets")?;
        Ok((store, gets))
    }

    async fn start_theirs(&self) -> Result<(wasmtime::Store<Theirs>, Gets)> {
        let data = WasiKeyValueCtxBuilder::new().in_memory_data([(KEY, value())]).build();
        let mut store = wasmtime::Store::new(&self.engine, Theirs(data, ResourceTable::new()));
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self.theirs.instantiate_async(&mut store).await?;
        let gets = instance.get_typed_func(&mut store, "gets")?;
        Ok((store, gets))
    }

    /// A get from the guest, on either host.
    fn beside_other(&self, runtime: &Runtime, rounds: usize, calls: u32) -> Result<Row> {
        let (mut ours, our_gets) = runtime.block_on(self.start_ours())?;
        let (mut theirs, their_gets) = runtime.block_on(self.start_theirs())?;
        let mut pairs = Pairs::default();
        for _ in 0..=rounds {
            pairs.by_turns(
                || timed(runtime, calls, our_gets.call_async(&mut ours, (BUCKET, KEY, calls))),
                || timed(runtime, calls, their_gets.call_async(&mut theirs, (BUCKET, KEY, calls))),
            )?;
        }
        Ok(row(
            "get of 100 B from a guest, memory",
            "the same guest on wasmtime-wasi-keyvalue",
            pairs,
            Some(MORE_THAN_OTHER),
        ))
    }

    /// A get from the guest, and the provider's own.
    fn beside_own(&self, runtime: &Runtime, rounds: usize, calls: u32) -> Result<Row> {
        let (mut ours, gets) = runtime.block_on(self.start_ours())?;
        let bucket = runtime.block_on(self.store.open_bucket(BUCKET))?;
        let mut pairs = Pairs::default();
        for _ in 0..=rounds {
            pairs.by_turns(
                || timed(runtime, calls, gets.call_async(&mut ours, (BUCKET, KEY, calls))),
                || {
                    let bucket = bucket.clone();
                    let gets = async move {
                        let mut sum = 0_u64;
                        for _ in 0..calls {
                            sum += bucket.get(KEY).await?.map_or(0, |value| value.len() as u64);
                        }
                        Ok::<_, kv::Error>((sum,))
                    };
                    timed(runtime, calls, gets)
                },
            )?;
        }
        Ok(row("get of 100 B from a guest, memory", "the provider's own get", pairs, Some(MORE_THAN_OWN)))
    }

    /// A new instance for each call.
    fn instances(&self, runtime: &Runtime, rounds: usize, calls: u32) -> Result<Row> {
        let mut pairs = Pairs::default();
        let calls = calls.max(1);
        for _ in 0..=rounds {
            pairs.by_turns(
                || {
                    timed(runtime, calls, async {
                        let mut sum = 0;
                        for _ in 0..calls {
                            let (mut store, gets) = self.start_ours().await?;
                            sum += gets.call_async(&mut store, (BUCKET, KEY, 1)).await?.0;
                        }
                        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((sum,))
                    })
                },
                || {
                    timed(runtime, calls, async {
                        let mut sum = 0;
                        for _ in 0..calls {
                            let (mut store, gets) = self.start_theirs().await?;
                            sum += gets.call_async(&mut store, (BUCKET, KEY, 1)).await?.0;
                        }
                        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((sum,))
                    })
                },
            )?;
        }
        Ok(row("an instance and one get in it", "the same guest on wasmtime-wasi-keyvalue", pairs, None))
    }
}

fn value() -> Vec<u8> {
    vec![b'v'; VALUE_BYTES]
}

/// Nanoseconds a call; each call must have found the value.
fn timed<E>(runtime: &Runtime, calls: u32, work: impl Future<Output = std::result::Result<(u64,), E>>) -> Result<f64>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let begun = Instant::now();
    let (sum,) = runtime.block_on(work).map_err(Into::into)?;
    let took = begun.elapsed();
    if sum != u64::from(calls) * VALUE_BYTES as u64 {
        return Err(format!("{calls} calls read {sum} bytes").into());
    }
    Ok(took.as_nanos() as f64 / f64::from(calls))
}

fn row(measured: &'static str, beside: &'static str, pairs: Pairs, limit_ns: Option<f64>) -> Row {
    let compared = pairs.sum_up();
    let more_ns = compared.provider_ns - compared.raw_ns;
    Row { measured, beside, compared, more_ns, limit_ns, met: limit_ns.map(|limit| more_ns <= limit) }
}
