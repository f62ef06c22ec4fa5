//! The raw drivers: their cheapest public calls that return owned replies, with nothing of ours in between.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(feature = "sled")]
mod sled;

pub(crate) use memory::RawMemory;
#[cfg(feature = "redis")]
pub(crate) use redis::{RawRedis, Server};
#[cfg(feature = "rocksdb")]
pub(crate) use rocksdb::RawRocksDb;
#[cfg(feature = "sled")]
pub(crate) use sled::RawSled;
