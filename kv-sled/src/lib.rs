#![doc = include_str!("../README.md")]

mod atomic;
mod batch;
mod bucket;
mod cache;
mod config;
mod engine;
mod entry;
mod error;
mod flusher;
mod gate;
mod io;
mod journal;
mod layout;
mod list;
mod marker;
mod open;
mod overflow;
mod pace;
mod provider;
mod record;
mod registry;
mod space;
mod store;
mod sweeper;
mod torn;
mod watch;

pub use config::Config;
pub use io::IoPolicy;
pub use provider::{Provider, declared, open_url};
