//! How to open a store.

use std::path::PathBuf;

use kv_core::{Durability, Error, Result, StoreUrl};

use crate::io::IoPolicy;

/// Memory for the block cache unless the URL says otherwise, in MiB. RocksDB's own default, 32, holds no working set.
const CACHE_MB: u64 = 256;

/// The fewest open files: RocksDB itself goes no lower.
const LEAST_OPEN_FILES: u64 = 20;

/// How to open a store: a folder and a few choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder.
    pub path: PathBuf,
    /// What an acknowledged write survives (DUR-1); [`Durability::Process`] by default (DUR-2).
    pub durability: Durability,
    /// Where calls run that could block (RUN-2).
    pub io: IoPolicy,
    /// Memory for the block cache, in MiB. The memtables take up to 128 MiB more, and the tables' indexes and filters
    /// about 2 bytes an entry.
    pub cache_mb: u64,
    /// How many of the store's files stay open; `None`, the default, for all of them. With fewer, a read of a file that
    /// is closed opens it first, on the blocking pool.
    pub max_open_files: Option<u32>,
    /// How blocks are compressed on the disk; LZ4 by default. May be changed from one opening to the next.
    pub compression: Compression,
    /// Whether to make the folder and a store in it where there is none; `true` by default.
    pub create: bool,
}

/// How blocks are compressed on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// LZ4: costs little time and saves about half of most text.
    #[default]
    Lz4,
    /// Not at all: for values that are compressed already.
    None,
}

impl Compression {
    /// The compression as URLs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::None => "none",
        }
    }
}

impl Config {
    /// The defaults, for a folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Process,
            io: IoPolicy::default(),
            cache_mb: CACHE_MB,
            max_open_files: None,
            compression: Compression::default(),
            create: true,
        }
    }

    /// Reads `rocksdb:PATH?durability=relaxed|process|power&io=auto|inline|offload&cache_mb=N&max_open_files=N&compression=lz4|none&create=true|false`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](kv_core::ErrorKind::InvalidArgument) for a URL without a path or with hosts, for an
    /// unknown option and for an option's value that it does not take.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        if url.hosts().is_some() || url.user().is_some() || url.password().is_some() {
            return Err(Error::invalid(
                "a rocksdb URL names a folder, not a server: write rocksdb:./data or rocksdb:/var/data",
            ));
        }
        if url.path().is_empty() {
            return Err(Error::invalid("the rocksdb URL names no folder; write rocksdb:./data"));
        }
        let mut config = Self::new(url.path());
        let mut options = url.options()?;
        let durability =
            [("relaxed", Durability::Volatile), ("process", Durability::Process), ("power", Durability::Power)];
        let io = [IoPolicy::Auto, IoPolicy::Inline, IoPolicy::Offload].map(|policy| (policy.as_str(), policy));
        let compression = [Compression::Lz4, Compression::None].map(|way| (way.as_str(), way));
        config.durability = options.take_word("durability", &durability)?.unwrap_or(config.durability);
        config.io = options.take_word("io", &io)?.unwrap_or(config.io);
        config.cache_mb = options.take_number("cache_mb", 1, 1 << 20)?.unwrap_or(config.cache_mb);
        let files = options.take_number("max_open_files", LEAST_OPEN_FILES, 1 << 24)?;
        config.max_open_files = files.and_then(|files| u32::try_from(files).ok());
        config.compression = options.take_word("compression", &compression)?.unwrap_or(config.compression);
        config.create = options.take_bool("create")?.unwrap_or(config.create);
        options.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Result<Config> {
        Config::from_url(&url.parse()?)
    }

    #[test]
    fn a_url_gives_each_option() {
        assert_eq!(config("rocksdb:./data").unwrap(), Config::new("./data"));
        assert_eq!(
            config(
                "rocksdb:/d?durability=power&io=offload&cache_mb=7&max_open_files=100&compression=none&create=false"
            )
            .unwrap(),
            Config {
                path: "/d".into(),
                durability: Durability::Power,
                io: IoPolicy::Offload,
                cache_mb: 7,
                max_open_files: Some(100),
                compression: Compression::None,
                create: false
            }
        );
        assert_eq!(config("rocksdb:d?durability=relaxed").unwrap().durability, Durability::Volatile);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, text) in [
            ("rocksdb:", "names no folder"),
            ("rocksdb://data", "not a server"),
            ("rocksdb:d?durability=volatile", "one of relaxed, process, power"),
            ("rocksdb:d?cache_mb=0", "a number from 1"),
            ("rocksdb:d?max_open_files=19", "a number from 20"),
            ("rocksdb:d?compression=zstd", "one of lz4, none"),
            ("rocksdb:d?cache=1", "did you mean cache_mb?"),
        ] {
            let error = config(url).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
