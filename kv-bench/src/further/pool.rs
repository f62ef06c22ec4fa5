use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Found;
use crate::client::Result;
use crate::data::Data;
use crate::engines::{BUSY, Class, Engine};
use crate::pair::{Cell, Pairs, Sides};
use crate::poll;
use crate::suite::Options;
use crate::workload::Workload;

/// Compares our writers with writers who each wait for the driver in the blocking pool.
pub(super) fn measure<E: Engine>(
    runtime: &Runtime,
    options: &Options,
    class: Class,
    data: &Arc<Data>,
) -> Result<Found> {
    let cell = Cell { engine: E::NAME, class, workload: Workload::Set, callers: BUSY, raw_callers: BUSY };
    let mut pairs = Pairs::default();
    for _ in 0..options.stores {
        let sides = Sides::<E>::open(runtime, options.dir(), &options.with, data, &cell)?;
        let ours = || poll::nanos_a_set(runtime, options.round(), &sides.ours.client(), data);
        let raw = || poll::nanos_a_set_in_pool(runtime, options.round(), &sides.raw.client(), data);
        // Once to warm up.
        ours()?;
        raw()?;
        for _ in 0..options.rounds_a_store() {
            pairs.by_turns(ours, raw)?;
        }
        sides.close(runtime)?;
    }
    Ok(Found { compared: pairs.sum_up(), note: None })
}
