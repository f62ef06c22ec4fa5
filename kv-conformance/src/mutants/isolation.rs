//! Mutants that the family `isolation` must catch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    Effect, Error, ErrorKind, Guard, GuardSwap, IncomingValue, Page, PageRequest, Provider, ProviderBucket, Result,
};

use super::{Fault, Mutant, Under, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Isolation, "bucket_and_key_joined_by_a_colon", Joined(':'), "NAM-3"),
    mutant!(Isolation, "bucket_and_key_joined_by_a_slash", Joined('/'), "NAM-3"),
    mutant!(Isolation, "bucket_and_key_joined_by_nul", Joined('\0'), "NAM-3"),
    mutant!(Isolation, "bucket_name_lower_cased", Named(str::to_lowercase), "NAM-1"),
    mutant!(Isolation, "bucket_name_trimmed", Named(|name| name.trim().to_owned()), "NAM-1"),
    mutant!(Isolation, "bucket_name_composed", Named(|name| name.replace("e\u{301}", "é")), "NAM-1"),
    mutant!(Isolation, "bucket_name_percent_decoded", Named(|name| name.replace("%2F", "/")), "NAM-1"),
    mutant!(Isolation, "bucket_name_cut_at_254_bytes", Named(|name| cut(name, 254)), "LIM-1"),
    mutant!(
        Isolation,
        "empty_name_is_default",
        Named(|name| if name.is_empty() { "default" } else { name }.to_owned()),
        "NAM-2"
    ),
    mutant!(Isolation, "empty_name_refused", NameRefused(str::is_empty), "NAM-2"),
    mutant!(Isolation, "long_name_refused", NameRefused(|name| name.len() > 128), "LIM-1"),
    mutant!(Isolation, "engine_names_refused", NameRefused(|name| name.starts_with("__sled")), "NAM-3"),
    mutant!(Isolation, "names_listed_escaped", NamesListedEscaped, "NAM-1"),
    mutant!(Isolation, "bucket_numbers_wrap", NumbersWrap::default(), "NAM-3"),
    mutant!(Isolation, "drop_by_prefix", DropsToo(|name, other| other.starts_with(name)), "BKT-3"),
    mutant!(Isolation, "drop_by_pattern", DropsToo(matches_glob), "NAM-3"),
    mutant!(Isolation, "listing_by_prefix_of_the_name", ListsLongerNames, "NAM-3"),
    mutant!(Isolation, "batch_goes_to_the_bucket_opened_last", BatchToLastOpened::default(), "NAM-3"),
    mutant!(Isolation, "handle_disturbed_by_other_buckets", Arc::<Versions>::default(), "NAM-3"),
    mutant!(Isolation, "deadline_by_key_alone", Deadlines { by_key_alone: true, ..Deadlines::default() }, "NAM-3"),
    mutant!(Isolation, "deadline_outlives_its_bucket", Deadlines::default(), "NAM-3"),
];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bucket and key are joined by a character that both may hold: the first one found ends the bucket's name.
struct Joined(char);

impl Joined {
    async fn place(&self, under: &Under, key: &str) -> Result<(Arc<dyn ProviderBucket>, String)> {
        let joined = format!("{}{}{key}", under.name, self.0);
        let (bucket, key) = joined.split_once(self.0).unwrap_or_default();
        Ok((under.provider.open_bucket(bucket).await?, key.to_owned()))
    }
}

#[async_trait]
impl Fault for Joined {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let (bucket, key) = self.place(under, key).await?;
        bucket.get(&key).await
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let (bucket, key) = self.place(under, key).await?;
        bucket.set(&key, value).await
    }

    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        let (bucket, key) = self.place(under, key).await?;
        bucket.delete(&key).await
    }

    async fn exists(&self, under: &Under, key: &str) -> Result<bool> {
        let (bucket, key) = self.place(under, key).await?;
        bucket.exists(&key).await
    }
}

/// Every name passes through this on its way to the store.
struct Named(fn(&str) -> String);

fn cut(name: &str, most: usize) -> String {
    name.get(..name.floor_char_boundary(most)).unwrap_or(name).to_owned()
}

#[async_trait]
impl Fault for Named {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        below.open_bucket(&(self.0)(name)).await
    }

    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        below.drop_bucket(&(self.0)(name)).await
    }
}

struct NameRefused(fn(&str) -> bool);

#[async_trait]
impl Fault for NameRefused {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        if (self.0)(name) {
            return Err(Error::new(ErrorKind::InvalidArgument, Effect::None, "no bucket can have this name"));
        }
        below.open_bucket(name).await
    }
}

struct NamesListedEscaped;

#[async_trait]
impl Fault for NamesListedEscaped {
    async fn buckets(&self, below: &Arc<dyn Provider>) -> Result<Vec<String>> {
        Ok(below.buckets().await?.into_iter().map(|name| name.escape_debug().to_string()).collect())
    }
}

/// Buckets are numbered in one byte: the 257th is the first again.
#[derive(Default)]
struct NumbersWrap(Mutex<Vec<String>>);

