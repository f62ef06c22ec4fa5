#![doc = include_str!("../README.md")]

mod atomic;
mod bucket;
mod cache;
mod data;
mod engine;
mod medium;
mod provider;
mod sweeper;
mod watch;

pub use medium::Medium;
pub use provider::{Provider, declared, open_named};
