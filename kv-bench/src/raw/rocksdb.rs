use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kv::Durability;
use parking_lot::Mutex;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, LogLevel, Options, WriteBatch, WriteOptions,
};

use crate::client::{Client, Raw, Result, SetNow, missing};

/// Bits of a Bloom filter for each key, as our provider has them.
const FILTER_BITS: f64 = 10.0;

/// Locks that increments of different keys share: RocksDB adds to nothing by itself.
const LOCKS: usize = 256;

/// RocksDB as a program uses it that needs no more: one database, called where it is needed.
#[derive(Clone)]
pub(crate) struct RawRocksDb(Arc<Shared>);

struct Shared {
    db: DB,
    /// What a write waits for, as the class asks.
    writes: WriteOptions,
    locks: Vec<Mutex<()>>,
    hashes: RandomState,
}

impl RawRocksDb {
    /// MiB of the block cache that our provider has by default.
    pub(crate) const CACHE_MB: usize = 256;

    /// Opens a database in `folder`, with a block cache of `cache_mb` MiB.
    ///
    /// # Errors
    ///
    /// What RocksDB has.
    pub(crate) fn open(folder: &Path, durability: Durability, cache_mb: usize) -> Result<Self> {
        let mut writes = WriteOptions::default();
        writes.disable_wal(durability == Durability::Volatile);
        writes.set_sync(durability == Durability::Power);
        Ok(Self(Arc::new(Shared {
            db: DB::open(&options(cache_mb)?, folder)?,
            writes,
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            hashes: RandomState::new(),
        })))
    }
}

/// As our provider sets the engine up by default, see kv-rocksdb's options.rs: what differs would be measured too.
fn options(cache_mb: usize) -> Result<Options> {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(cache_mb << 20));
    table.set_bloom_filter(FILTER_BITS, false);
    table.set_cache_index_and_filter_blocks(false);
    let mut options = Options::default().get_options_from_string("allow_fallocate=false")?;
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_max_open_files(-1);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_avoid_unnecessary_blocking_io(true);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_max_background_jobs(2);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    Ok(options)
}

impl Client for RawRocksDb {
    type Cursor = Box<[u8]>;

    async fn get(&mut self, key: &str) -> Result<usize> {
        let value = self.0.db.get(key)?.ok_or_else(|| missing(key))?;
        Ok(value.len())
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result {
        self.set_now(key, value)
    }

    async fn get_many(&mut self, keys: &[String]) -> Result<usize> {
        let found =
            keys.iter().map(|key| self.0.db.get(key)).collect::<std::result::Result<Vec<_>, rocksdb::Error>>()?;
        Ok(found.iter().flatten().count())
    }

    async fn set_many(&mut self, entries: Vec<(&str, Bytes)>) -> Result {
        let mut batch = WriteBatch::default();
        for (key, value) in entries {
            batch.put(key, value);
        }
        Ok(self.0.db.write_opt(batch, &self.0.writes)?)
    }

    async fn page(&mut self, cursor: Option<Box<[u8]>>, limit: usize) -> Result<(usize, Option<Box<[u8]>>)> {
        let mut iterator = self.0.db.raw_iterator();
        match &cursor {
            None => iterator.seek_to_first(),
            Some(last) => iterator.seek(last),
        }
        if cursor.is_some() && cursor.as_deref() == iterator.key() {
            iterator.next();
        }
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        while keys.len() < limit
            && let Some(key) = iterator.key()
        {
            keys.push(key.into());
            iterator.next();
        }
        iterator.status()?;
        let found = keys.len();
        Ok((found, if found == limit { keys.pop() } else { None }))
    }

    async fn increment(&mut self, key: &str) -> Result<i64> {
        let Shared { db, writes, locks, hashes } = &*self.0;
        let _lock = locks.get(hashes.hash_one(key) as usize % LOCKS).map(Mutex::lock);
        let stored = db.get(key)?.ok_or_else(|| missing(key))?;
        let sum = std::str::from_utf8(&stored)?.parse::<i64>()? + 1;
        db.put_opt(key, sum.to_string(), writes)?;
        Ok(sum)
    }
}

impl Raw for RawRocksDb {
    fn blocking(&self) -> Option<&dyn SetNow> {
        Some(self)
    }
}

impl SetNow for RawRocksDb {
    fn set_now(&self, key: &str, value: &Bytes) -> Result {
        Ok(self.0.db.put_opt(key, value, &self.0.writes)?)
    }
}
