#![doc = include_str!("../README.md")]

mod atomic;
mod attempt;
mod background;
mod batch;
mod bucket;
mod buckets;
mod cache;
mod call;
mod config;
mod connection;
mod driver;
mod error;
mod generation;
mod guard;
mod large;
mod layout;
mod links;
mod page;
mod provider;
mod redirect;
mod reindex;
mod resp;
mod script;
mod store;
mod sweep;
mod topology;
mod url;
mod watch;
mod wire;

pub use config::{Address, Config, Node, Reads, Secret, Tls};
pub use provider::{Provider, declared, open_url};
pub use url::SCHEMES;
