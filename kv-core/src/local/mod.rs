//! What every in-process engine needs and none should write again: counters' text, cursors, per-key locks with the guards
//! of versioned swaps, the fan-out of changes, group commit, the sentences of errors, and what wakes the thread that gives storage back.

mod bell;
mod committer;
pub mod counter;
pub mod cursor;
pub mod errors;
mod hub;
mod locks;
mod pace;

pub use bell::{Bell, now};
pub use committer::Committer;
pub use hub::{Hub, WATCH_QUEUE_EVENTS};
pub use locks::{KeyLock, KeyLocks, KeysLock, Version};
pub use pace::{is_due, units_due};
