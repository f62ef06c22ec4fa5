use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Found;
use crate::client::Result;
use crate::data::Data;
use crate::engines::{Class, Engine};
use crate::pair::{Cell, Pairs, Sides};
use crate::suite::Options;
use crate::workload::{MANY, Workload};

/// Compares reads of what lies in the engine's files, not in what it keeps in memory for writing.
pub(super) fn measure<E: Engine>(
    runtime: &Runtime,
    options: &Options,
    class: Class,
    data: &Arc<Data>,
    workload: Workload,
    callers: usize,
) -> Result<Found> {
    let cell = Cell { engine: E::NAME, class, workload, callers, raw_callers: callers };
    let mut pairs = Pairs::default();
    for _ in 0..options.stores {
        let sides = Sides::<E>::open(runtime, options.dir(), &options.with, data, &cell)?;
        let mut sides = sides.reopened(runtime, options, data, &cell, None)?;
        // Once round all records first: what the caches give is compared, not how they are filled.
        let calls = data.records() / if workload == Workload::GetMany { MANY } else { 1 };
        sides.ours.set_calls(calls);
        sides.ours.round(runtime)?;
        sides.raw.set_calls(calls);
        sides.raw.round(runtime)?;
        sides.ours.calibrate(runtime, options.round())?;
        sides.raw.calibrate(runtime, options.round())?;
        sides.compare(runtime, options.rounds_a_store(), &mut pairs)?;
        sides.close(runtime)?;
    }
    Ok(Found { compared: pairs.sum_up(), note: None })
}
