//! What grows with the number of keys or buckets, and what must not.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kv::{Bucket, Store};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::client::{Client, Result};
use crate::engines::{Class, Engine};
use crate::pair::median;
use crate::suite::Options;

/// Keys of the long listing.
const KEYS: usize = 1_000_000;
const QUICK_KEYS: usize = 20_000;

/// Buckets that are made.
const BUCKETS: usize = 10_000;
const QUICK_BUCKETS: usize = 200;

/// Keys of a page.
pub(crate) const PAGE: usize = 1_000;

/// Records written in one batch.
const BATCH: usize = 1_000;

/// Neighbours whose median stands for one bucket's cost, which alone is too short to measure.
const NEIGHBOURS: usize = 20;

/// Times that all buckets are listed.
const LISTINGS: usize = 5;

/// All keys listed page by page, and how memory grew meanwhile.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    pub(crate) engine: &'static str,
    pub(crate) durability: &'static str,
    pub(crate) keys: usize,
    pub(crate) ours: Listed,
    pub(crate) raw: Listed,
}

/// One side's listing.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) ns_per_key: f64,
    /// Resident bytes of the process before, and the most and the last beyond that; none where the system does not
    /// tell.
    pub(crate) resident_before: Option<u64>,
    pub(crate) grew_most: Option<u64>,
    pub(crate) grew: Option<u64>,
}

/// What opening a bucket and its first write cost, and listing all buckets.
#[derive(Debug, Serialize)]
pub(crate) struct Buckets {
    pub(crate) engine: &'static str,
    pub(crate) durability: &'static str,
    pub(crate) buckets: usize,
    /// Open and first `set`: the median of the 20 buckets around the 10th.
    pub(crate) tenth_ns: f64,
    /// The median of the last 20 buckets.
    pub(crate) last_ns: f64,
    /// Time of listing all buckets, when there were so many.
    pub(crate) listings: Vec<BucketListing>,
}

/// One size's listing of buckets.
#[derive(Debug, Serialize)]
pub(crate) struct BucketListing {
    pub(crate) buckets: usize,
    pub(crate) ns: f64,
    pub(crate) ns_per_bucket: f64,
}

/// Lists a bucket of many keys.
pub(crate) fn listing<E: Engine>(runtime: &Runtime, options: &Options, class: Class) -> Result<Listing> {
    let keys = if options.quick { QUICK_KEYS } else { KEYS };
    let place = E::place(options.dir())?;
    let (ours, raw) = runtime.block_on(async {
        let raw = list_all(&mut E::open_raw(&place, class).await?, keys).await?;
        let store = E::open(&place, class, &options.with).await?;
        let ours = list_all(&mut store.open_bucket("bench").await?, keys).await?;
        store.close().await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((ours, raw))
    })?;
    Ok(Listing { engine: E::NAME, durability: class.name, keys, ours, raw })
}

async fn list_all<C: Client>(client: &mut C, keys: usize) -> Result<Listed> {
    write_records(client, keys).await?;
    let resident_before = resident();
    let mut most = resident_before;
    let (mut cursor, mut found) = (None, 0);
    let mut took = Duration::ZERO;
    loop {
        let begun = Instant::now();
        let (page, next) = client.page(cursor, PAGE).await?;
        took += begun.elapsed();
        found += page;
        most = most.max(resident());
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if found != keys {
        return Err(format!("a listing of {keys} keys gave {found}").into());
    }
    let beyond = |now: Option<u64>| Some(now?.saturating_sub(resident_before?));
    Ok(Listed {
        ns_per_key: took.as_nanos() as f64 / keys as f64,
        resident_before,
        grew_most: beyond(most),
        grew: beyond(resident()),
    })
}

/// Writes small records, whose names have numbers.
pub(crate) async fn write_records<C: Client>(client: &mut C, records: usize) -> Result {
    let value = Bytes::from_static(b"a value");
    for from in (0..records).step_by(BATCH) {
        let names: Vec<String> = (from..records.min(from + BATCH)).map(|n| format!("record:{n:09}")).collect();
        let entries: Vec<(&str, Bytes)> = names.iter().map(|name| (name.as_str(), value.clone())).collect();
        client.set_many(entries).await?;
    }
    Ok(())
}

fn resident() -> Option<u64> {
    memory_stats::memory_stats().map(|memory| memory.physical_mem as u64)
}

/// Makes many buckets, one after another.
pub(crate) fn buckets<E: Engine>(runtime: &Runtime, options: &Options, class: Class) -> Result<Buckets> {
    let buckets = if options.quick { QUICK_BUCKETS } else { BUCKETS };
    let sizes = [buckets / 10, buckets / 2, buckets];
    let place = E::place(options.dir())?;
    runtime.block_on(async {
        let store = E::open(&place, class, &options.with).await?;
        let mut costs = Vec::with_capacity(buckets);
        let mut listings = Vec::new();
        for n in 0..buckets {
            let name = format!("bucket:{n:09}");
            let begun = Instant::now();
            let bucket: Bucket = store.open_bucket(&name).await?;
            bucket.set("key", "value").await?;
            costs.push(begun.elapsed().as_nanos() as f64);
            if sizes.contains(&(n + 1)) {
                listings.push(list_buckets(&store, n + 1).await?);
            }
        }
        store.close().await?;
        Ok(Buckets {
            engine: E::NAME,
            durability: class.name,
            buckets,
            tenth_ns: middle(costs.get(..NEIGHBOURS)),
            last_ns: middle(costs.get(buckets - NEIGHBOURS..)),
            listings,
        })
    })
}

async fn list_buckets(store: &Store, buckets: usize) -> Result<BucketListing> {
    let mut times = Vec::new();
    for _ in 0..LISTINGS {
        let begun = Instant::now();
        let found = store.buckets().await?.len();
        times.push(begun.elapsed().as_nanos() as f64);
        if found != buckets {
            return Err(format!("a listing of {buckets} buckets gave {found}").into());
        }
    }
    let ns = middle(Some(&times));
    Ok(BucketListing { buckets, ns, ns_per_bucket: ns / buckets as f64 })
}

fn middle(times: Option<&[f64]>) -> f64 {
    let mut times = times.unwrap_or_default().to_vec();
    times.sort_by(f64::total_cmp);
    median(&times)
}
