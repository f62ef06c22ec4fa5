//! What every in-process engine needs and none should write again: counters' text, cursors, per-key locks with the guards
//! of versioned swaps, and the fan-out of changes.

pub mod counter;
pub mod cursor;
mod hub;
mod locks;

pub use hub::{Hub, WATCH_QUEUE_EVENTS};
pub use locks::{KeyLock, KeyLocks, Version};
