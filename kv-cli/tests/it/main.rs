//! The real binary on temporary folders: every command, every exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, their helpers too"
)]

mod bad_input;
#[cfg(feature = "conform")]
mod conform;
mod crash;
mod entries;
mod import;
mod listing;
mod run;
mod shared;
mod tour;
