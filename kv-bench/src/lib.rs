#![doc = include_str!("../README.md")]

mod allocs;
mod blocking;
mod client;
mod data;
mod disk;
mod engines;
mod further;
mod latency;
mod pair;
mod poll;
mod raw;
mod report;
mod scale;
mod suite;
mod workload;

pub use allocs::Allocs;
pub use blocking::Blocking;
pub use client::{Client, Raw, Result};
pub use data::Data;
pub use engines::{Class, Engine, Visitor, for_each};
pub use further::Further;
pub use latency::Latency;
pub use pair::{Cell, Compared, Pairs, Side, Sides};
pub use report::Report;
pub use scale::{Reopened, reopen};
pub use suite::{Options, Suite, runtime};
pub use workload::Workload;
