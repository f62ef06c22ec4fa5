use std::time::Duration;

use crate::{Error, Result};

/// Keys in a page where the caller names no number (LST-1).
pub const DEFAULT_PAGE_KEYS: usize = 1_000;

/// Bytes of keys at which a page may end early (LST-1): 1 MiB.
pub const PAGE_BYTES: usize = 1 << 20;

/// The shortest time to live (TTL-1).
pub const MIN_TTL: Duration = Duration::from_millis(1);

/// The longest time to live (TTL-1): ten years, leap days included.
pub const MAX_TTL: Duration = Duration::from_secs(3_653 * 24 * 60 * 60);

/// The largest sizes and counts that a store takes (LIM-1).
///
/// The defaults are the contract's maxima: every provider takes them, so a program that stays within them runs
/// on all. [`Store::with_limits`](crate::Store::with_limits) can lower each. They are checked in one place, before a provider is
/// called; a call over one fails with [`LimitExceeded`](crate::ErrorKind::LimitExceeded), which names the limit
/// and its value, and changes nothing (LIM-2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a bucket's name.
    pub bucket_name_bytes: usize,
    /// Bytes of a key.
    pub key_bytes: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Entries of a batch.
    pub batch_entries: usize,
    /// Bytes of a batch, keys and values together.
    pub batch_bytes: usize,
    /// Bytes of values, or of names, in one call's reply.
    pub reply_bytes: usize,
    /// Keys of a page.
    pub page_keys: usize,
    /// Live [`Cas`](crate::Cas) handles of a store.
    pub cas_handles: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bucket_name_bytes: 255,
            key_bytes: 32 << 10,
            value_bytes: 64 << 20,
            batch_entries: 65_536,
            batch_bytes: 64 << 20,
            reply_bytes: 128 << 20,
            page_keys: 10_000,
            cas_handles: 1_024,
        }
    }
}

impl Limits {
    /// Refuses limits over the contract's, which a provider need not be able to keep.
    pub(crate) fn check(&self) -> Result<()> {
        let max = Self::default();
        for (name, found, most) in [
            ("bucket_name_bytes", self.bucket_name_bytes, max.bucket_name_bytes),
            ("key_bytes", self.key_bytes, max.key_bytes),
            ("value_bytes", self.value_bytes, max.value_bytes),
            ("batch_entries", self.batch_entries, max.batch_entries),
            ("batch_bytes", self.batch_bytes, max.batch_bytes),
            ("reply_bytes", self.reply_bytes, max.reply_bytes),
            ("page_keys", self.page_keys, max.page_keys),
            ("cas_handles", self.cas_handles, max.cas_handles),
        ] {
            if found > most {
                return Err(Error::invalid(format!(
                    "the limit {name} can be lowered from {most}, not raised to {found}"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn bucket_name(&self, name: &str) -> Result<()> {
        within("a bucket's name", name.len(), self.bucket_name_bytes, "bytes")
    }

    pub(crate) fn key(&self, key: &str) -> Result<()> {
        within("a key", key.len(), self.key_bytes, "bytes")
    }

    pub(crate) fn value(&self, bytes: usize) -> Result<()> {
        within("a value", bytes, self.value_bytes, "bytes")
    }

    pub(crate) fn batch(&self, entries: usize, bytes: usize) -> Result<()> {
        within("a batch", entries, self.batch_entries, "entries")?;
        within("a batch", bytes, self.batch_bytes, "bytes")
    }

    /// Refuses what a provider found to be more than one reply may hold; the call must have changed nothing.
    pub(crate) fn reply(&self, bytes: usize) -> Result<()> {
        if bytes > self.reply_bytes {
            return Err(Error::reply_limit(self.reply_bytes));
        }
        Ok(())
    }

    pub(crate) fn page(&self, keys: usize) -> Result<()> {
        if keys == 0 {
            return Err(Error::invalid("a page of 0 keys was asked for; ask for at least 1"));
        }
        within("a page", keys, self.page_keys, "keys")
    }
}

fn within(what: &str, found: usize, limit: usize, unit: &str) -> Result<()> {
    if found > limit {
        return Err(Error::limit(what, found as u64, limit as u64, unit));
    }
    Ok(())
}

/// Checks a time to live and cuts it to whole milliseconds (TTL-1).
pub(crate) fn ttl(ttl: Duration) -> Result<Duration> {
    if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
        return Err(Error::invalid(format!(
            "a time to live of {ttl:?} was asked for; it must be from 1 ms to 10 years"
        )));
    }
    Ok(Duration::from_millis(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
}
