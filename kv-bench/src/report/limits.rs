//! What the project promises about the ratios.

use kv::Durability;

use crate::further::Further;
use crate::pair::Cell;
use crate::workload::Workload;

/// The most that the cell's ratio may be; none where nothing is promised.
pub(super) fn limit(cell: &Cell) -> Option<f64> {
    let alike = cell.callers == cell.raw_callers;
    match (cell.engine, cell.class.durability, cell.workload) {
        ("sled", Durability::Volatile, Workload::Get) => Some(1.20),
        ("sled", Durability::Volatile, Workload::Set) => Some(1.12),
        ("sled", Durability::Volatile, Workload::GetMany) => Some(1.10),
        ("sled", Durability::Process | Durability::Power, Workload::Set) => match (cell.callers, alike) {
            (1, true) => Some(1.6),
            // 15 times the rate of one raw caller.
            (64, false) => Some(1.0 / 15.0),
            _ => None,
        },
        ("rocksdb", Durability::Volatile, Workload::Get) => Some(1.20),
        ("rocksdb", Durability::Volatile | Durability::Process, Workload::Set) if alike => Some(1.10),
        ("rocksdb", Durability::Power, Workload::Set) => match (cell.callers, alike) {
            (1, true) => Some(1.6),
            // 12 times the rate of one raw caller.
            (64, false) => Some(1.0 / 12.0),
            _ => None,
        },
        ("redis", _, Workload::Get | Workload::Set) => match cell.callers {
            1..=64 => Some(1.05),
            // So many share trips that the driver alone does not.
            _ => Some(1.00),
        },
        _ => None,
    }
}

/// The most that the ratio of a further promise may be.
pub(super) fn further(further: Further) -> f64 {
    match further {
        // 10 times cheaper.
        Further::ManyAgainstSingle => 0.10,
        // No worse.
        Further::SmallBesideLarge => 1.00,
        Further::PageAmongOthers => 1.20,
        Further::GetFlushed | Further::GetFlushedBusy => 1.20,
        // 1.1 times faster.
        Further::GetManyFlushed => 1.0 / 1.1,
        // 3 times faster.
        Further::AgainstPool => 1.0 / 3.0,
        Further::Growth | Further::GrowthCached => 1.05,
    }
}

/// The most nanoseconds that opening a store of 10,000 buckets may take, and each of them; none where nothing is promised.
pub(crate) fn opening_ns(engine: &str) -> Option<f64> {
    (engine == "rocksdb").then_some(1e9)
}
