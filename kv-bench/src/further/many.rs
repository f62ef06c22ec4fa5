use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Found;
use crate::client::Result;
use crate::data::Data;
use crate::engines::{Class, Engine};
use crate::pair::{Cell, Pairs, Side, Sides};
use crate::suite::Options;
use crate::workload::{MANY, Workload};

/// Compares a key of a batch with a single read, both of the same bucket.
pub(super) fn measure<E: Engine>(
    runtime: &Runtime,
    options: &Options,
    class: Class,
    data: &Arc<Data>,
) -> Result<Found> {
    let mut pairs = Pairs::default();
    for _ in 0..options.stores {
        let cell = Cell { engine: E::NAME, class, workload: Workload::Get, callers: 1, raw_callers: 1 };
        let mut sides = Sides::<E>::open(runtime, options.dir(), &options.with, data, &cell)?;
        let mut many = Side::new(sides.ours.client(), data, Workload::GetMany, 1);
        many.calibrate(runtime, options.round())?;
        sides.ours.calibrate(runtime, options.round())?;
        for _ in 0..options.rounds_a_store() {
            let a_key = || Ok(many.nanos_a_call(runtime)? / MANY as f64);
            pairs.by_turns(a_key, || sides.ours.nanos_a_call(runtime))?;
        }
        sides.close(runtime)?;
    }
    Ok(Found { compared: pairs.sum_up(), note: None })
}
