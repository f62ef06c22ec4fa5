#![doc = include_str!("../README.md")]

mod atomic;
mod batch;
mod bucket;
mod cache;
mod call;
mod checkpoint;
mod committer;
mod config;
mod engine;
mod engine_version;
mod entry;
mod error;
mod gate;
mod info;
mod io;
mod layout;
mod list;
mod logs;
mod many;
mod marker;
mod open;
mod options;
mod places;
mod provider;
mod record;
mod registry;
mod store;
mod sweeper;
mod trust;
mod watch;

pub use config::{Compression, Config};
pub use io::IoPolicy;
pub use provider::{Provider, declared, open_url};
