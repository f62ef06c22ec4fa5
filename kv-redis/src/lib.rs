#![doc = include_str!("../README.md")]

mod atomic;
mod background;
mod batch;
mod bucket;
mod cache;
mod config;
mod connection;
mod driver;
mod error;
mod generation;
mod guard;
mod large;
mod layout;
mod provider;
mod script;
mod session;
mod store;
mod sweep;
mod watch;

pub use config::{Address, Config, Secret, Tls};
pub use provider::{Provider, declared, open_url};
