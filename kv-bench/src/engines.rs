//! The list of engines: the only place that knows which are compiled in.

use std::path::{Path, PathBuf};

use kv::{Durability, Store};
use tempfile::TempDir;

use crate::blocking::Blocking;
use crate::client::{Raw, Result};
use crate::further::Further;
use crate::raw::RawMemory;
#[cfg(feature = "rocksdb")]
use crate::raw::RawRocksDb;
#[cfg(feature = "sled")]
use crate::raw::RawSled;
#[cfg(feature = "redis")]
use crate::raw::{RawRedis, Server};
use crate::workload::Workload;

/// A durability class as an engine names it.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// The word of reports and URLs.
    pub name: &'static str,
    /// What it promises.
    pub durability: Durability,
}

/// Callers that stand for a busy server.
pub(crate) const BUSY: usize = 64;

/// An engine: our provider beside its raw driver.
pub trait Engine {
    /// The raw driver.
    type Raw: Raw;
    /// Where a pair of stores stands: a folder, or a server of its own. It ends when this is dropped.
    type Place;
    /// The engine's name in reports and filters.
    const NAME: &'static str;
    /// Its classes. All workloads run in the first one, those that write in each.
    const CLASSES: &'static [Class];

    /// What is promised of a class beside the ratios to the raw driver.
    fn further(_: Class) -> &'static [Further] {
        &[]
    }

    /// Why this machine can't run the engine; none where it can.
    fn lacking() -> Option<&'static str> {
        None
    }

    /// How many callers each workload runs with: one stands for a program's thread, 64 for a busy server.
    fn callers(_: Workload) -> &'static [usize] {
        &[1, BUSY]
    }

    /// A new place under `dir`, with nothing in it.
    ///
    /// # Errors
    ///
    /// What the system has.
    fn place(dir: &Path) -> Result<Self::Place>;

    /// The situations in which its calls would block, and are watched.
    fn blocks(_: Class) -> &'static [Blocking] {
        &[]
    }

    /// The folder of our store there, where it is one of files.
    fn folder(_: &Self::Place) -> Option<PathBuf> {
        None
    }

    /// The URL under which our provider opens its store there.
    fn url(place: &Self::Place, class: Class) -> String;

    /// Opens the raw driver's store there.
    ///
    /// # Errors
    ///
    /// What the driver has.
    fn open_raw(place: &Self::Place, class: Class) -> impl Future<Output = Result<Self::Raw>>;

    /// The same, with a cache of so many MiB instead of the engine's usual one, where it has any.
    ///
    /// # Errors
    ///
    /// What the driver has.
    fn open_raw_cached(
        place: &Self::Place,
        class: Class,
        _mebibytes: usize,
    ) -> impl Future<Output = Result<Self::Raw>> {
        Self::open_raw(place, class)
    }

    /// Opens our store there, with further options such as `io=inline`.
    fn open(place: &Self::Place, class: Class, with: &[String]) -> impl Future<Output = Result<Store>> {
        let url = Self::url_with(place, class, with);
        async move { Ok(kv::open(&url).await?) }
    }

    /// The URL with further options.
    fn url_with(place: &Self::Place, class: Class, with: &[String]) -> String {
        let mut url = Self::url(place, class);
        for option in with {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(option);
        }
        url
    }
}

/// What is done with each engine.
pub trait Visitor {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What ends the run.
    fn visit<E: Engine>(&mut self) -> Result;
}

/// Shows the visitor every engine that is compiled in.
///
/// # Errors
///
/// The first of the visitor's errors.
pub fn for_each(visitor: &mut impl Visitor) -> Result {
    visitor.visit::<Memory>()?;
    #[cfg(feature = "sled")]
    visitor.visit::<Sled>()?;
    #[cfg(feature = "rocksdb")]
    visitor.visit::<RocksDb>()?;
    #[cfg(feature = "redis")]
    visitor.visit::<Redis>()?;
    Ok(())
}

/// Our store in an engine's folder.
#[cfg(any(feature = "rocksdb", feature = "sled"))]
const OURS: &str = "ours";

/// A new folder.
pub(crate) fn folder(dir: &Path) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("stores-").tempdir_in(dir)?)
}

/// The classes of an engine that keeps its stores in folders.
#[cfg(any(feature = "rocksdb", feature = "sled"))]
const CLASSES_IN_FOLDER: &[Class] = &[
    Class { name: "relaxed", durability: Durability::Volatile },
    Class { name: "process", durability: Durability::Process },
    Class { name: "power", durability: Durability::Power },
];