#[async_trait]
impl Fault for NumbersWrap {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let stored = {
            let mut names = lock(&self.0);
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
            let number = names.iter().position(|known| known == name).unwrap_or_default() % 256;
            names.get(number).cloned().unwrap_or_default()
        };
        below.open_bucket(&stored).await
    }
}

/// A drop takes along the buckets whose names fit.
struct DropsToo(fn(&str, &str) -> bool);

/// Patterns of `*` and `?` alone.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let mut left = pattern.chars();
    match left.next() {
        None => text.is_empty(),
        Some('*') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.filter_map(|at| text.get(at..)).any(|rest| matches_glob(left.as_str(), rest))
        }
        Some(first) => text
            .chars()
            .next()
            .filter(|c| first == '?' || *c == first)
            .and_then(|c| text.get(c.len_utf8()..))
            .is_some_and(|rest| matches_glob(left.as_str(), rest)),
    }
}

#[async_trait]
impl Fault for DropsToo {
    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        for other in below.buckets().await? {
            if (self.0)(name, &other) {
                below.drop_bucket(&other).await?;
            }
        }
        below.drop_bucket(name).await
    }
}

/// Physical keys begin with the name, and nothing marks its end.
struct ListsLongerNames;

#[async_trait]
impl Fault for ListsLongerNames {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let mut page = under.bucket.keys(request).await?;
        if page.cursor.is_none() {
            let all = PageRequest { prefix: "", cursor: None, limit: 1_000, budget: usize::MAX };
            for other in under.provider.buckets().await? {
                let Some(rest) = other.strip_prefix(&under.name).filter(|rest| !rest.is_empty()) else { continue };
                let theirs = under.provider.open_bucket(&other).await?.keys(all).await?.keys;
                let seen = theirs.into_iter().map(|key| format!("{rest}{key}"));
                page.keys.extend(seen.filter(|key| key.starts_with(request.prefix)));
            }
        }
        Ok(page)
    }
}

/// A batch goes to whatever bucket the shared connection was switched to last.
#[derive(Default)]
struct BatchToLastOpened(Mutex<String>);

#[async_trait]
impl Fault for BatchToLastOpened {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        name.clone_into(&mut lock(&self.0));
        below.open_bucket(name).await
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        let current = lock(&self.0).clone();
        under.provider.open_bucket(&current).await?.set_many(entries).await
    }

    async fn delete_many(&self, under: &Under, keys: &[&str]) -> Result<()> {
        let current = lock(&self.0).clone();
        under.provider.open_bucket(&current).await?.delete_many(keys).await
    }
}

/// Versions for handles are kept by key, whatever the bucket.
#[derive(Default)]
struct Versions(Mutex<HashMap<String, u64>>);

#[async_trait]
impl Fault for Arc<Versions> {
    async fn cas(&self, under: &Under, key: &str) -> Result<Box<dyn Guard>> {
        let guard = under.atomic()?.cas(key).await?;
        let taken = lock(&self.0).get(key).copied();
        Ok(Box::new(VersionedGuard { guard, key: key.to_owned(), taken, versions: Arc::clone(self) }))
    }
}

struct VersionedGuard {
    guard: Box<dyn Guard>,
    key: String,
    taken: Option<u64>,
    versions: Arc<Versions>,
}

#[async_trait]
impl Guard for VersionedGuard {
    fn current(&self) -> Option<&IncomingValue> {
        self.guard.current()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let is_same = lock(&self.versions.0).get(&self.key).copied() == self.taken;
        if !is_same {
            return Ok(GuardSwap::Lost(self.guard));
        }
        let ended = self.guard.swap(value).await?;
        *lock(&self.versions.0).entry(self.key).or_default() += 1;
        Ok(ended)
    }
}

/// The list of deadlines is looked at by readers, and is wrong about whose they are: it knows keys only, or keeps
/// those of a dropped bucket.
#[derive(Default)]
struct Deadlines {
    by_key_alone: bool,
    due: Mutex<HashMap<(String, String), Due>>,
}

struct Due {
    at: Instant,
    is_dropped: bool,
}

impl Deadlines {
    fn place(&self, under: &Under, key: &str) -> (String, String) {
        let bucket = if self.by_key_alone { String::new() } else { under.name.clone() };
        (bucket, key.to_owned())
    }
}

#[async_trait]
impl Fault for Deadlines {
    async fn set_with_ttl(&self, under: &Under, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        under.cache()?.set_with_ttl(key, value, ttl).await?;
        lock(&self.due).insert(self.place(under, key), Due { at: Instant::now() + ttl, is_dropped: false });
        Ok(())
    }

    async fn drop_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<()> {
        below.drop_bucket(name).await?;
        lock(&self.due).iter_mut().filter(|((bucket, _), _)| bucket == name).for_each(|(_, due)| due.is_dropped = true);
        Ok(())
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.set(key, value).await?;
        let place = self.place(under, key);
        let mut due = lock(&self.due);
        if !self.by_key_alone && due.get(&place).is_some_and(|due| !due.is_dropped) {
            due.remove(&place);
        }
        Ok(())
    }

    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        let is_due = lock(&self.due).get(&self.place(under, key)).is_some_and(|due| due.at <= Instant::now());
        if is_due { Ok(None) } else { under.bucket.get(key).await }
    }
}
