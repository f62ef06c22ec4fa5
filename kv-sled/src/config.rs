//! How to open a store.

use std::path::PathBuf;

use kv_core::{Durability, Error, Result, StoreUrl};

use crate::io::IoPolicy;

/// Memory for sled's page cache unless the URL says otherwise, in MiB. sled's own default, 1,024, is a lot for a
/// store inside somebody else's program.
const CACHE_MB: u64 = 256;

/// How to open a store: a folder and a few choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder.
    pub path: PathBuf,
    /// What an acknowledged write survives (DUR-1); [`Durability::Process`] by default (DUR-2).
    pub durability: Durability,
    /// Where calls run that could block (RUN-2).
    pub io: IoPolicy,
    /// Memory for the page cache, in MiB. sled counts bytes as on disk; in memory they take two to three times that.
    pub cache_mb: u64,
    /// Whether to make the folder and a store in it where there is none; `true` by default.
    pub create: bool,
}

impl Config {
    /// The defaults, for a folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Process,
            io: IoPolicy::default(),
            cache_mb: CACHE_MB,
            create: true,
        }
    }

    /// Reads `sled:PATH?durability=relaxed|process|power&io=auto|inline|offload&cache_mb=N&create=true|false`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](kv_core::ErrorKind::InvalidArgument) for a URL without a path or with hosts, for an
    /// unknown option and for an option's value that it does not take.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        if url.hosts().is_some() || url.user().is_some() || url.password().is_some() {
            return Err(Error::invalid("a sled URL names a folder, not a server: write sled:./data or sled:/var/data"));
        }
        if url.path().is_empty() {
            return Err(Error::invalid("the sled URL names no folder; write sled:./data"));
        }
        let mut config = Self::new(url.path());
        let mut options = url.options()?;
        let durability =
            [("relaxed", Durability::Volatile), ("process", Durability::Process), ("power", Durability::Power)];
        let io = [IoPolicy::Auto, IoPolicy::Inline, IoPolicy::Offload].map(|policy| (policy.as_str(), policy));
        config.durability = options.take_word("durability", &durability)?.unwrap_or(config.durability);
        config.io = options.take_word("io", &io)?.unwrap_or(config.io);
        config.cache_mb = options.take_number("cache_mb", 1, 1 << 20)?.unwrap_or(config.cache_mb);
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
        assert_eq!(config("sled:./data").unwrap(), Config::new("./data"));
        assert_eq!(
            config("sled:/d?durability=power&io=offload&cache_mb=7&create=false").unwrap(),
            Config {
                path: "/d".into(),
                durability: Durability::Power,
                io: IoPolicy::Offload,
                cache_mb: 7,
                create: false
            }
        );
        assert_eq!(config("sled:d?durability=relaxed").unwrap().durability, Durability::Volatile);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, text) in [
            ("sled:", "names no folder"),
            ("sled://data", "not a server"),
            ("sled:d?durability=volatile", "one of relaxed, process, power"),
            ("sled:d?cache_mb=0", "a number from 1"),
            ("sled:d?cache=1", "did you mean cache_mb?"),
        ] {
            let error = config(url).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
