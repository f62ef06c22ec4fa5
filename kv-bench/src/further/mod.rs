//! What is promised beside the ratios of single workloads to the raw driver.

mod flushed;
mod growth;
mod large;
mod many;
mod page;
mod pool;

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::client::Result;
use crate::data::Data;
use crate::engines::{BUSY, Class, Engine};
use crate::pair::Compared;
use crate::report::Promised;
use crate::suite::Options;
use crate::workload::Workload;

/// A promise that two things compared with each other keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Further {
    /// A batch of reads saves the trips of single ones.
    ManyAgainstSingle,
    /// Small calls do not wait for large values.
    SmallBesideLarge,
    /// A page costs what it holds, not what stands beside it.
    PageAmongOthers,
    /// A read of what is in the engine's files costs little more than the driver's.
    GetFlushed,
    /// Likewise of many callers.
    GetFlushedBusy,
    /// A batch of reads of what is in the engine's files saves some of the work of single ones.
    GetManyFlushed,
    /// Writers that share a sync are faster than writers that each wait in the blocking pool.
    AgainstPool,
    /// A read gets dearer with the number of keys as the driver's does.
    Growth,
    /// Likewise where the cache holds all keys.
    GrowthCached,
}

impl Further {
    /// The name in reports and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ManyAgainstSingle => "get_many_100-against-get",
            Self::SmallBesideLarge => "get-beside-16-MiB",
            Self::PageAmongOthers => "page-among-others",
            Self::GetFlushed => "get-flushed",
            Self::GetFlushedBusy => "get-flushed-64",
            Self::GetManyFlushed => "get_many_100-flushed",
            Self::AgainstPool => "set-64-against-pool",
            Self::Growth => "get-growth",
            Self::GrowthCached => "get-growth-cached",
        }
    }

    /// What is measured, and what it is compared with.
    pub(crate) fn sides(self) -> [&'static str; 2] {
        match self {
            Self::ManyAgainstSingle => ["get_many_100 by one caller, a key", "get by one caller"],
            Self::SmallBesideLarge => [
                "p99 of get by 16 callers, each every ms, while another task moves 16 MiB every 25 ms in the same store",
                "likewise of the raw driver, 16 MiB on a connection and a thread of their own",
            ],
            Self::PageAmongOthers => {
                ["a page of 1,000 keys beside 1,000,000 keys in other buckets", "the same page, alone on its server"]
            }
            Self::GetFlushed => {
                ["get by one caller, after the store was closed and opened again", "likewise of the raw driver"]
            }
            Self::GetFlushedBusy => {
                ["get by 64 callers, after the store was closed and opened again", "likewise of the raw driver"]
            }
            Self::GetManyFlushed => [
                "get_many_100 by one caller, after the store was closed and opened again",
                "100 gets of the raw driver, likewise",
            ],
            Self::AgainstPool => {
                ["set by 64 callers", "set of the raw driver by 64 callers, each in the blocking pool"]
            }
            Self::Growth => [
                "get of 10,000,000 keys, as a multiple of get of 100,000; the times are of 10,000,000",
                "likewise of the raw driver",
            ],
            Self::GrowthCached => [
                "get of 10,000,000 keys, as a multiple of get of 100,000, all in the engine's cache; the times are of 10,000,000",
                "likewise of the raw driver",
            ],
        }
    }

    /// Whether it takes minutes, and so is measured only where a filter names it.
    #[must_use]
    pub(crate) fn is_long(self) -> bool {
        matches!(self, Self::Growth | Self::GrowthCached)
    }

    /// Measures an engine.
    pub(crate) fn measure<E: Engine>(
        self,
        runtime: &Runtime,
        options: &Options,
        class: Class,
        data: &Arc<Data>,
    ) -> Result<Promised> {
        let Found { compared, note } = match self {
            Self::ManyAgainstSingle => many::measure::<E>(runtime, options, class, data)?,
            Self::SmallBesideLarge => large::measure::<E>(runtime, options, class, data)?,
            Self::PageAmongOthers => page::measure::<E>(runtime, options, class)?,
            Self::GetFlushed => flushed::measure::<E>(runtime, options, class, data, Workload::Get, 1)?,
            Self::GetFlushedBusy => flushed::measure::<E>(runtime, options, class, data, Workload::Get, BUSY)?,
            Self::GetManyFlushed => flushed::measure::<E>(runtime, options, class, data, Workload::GetMany, 1)?,
            Self::AgainstPool => pool::measure::<E>(runtime, options, class, data)?,
            Self::Growth => growth::measure::<E>(runtime, options, class, false)?,
            Self::GrowthCached => growth::measure::<E>(runtime, options, class, true)?,
        };
        Ok(Promised::new(self, E::NAME, class, compared, note))
    }
}

/// What all pairs of stores gave.
struct Found {
    compared: Compared,
    /// What a reader has to know to judge the figures.
    note: Option<String>,
}
