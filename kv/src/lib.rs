#![doc = include_str!("../README.md")]

mod open;
mod schemes;

pub use kv_core::{
    Atomic, Batch, Batches, Body, Bucket, Cache, Cas, CasSwap, Checkpoint, Consistency, DEFAULT_PAGE_KEYS, Declared,
    Durability, Effect, Error, ErrorKind, Event, Events, Fill, GetOrSet, Guard, GuardSwap, IncomingValue, Limits,
    MAX_TTL, MIN_TTL, Options, OutgoingValue, PAGE_BYTES, Page, PageRequest, Provider, ProviderBucket, ReadWrite,
    Reindex, Result, Store, StoreUrl, Swap, Ttl, Vacancy, Watch, Watching,
};
pub use open::{check, open, open_existing};
pub use schemes::{Scheme, Support, schemes};
