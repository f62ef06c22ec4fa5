//! Mutants that the family `keys` must catch.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Effect, Error, ErrorKind, Fill, Guard, IncomingValue, Page, PageRequest, Result, Swap, Ttl};

use super::{Fault, Mutant, Under, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Keys, "key_lower_cased", Keyed(str::to_lowercase), "NAM-1"),
    mutant!(Keys, "key_trimmed", Keyed(|key| key.trim().to_owned()), "NAM-1"),
    mutant!(Keys, "key_cut_at_nul", Keyed(|key| key.split('\0').next().unwrap_or_default().to_owned()), "NAM-1"),
    mutant!(Keys, "trailing_nul_stripped", Keyed(|key| key.trim_end_matches('\0').to_owned()), "NAM-1"),
    mutant!(Keys, "key_line_ends_translated", Keyed(|key| key.replace("\r\n", "\n")), "NAM-1"),
    mutant!(Keys, "key_composed", Keyed(|key| key.replace("e\u{301}", "é").replace("A\u{30a}", "Å")), "NAM-1"),
    mutant!(Keys, "key_percent_decoded", Keyed(|key| key.replace("%2F", "/").replace("%00", "\0")), "NAM-1"),
    mutant!(Keys, "key_path_cleaned", Keyed(|key| key.replace("//", "/").replace("/./", "/")), "NAM-1"),
    mutant!(Keys, "key_backslash_unescaped", Keyed(|key| key.replace("\\*", "*")), "NAM-1"),
    mutant!(Keys, "key_hash_tag_only", Keyed(hash_tag), "NAM-1"),
    mutant!(Keys, "key_number_canonical", Keyed(number), "NAM-1"),
    mutant!(Keys, "key_byte_order_mark_stripped", Keyed(|key| key.trim_start_matches('\u{feff}').to_owned()), "NAM-1"),
    mutant!(Keys, "key_above_the_bmp_lost", Keyed(|key| key.replace(|c| c > '\u{ffff}', "\u{fffd}")), "NAM-1"),
    mutant!(Keys, "key_private_use_lost", Keyed(|key| key.replace('\u{f8ff}', "\u{fffd}")), "NAM-1"),
    mutant!(Keys, "key_cut_at_255_bytes", Keyed(|key| cut(key, 255)), "LIM-1"),
    mutant!(Keys, "key_last_byte_ignored_when_long", Keyed(|key| cut(key, 32_767)), "LIM-1"),
    mutant!(Keys, "long_key_refused", LongKeyRefused, "LIM-1"),
    mutant!(Keys, "empty_key_refused", EmptyKeyRefused, "NAM-2"),
    mutant!(Keys, "empty_key_not_listed", NotListed(str::is_empty), "NAM-2"),
    mutant!(Keys, "reserved_keys_not_listed", NotListed(|key| key.starts_with("__")), "NAM-1"),
    mutant!(Keys, "listing_escapes_keys", ListingEscapes, "NAM-1"),
    mutant!(Keys, "prefix_is_a_pattern", PrefixIsAPattern, "NAM-1"),
    mutant!(Keys, "prefix_bound_overflows", PrefixBoundOverflows, "NAM-1"),
    mutant!(Keys, "delete_by_pattern", DeleteByPattern, "NAM-1"),
    mutant!(Keys, "batch_read_trims_keys", BatchReadTrims, "NAM-1"),
];

/// Every key passes through this on its way to the store.
struct Keyed(fn(&str) -> String);

fn hash_tag(key: &str) -> String {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key).to_owned()
}

fn number(key: &str) -> String {
    key.parse::<i64>().map_or_else(|_| key.to_owned(), |number| number.to_string())
}

fn cut(key: &str, most: usize) -> String {
    key.get(..key.floor_char_boundary(most)).unwrap_or(key).to_owned()
}

