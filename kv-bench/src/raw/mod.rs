//! The raw drivers: their cheapest public calls that return owned replies, with nothing of ours in between.

mod memory;
#[cfg(feature = "sled")]
mod sled;

pub(crate) use memory::RawMemory;
#[cfg(feature = "sled")]
pub(crate) use sled::RawSled;
