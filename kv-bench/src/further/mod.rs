//! What is promised beside the ratios of single workloads to the raw driver.

mod large;
mod many;
mod page;

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::client::Result;
use crate::data::Data;
use crate::engines::{Class, Engine};
use crate::pair::Pairs;
use crate::report::Promised;
use crate::suite::Options;

/// A promise that two things compared with each other keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Further {
    /// A batch of reads saves the trips of single ones.
    ManyAgainstSingle,
    /// Small calls do not wait for large values.
    SmallBesideLarge,
    /// A page costs what it holds, not what stands beside it.
    PageAmongOthers,
}

impl Further {
    /// The name in reports and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ManyAgainstSingle => "get_many_100-against-get",
            Self::SmallBesideLarge => "get-beside-16-MiB",
            Self::PageAmongOthers => "page-among-others",
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
        }
    }

    /// Measures an engine.
    pub(crate) fn measure<E: Engine>(
        self,
        runtime: &Runtime,
        options: &Options,
        class: Class,
        data: &Arc<Data>,
    ) -> Result<Promised> {
        let Found { pairs, note } = match self {
            Self::ManyAgainstSingle => many::measure::<E>(runtime, options, class, data)?,
            Self::SmallBesideLarge => large::measure::<E>(runtime, options, class, data)?,
            Self::PageAmongOthers => page::measure::<E>(runtime, options, class)?,
        };
        Ok(Promised::new(self, E::NAME, class, pairs.sum_up(), note))
    }
}

/// What all pairs of stores gave.
struct Found {
    pairs: Pairs,
    /// What a reader has to know to judge the figures.
    note: Option<String>,
}
