use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Found;
use crate::client::Result;
use crate::data::Data;
use crate::disk;
use crate::engines::{Class, Engine};
use crate::pair::{Cell, Compared, Pairs, Sides, rounded};
use crate::suite::Options;
use crate::workload::Workload;

/// Keys at first, and in the end.
const FEW: usize = 100_000;
const MANY: usize = 10_000_000;
const QUICK_FEW: usize = 1_000;
const QUICK_MANY: usize = 20_000;

/// Keys that are read of the many: the harness's table of all would take more memory than the engine's caches.
const READ: usize = 1_000_000;

/// A cache that holds all of them.
const CACHE_MB: usize = 3 << 10;

/// Compares how much dearer a read gets with the number of keys. Both sides are read from their files, on one pair of
/// stores, which grows.
pub(super) fn measure<E: Engine>(runtime: &Runtime, options: &Options, class: Class, is_cached: bool) -> Result<Found> {
    let cache_mb = is_cached.then_some(CACHE_MB);
    let (few, many) = if options.quick { (QUICK_FEW, QUICK_MANY) } else { (FEW, MANY) };
    let cell = Cell { engine: E::NAME, class, workload: Workload::Get, callers: 1, raw_callers: 1 };
    let data = Arc::new(Data::new(few, options.value_bytes));
    let sides = Sides::<E>::open(runtime, options.dir(), &options.with, &data, &cell)?;
    let (sides, small) = compare(runtime, options, sides, &data, &cell, cache_mb)?;

    let sample = Arc::new(Data::sample(many, READ.min(many), options.value_bytes));
    let (mut ours, mut raw) = (sides.ours.client(), sides.raw.client());
    runtime.block_on(async {
        sample.write(&mut ours, few..many).await?;
        sample.write(&mut raw, few..many).await
    })?;
    drop((ours, raw));
    let (sides, large) = compare(runtime, options, sides, &sample, &cell, cache_mb)?;
    sides.close(runtime)?;

    let micros = |ns: f64| ns / 1_000.0;
    let note = format!(
        "at {few} keys ours {:.2} µs, raw {:.2} µs, ratio {:.3}; at {many} ours {:.2} µs, raw {:.2} µs, ratio {:.3}",
        micros(small.provider_ns),
        micros(small.raw_ns),
        small.ratio,
        micros(large.provider_ns),
        micros(large.raw_ns),
        large.ratio,
    );
    let [ratio, ratio_min, ratio_max] =
        [large.ratio, large.ratio_min, large.ratio_max].map(|ratio| rounded(ratio / small.ratio, 10_000.0));
    Ok(Found { compared: Compared { ratio, ratio_min, ratio_max, ..large }, note: Some(note) })
}

/// Opens the stores anew, waits until the engines have tidied up, and compares.
fn compare<E: Engine>(
    runtime: &Runtime,
    options: &Options,
    sides: Sides<E>,
    data: &Arc<Data>,
    cell: &Cell,
    cache_mb: Option<usize>,
) -> Result<(Sides<E>, Compared)> {
    let mut sides = sides.reopened(runtime, options, data, cell, cache_mb)?;
    disk::settle();
    // Each key once, so that both caches hold what they can.
    sides.ours.set_calls(data.records());
    sides.ours.round(runtime)?;
    sides.raw.set_calls(data.records());
    sides.raw.round(runtime)?;
    sides.ours.calibrate(runtime, options.round())?;
    sides.raw.calibrate(runtime, options.round())?;
    let mut pairs = Pairs::default();
    sides.compare(runtime, options.rounds, &mut pairs)?;
    Ok((sides, pairs.sum_up()))
}