#[async_trait]
impl Fault for Keyed {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        under.bucket.get(&(self.0)(key)).await
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.set(&(self.0)(key), value).await
    }

    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        under.bucket.delete(&(self.0)(key)).await
    }

    async fn exists(&self, under: &Under, key: &str) -> Result<bool> {
        under.bucket.exists(&(self.0)(key)).await
    }

    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let keys: Vec<String> = keys.iter().map(|key| (self.0)(key)).collect();
        under.bucket.get_many(&keys.iter().map(String::as_str).collect::<Vec<_>>(), budget).await
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let entries: Vec<(String, Bytes)> = entries.iter().map(|(key, value)| ((self.0)(key), value.clone())).collect();
        let entries: Vec<(&str, Bytes)> = entries.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        under.bucket.set_many(&entries).await
    }

    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        let keys: Vec<String> = keys.iter().map(|key| (self.0)(key)).collect();
        under.bucket.delete_many(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        under.atomic()?.increment(&(self.0)(key), delta).await
    }

    async fn compare_and_swap(
        &self,
        under: &Under,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<Bytes>,
    ) -> Result<Swap> {
        under.atomic()?.compare_and_swap(&(self.0)(key), expected, new).await
    }

    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        under.atomic()?.cas(&(self.0)(key)).await
    }

    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        under.cache()?.set_with_ttl(&(self.0)(key), value, ttl).await
    }

    async fn ttl(&self, under: &Under, key: &str) -> Result<Ttl> {
        under.cache()?.ttl(&(self.0)(key)).await
    }

    async fn fill(&self, under: &Under, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        under.cache()?.fill(&(self.0)(key), value, ttl).await
    }
}

/// The engine's own limit, lower than the contract's, shows through.
struct LongKeyRefused;

#[async_trait]
impl Fault for LongKeyRefused {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if key.len() > 16_384 {
            return Err(Error::limit("a key", key.len() as u64, 16_384, "bytes"));
        }
        under.bucket.set(key, value).await
    }
}

struct EmptyKeyRefused;

#[async_trait]
impl Fault for EmptyKeyRefused {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, Effect::None, "a key must not be empty"));
        }
        under.bucket.set(key, value).await
    }
}

/// Listings leave out the keys that this names.
struct NotListed(fn(&str) -> bool);

#[async_trait]
impl Fault for NotListed {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        page.keys.retain(|key| !(self.0)(key));
        Ok(page)
    }
}

struct ListingEscapes;

#[async_trait]
impl Fault for ListingEscapes {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        for key in page.keys.iter_mut().filter(|key| key.contains(char::is_control)) {
            *key = key.escape_debug().to_string();
        }
        Ok(page)
    }
}

/// `SCAN MATCH prefix*` with the prefix as it is: a `*` at its end matches anything.
struct PrefixIsAPattern;

#[async_trait]
impl Fault for PrefixIsAPattern {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let prefix = request.prefix.trim_end_matches('*');
        under.bucket.keys(PageRequest { prefix, ..request }).await
    }
}

/// The end of the range is the prefix with its last character one up, and the last one of all has no next.
struct PrefixBoundOverflows;

#[async_trait]
impl Fault for PrefixBoundOverflows {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        if request.prefix.ends_with(char::MAX) {
            return Ok(Page::default());
        }
        under.bucket.keys(request).await
    }
}

struct DeleteByPattern;

#[async_trait]
impl Fault for DeleteByPattern {
    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        let Some(prefix) = key.strip_suffix('*') else { return under.bucket.delete(key).await };
        let page = under.bucket.keys(PageRequest { prefix, cursor: None, limit: 1_000, budget: usize::MAX }).await?;
        let keys: Vec<&str> = page.keys.iter().map(String::as_str).collect();
        under.bucket.delete_many(&keys).await
    }
}

struct BatchReadTrims;

#[async_trait]
impl Fault for BatchReadTrims {
    async fn get_many(&self, under: &Under, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let keys: Vec<&str> = keys.iter().map(|key| key.trim_end_matches('\n')).collect();
        under.bucket.get_many(&keys, budget).await
    }
}
