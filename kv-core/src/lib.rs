//! The contract of kv: what a key-value provider promises, as traits and types.
//!
//! # For callers
//!
//! Open a [`Store`] (the `kv` crate does it from a URL), take a [`Bucket`] from it and use the bucket's
//! methods. Every handle is a cheap clone and may be used from any task and any runtime.
//!
//! # For implementors
//!
//! Implement [`Provider`] and, for what it hands out, [`ProviderBucket`]: [`ReadWrite`] and [`Batch`] always,
//! [`Atomic`], [`Cache`] and [`Watch`] where the engine can keep their promises. [`local`] holds the parts
//! that every in-process engine needs.
//!
//! # Clauses
//!
//! Numbers such as RW-1 name the clauses of the contract. The item that promises a clause carries its number,
//! and the conformance suite has at least one case and one mutant for each.
//!
//! | clauses | where they are promised |
//! |---|---|
//! | NAM | [`Provider::open_bucket`], [`ReadWrite`] |
//! | LIM | [`Limits`] |
//! | BKT | [`Provider`] |
//! | RW | [`ReadWrite`] |
//! | BAT, LST | [`Batch`] |
//! | ATM, CAS | [`Atomic`], [`Guard`], [`Cas`] |
//! | TTL | [`Cache`], [`Bucket::get_or_set`] |
//! | WCH | [`Watch`], [`Event`] |
//! | ERR | [`Error`], [`ErrorKind`], [`Effect`] |
//! | CAN, RUN | [`Provider`] |
//! | DUR | [`Durability`], [`Provider::close`] |

mod atomic;
mod batch;
mod bucket;
mod cache;
mod cas;
mod declared;
mod error;
mod flight;
mod limits;
pub mod local;
mod options;
mod provider;
mod read_write;
mod store;
mod url;
mod value;
mod watch;

pub use atomic::{Atomic, Guard, GuardSwap, Swap};
pub use batch::{Batch, Page, PageRequest};
pub use bucket::Bucket;
pub use cache::{Cache, Fill, Ttl};
pub use cas::{Cas, CasSwap};
pub use declared::{Batches, Consistency, Declared, Durability, Watching};
pub use error::{Effect, Error, ErrorKind, Result};
pub use flight::{GetOrSet, Vacancy};
pub use limits::{DEFAULT_PAGE_KEYS, Limits, MAX_TTL, MIN_TTL, PAGE_BYTES};
pub use options::Options;
pub use provider::{Checkpoint, Provider, ProviderBucket, Reindex};
pub use read_write::{Begun, ReadWrite};
pub use store::Store;
pub use url::StoreUrl;
pub use value::{Body, IncomingValue, OutgoingValue};
pub use watch::{Event, Events, Watch};
