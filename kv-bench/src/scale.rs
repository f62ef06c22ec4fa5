//! What grows with the number of keys or buckets, and what must not.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kv::{Bucket, Store};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::client::{Client, Result, missing};
use crate::data::key;
use crate::engines::{Class, Engine};
use crate::pair::median;
use crate::report::opening_ns;
use crate::suite::{Options, runtime};

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
    /// Likewise when there were a tenth as many keys.
    pub(crate) ns_per_key_of_tenth: f64,
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
    /// Opening the store again, with all its buckets; none of a store that ends when it is closed.
    pub(crate) opening: Option<Opening>,
}

/// What it costs to open a store of many buckets again.
#[derive(Debug, Serialize)]
pub(crate) struct Opening {
    /// Opening the store, and then each bucket.
    pub(crate) ns: f64,
    /// The most that it may be; none where nothing is promised.
    pub(crate) limit_ns: Option<f64>,
    /// Whether it was kept.
    pub(crate) met: Option<bool>,
    /// Resident bytes that each open bucket takes, one read of it included; none where the system does not tell.
    pub(crate) resident_per_bucket: Option<f64>,
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
    write_records(client, keys / 10).await?;
    let tenth = list_once(client, keys / 10).await?;
    write_records(client, keys).await?;
    Ok(Listed { ns_per_key_of_tenth: tenth.ns_per_key, ..list_once(client, keys).await? })
}

async fn list_once<C: Client>(client: &mut C, keys: usize) -> Result<Listed> {
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
        ns_per_key_of_tenth: f64::NAN,
        resident_before,
        grew_most: beyond(most),
        grew: beyond(resident()),
    })
}

/// Writes small records, whose names have numbers.
pub(crate) async fn write_records<C: Client>(client: &mut C, records: usize) -> Result {
    let value = Bytes::from_static(b"a value");
    for from in (0..records).step_by(BATCH) {
        let names: Vec<String> = (from..records.min(from + BATCH)).map(key).collect();
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
            let name = bucket_name(n);
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
            opening: open_again::<E>(&place, options, class)?,
        })
    })
}

/// Opens the store in a process of its own: this one's memory holds much that is free, and would not grow.
fn open_again<E: Engine>(place: &E::Place, options: &Options, class: Class) -> Result<Option<Opening>> {
    if E::folder(place).is_none() {
        return Ok(None);
    }
    let program = std::env::current_exe()?;
    let output = Command::new(program).args(["--reopen", &E::url_with(place, class, &options.with)]).output()?;
    if !output.status.success() {
        return Err(format!("opening many buckets again: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    let Reopened { ns, resident_per_bucket } = serde_json::from_slice(&output.stdout)?;
    let limit_ns = opening_ns(E::NAME);
    Ok(Some(Opening { ns, limit_ns, met: limit_ns.map(|limit| ns <= limit), resident_per_bucket }))
}

/// What the process that opens the store again found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reopened {
    ns: f64,
    resident_per_bucket: Option<f64>,
}

/// Opens the store at `url` and each of its buckets, and reads from each.
///
/// # Errors
///
/// What the store has.
pub fn reopen(url: &str) -> Result<Reopened> {
    runtime()?.block_on(async {
        let begun = Instant::now();
        let store = kv::open(url).await?;
        let mut took = begun.elapsed();
        let names = store.buckets().await?;
        let resident_before = resident();
        let begun = Instant::now();
        let mut open = Vec::with_capacity(names.len());
        for name in &names {
            open.push(store.open_bucket(name).await?);
        }
        took += begun.elapsed();
        for bucket in &open {
            bucket.get("key").await?.ok_or_else(|| missing("key"))?;
        }
        let grew = resident_before.and_then(|before| Some(resident()?.saturating_sub(before)));
        drop(open);
        store.close().await?;
        let resident_per_bucket = grew.map(|bytes| bytes as f64 / names.len() as f64);
        Ok(Reopened { ns: took.as_nanos() as f64, resident_per_bucket })
    })
}

fn bucket_name(n: usize) -> String {
    format!("bucket:{n:09}")
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
