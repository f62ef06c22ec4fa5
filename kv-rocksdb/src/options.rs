//! How the engine is set up, and why.

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options, ReadOptions, ReadTier, WriteOptions,
};

use kv_core::Durability;

use crate::config::{Compression, Config};

/// Bits of a Bloom filter for each key: one lookup in a hundred of an absent key reads a block.
const FILTER_BITS: f64 = 10.0;

/// The engine's own diaries (`LOG`, `LOG.old.*`) that are kept.
const DIARIES: usize = 2;

/// Bytes of such a diary.
const DIARY_BYTES: usize = 1 << 20;

/// The engine's options, and the block cache.
pub(crate) fn options(config: &Config) -> Result<(Options, Cache), rocksdb::Error> {
    // Room taken ahead would be 70 MiB for a log and 4 MiB for the list of files, of which a small store uses nothing. The
    // driver has no call for it.
    let mut options = Options::default().get_options_from_string("allow_fallocate=false")?;
    let cache = Cache::new_lru_cache(usize::try_from(config.cache_mb << 20).unwrap_or(usize::MAX));
    options.set_block_based_table_factory(&table(&cache));
    options.set_compression_type(match config.compression {
        Compression::Lz4 => DBCompressionType::Lz4,
        Compression::None => DBCompressionType::None,
    });
    options.set_max_open_files(config.max_open_files.map_or(-1, |files| i32::try_from(files).unwrap_or(i32::MAX)));
    // A flipped bit is an error, and a log that was cut within its last record opens: that is what a kill leaves. The
    // engine's default stops at the first flipped bit and opens silently with what stood before it (DUR-3).
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // A log that was synced must be there, and as long.
    options.set_track_and_verify_wals_in_manifest(true);
    // A read that lets go of the last hold on an old file must not be the one that deletes it.
    options.set_avoid_unnecessary_blocking_io(true);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(DIARIES);
    options.set_max_log_file_size(DIARY_BYTES);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    Ok((options, cache))
}

fn table(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(FILTER_BITS, false);
    table.set_whole_key_filtering(true);
    // Indexes and filters stay with their open files, not in the block cache, so that a probe never misses one.
    table.set_cache_index_and_filter_blocks(false);
    table
}

/// How reads look: in memory only, or wherever the data is.
pub(crate) fn read_options(is_probe: bool) -> ReadOptions {
    let mut options = ReadOptions::default();
    if is_probe {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}

/// How bodies of large values are read: one would push a part of everything else out of the cache.
pub(crate) fn body_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options
}

/// How writes are made: refused rather than stalled.
pub(crate) fn write_options(durability: Durability) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(durability == Durability::Volatile);
    options.set_no_slowdown(true);
    options
}
