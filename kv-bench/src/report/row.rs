use std::fmt;

use serde::Serialize;

use super::limits::limit;
use crate::allocs::Counts;
use crate::latency::Latency;
use crate::pair::{Cell, Compared, rounded};
use crate::suite::Options;

/// One workload of one engine, our provider beside the raw driver.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) engine: &'static str,
    pub(crate) durability: &'static str,
    pub(crate) workload: &'static str,
    /// Tasks on our side.
    pub(crate) callers: usize,
    /// Tasks on the raw side.
    pub(crate) raw_callers: usize,
    pub(crate) value_bytes: usize,
    pub(crate) records: usize,
    /// Fresh pairs of stores.
    pub(crate) stores: u16,
    /// Pairs of rounds, of all stores.
    pub(crate) rounds: usize,
    #[serde(flatten)]
    pub(crate) compared: Compared,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    raw_p50_ns: u64,
    raw_p99_ns: u64,
    raw_p999_ns: u64,
    /// Allocations a call; none if they were not counted.
    pub(crate) allocs: Option<f64>,
    pub(crate) raw_allocs: Option<f64>,
    /// The most that the ratio may be; none where nothing is promised.
    pub(crate) limit: Option<f64>,
    /// Whether the ratio keeps it.
    pub(crate) met: Option<bool>,
}

impl Row {
    pub(crate) fn new(
        cell: &Cell,
        options: &Options,
        compared: Compared,
        latency: &Latency,
        raw: &Latency,
        counts: Option<Counts>,
    ) -> Self {
        let limit = limit(cell);
        Self {
            engine: cell.engine,
            durability: cell.class.name,
            workload: cell.workload.name(),
            callers: cell.callers,
            raw_callers: cell.raw_callers,
            value_bytes: options.value_bytes,
            records: options.records,
            stores: options.stores,
            rounds: options.rounds,
            compared,
            p50_ns: latency.at(0.5),
            p99_ns: latency.at(0.99),
            p999_ns: latency.at(0.999),
            raw_p50_ns: raw.at(0.5),
            raw_p99_ns: raw.at(0.99),
            raw_p999_ns: raw.at(0.999),
            allocs: counts.map(|counts| rounded(counts.ours, 100.0)),
            raw_allocs: counts.map(|counts| rounded(counts.raw, 100.0)),
            limit,
            met: limit.map(|limit| compared.ratio <= limit),
        }
    }

    /// The three percentiles of our calls and of the raw ones.
    pub(crate) fn percentiles(&self) -> [(u64, u64); 3] {
        [(self.p50_ns, self.raw_p50_ns), (self.p99_ns, self.raw_p99_ns), (self.p999_ns, self.raw_p999_ns)]
    }
}

/// The line that is shown while the run goes on.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compared { provider_ns, raw_ns, ratio, ratio_min, ratio_max } = self.compared;
        write!(
            f,
            "{provider_ns:>12.0} ns  raw {raw_ns:>12.0} ns  ratio {ratio:.3} ({ratio_min:.3} to {ratio_max:.3})"
        )?;
        match (self.limit, self.met) {
            (Some(limit), Some(true)) => write!(f, "  at most {limit:.3}: kept"),
            (Some(limit), _) => write!(f, "  at most {limit:.3}: MISSED"),
            (None, _) => Ok(()),
        }
    }
}

/// Durations in nanoseconds, by rank.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    /// Half of them are not longer.
    pub(crate) p50_ns: u64,
    /// 99 in 100 are not longer.
    pub(crate) p99_ns: u64,
    /// 999 in 1,000 are not longer.
    pub(crate) p999_ns: u64,
    /// The longest.
    pub(crate) max_ns: u64,
}

impl Spread {
    pub(crate) fn of(latency: &Latency) -> Self {
        Self { p50_ns: latency.at(0.5), p99_ns: latency.at(0.99), p999_ns: latency.at(0.999), max_ns: latency.at(1.0) }
    }
}