/// The URL of our store in such a folder.
#[cfg(any(feature = "rocksdb", feature = "sled"))]
fn url_in_folder(engine: &str, place: &TempDir, class: Class) -> String {
    // What a URL would take for something else.
    let path = place.path().join(OURS).display().to_string().replace('%', "%25").replace('?', "%3F");
    format!("{engine}:{path}?durability={}", class.name)
}

/// kv-memory beside an ordered map under a lock.
struct Memory;

impl Engine for Memory {
    type Raw = RawMemory;
    type Place = TempDir;
    const NAME: &'static str = "memory";
    const CLASSES: &'static [Class] = &[Class { name: "volatile", durability: Durability::Volatile }];

    fn place(dir: &Path) -> Result<TempDir> {
        folder(dir)
    }

    fn url(_: &TempDir, _: Class) -> String {
        "memory:".to_owned()
    }

    async fn open_raw(_: &TempDir, _: Class) -> Result<RawMemory> {
        Ok(RawMemory::default())
    }
}

/// kv-sled beside sled.
#[cfg(feature = "sled")]
struct Sled;

#[cfg(feature = "sled")]
impl Engine for Sled {
    type Raw = RawSled;
    type Place = TempDir;
    const NAME: &'static str = "sled";
    const CLASSES: &'static [Class] = CLASSES_IN_FOLDER;

    fn place(dir: &Path) -> Result<TempDir> {
        folder(dir)
    }

    fn folder(place: &TempDir) -> Option<PathBuf> {
        Some(place.path().join(OURS))
    }

    fn url(place: &TempDir, class: Class) -> String {
        url_in_folder(Self::NAME, place, class)
    }

    async fn open_raw(place: &TempDir, class: Class) -> Result<RawSled> {
        RawSled::open(&place.path().join("raw"), class.durability)
    }
}

/// kv-rocksdb beside RocksDB.
#[cfg(feature = "rocksdb")]
struct RocksDb;

#[cfg(feature = "rocksdb")]
impl Engine for RocksDb {
    type Raw = RawRocksDb;
    type Place = TempDir;
    const NAME: &'static str = "rocksdb";
    const CLASSES: &'static [Class] = CLASSES_IN_FOLDER;

    fn further(class: Class) -> &'static [Further] {
        match class.durability {
            Durability::Volatile => &[
                Further::GetFlushed,
                Further::GetFlushedBusy,
                Further::GetManyFlushed,
                Further::Growth,
                Further::GrowthCached,
            ],
            Durability::Process => &[],
            Durability::Power => &[Further::AgainstPool],
        }
    }

    fn blocks(class: Class) -> &'static [Blocking] {
        match class.durability {
            Durability::Volatile => &[Blocking::ColdReads, Blocking::Stalls],
            _ => &[],
        }
    }

    fn place(dir: &Path) -> Result<TempDir> {
        folder(dir)
    }

    fn folder(place: &TempDir) -> Option<PathBuf> {
        Some(place.path().join(OURS))
    }

    fn url(place: &TempDir, class: Class) -> String {
        url_in_folder(Self::NAME, place, class)
    }

    async fn open_raw(place: &TempDir, class: Class) -> Result<RawRocksDb> {
        Self::open_raw_cached(place, class, RawRocksDb::CACHE_MB).await
    }

    async fn open_raw_cached(place: &TempDir, class: Class, mebibytes: usize) -> Result<RawRocksDb> {
        RawRocksDb::open(&place.path().join("raw"), class.durability, mebibytes)
    }
}

/// kv-redis beside the driver redis, on one server.
#[cfg(feature = "redis")]
struct Redis;

#[cfg(feature = "redis")]
impl Engine for Redis {
    type Raw = RawRedis;
    type Place = Server;
    const NAME: &'static str = "redis";
    const CLASSES: &'static [Class] = &[Class { name: "volatile", durability: Durability::Volatile }];

    fn further(_: Class) -> &'static [Further] {
        &[Further::ManyAgainstSingle, Further::SmallBesideLarge, Further::PageAmongOthers]
    }

    fn lacking() -> Option<&'static str> {
        Server::lacking()
    }

    // Calls that share a connection share its trips: how many there are decides what one costs.
    fn callers(workload: Workload) -> &'static [usize] {
        match workload {
            Workload::Get | Workload::Set => &[1, 16, BUSY, 256],
            _ => &[1, BUSY],
        }
    }

    fn place(dir: &Path) -> Result<Server> {
        Server::start(dir)
    }

    fn url(place: &Server, _: Class) -> String {
        // As long as the raw side's prefix, which begins with `them`.
        format!("redis://127.0.0.1:{}?namespace=ours", place.port())
    }

    async fn open_raw(place: &Server, _: Class) -> Result<RawRedis> {
        RawRedis::connect(place).await
    }
}
