use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::store::Shared;
use crate::{
    Atomic, Begun, Cache, Cas, DEFAULT_PAGE_KEYS, Error, Events, Fill, GetOrSet, IncomingValue, Limits, OutgoingValue,
    PAGE_BYTES, Page, PageRequest, ProviderBucket, Result, Swap, Ttl, Vacancy, limits,
};

/// An open bucket: a named, flat map from keys to values.
///
/// A clone is cheap and is the same bucket (BKT-2). The handle checks [`Limits`](crate::Limits) once, before the
/// provider is called (LIM-1, LIM-2), and answers [`Unsupported`](crate::ErrorKind::Unsupported) for powers that
/// the provider does not declare (ERR-5). Every call may fail with what the backend has, and every future may be
/// dropped at any await (CAN-1).
#[derive(Clone)]
pub struct Bucket(Arc<Handle>);

struct Handle {
    store: Arc<Shared>,
    name: Box<str>,
    backing: Arc<dyn ProviderBucket>,
}

impl Bucket {
    pub(crate) fn new(store: Arc<Shared>, name: &str, backing: Arc<dyn ProviderBucket>) -> Self {
        Self(Arc::new(Handle { store, name: name.into(), backing }))
    }

    /// The limits of its store.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.store.limits
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Reads the value under `key`, or `None` where it is absent (RW-1). See
    /// [`ReadWrite::get`](crate::ReadWrite::get).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a key or a reply over its limit.
    pub async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        let limits = &self.0.store.limits;
        limits.key(key)?;
        // Not by `end()`: to move what it gives once more shows in a read from memory.
        let found = match self.0.backing.begin_get(key) {
            Begun::Done(found) => found?,
            Begun::Pending(rest) => rest.await?,
        };
        limits.reply(found.as_deref().map_or(0, <[u8]>::len))?;
        Ok(found)
    }

    /// Creates or replaces the whole value and clears a deadline (RW-2, TTL-3). See
    /// [`ReadWrite::set`](crate::ReadWrite::set).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a key or a value over its limit.
    pub async fn set(&self, key: &str, value: impl Into<OutgoingValue>) -> Result<()> {
        let limits = &self.0.store.limits;
        limits.key(key)?;
        let value = value.into().gather(limits.value_bytes).await?;
        match self.0.backing.begin_set(key, value) {
            Begun::Done(done) => done,
            Begun::Pending(rest) => rest.await,
        }
    }

    /// Removes the entry; an absent key is `Ok` (RW-3). See [`ReadWrite::delete`](crate::ReadWrite::delete).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a key over its limit.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.0.store.limits.key(key)?;
        self.0.backing.delete(key).await
    }

    /// Whether [`get`](Self::get) would give a value at this instant (RW-4).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a key over its limit.
    pub async fn exists(&self, key: &str) -> Result<bool> {
        self.0.store.limits.key(key)?;
        self.0.backing.exists(key).await
    }

    /// Reads many keys; the results stand in the order of the keys (BAT-1). See
    /// [`Batch::get_many`](crate::Batch::get_many).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a key, the batch or the reply over its limit.
    pub async fn get_many<K: AsRef<str>>(&self, keys: &[K]) -> Result<Vec<Option<IncomingValue>>> {
        let keys = self.batch_keys(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let budget = self.0.store.limits.reply_bytes;
        let found = self.0.backing.get_many(&keys, budget).await?;
        Ok(found)
    }

    /// Writes many entries; of a repeated key the last counts (BAT-2, BAT-3). See
    /// [`Batch::set_many`](crate::Batch::set_many).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a key, a value or the batch over its limit.
    pub fn set_many<K, V>(&self, entries: impl IntoIterator<Item = (K, V)>) -> impl Future<Output = Result<()>> + Send
    where
        K: AsRef<str> + Send,
        V: Into<OutgoingValue>,
    {
        // Drained before the future begins: a future that held an iterator with closures would not be `Send` in the
        // eyes of the compiler, and could not be spawned.
        let listed = self.list(entries);
        async move {
            let limits = &self.0.store.limits;
            let mut bytes = 0_usize;
            let mut gathered: Vec<(K, Bytes)> = Vec::new();
            for (key, value) in listed? {
                let value = value.gather(limits.value_bytes).await?;
                bytes = bytes.saturating_add(key.as_ref().len()).saturating_add(value.len());
                limits.batch(gathered.len() + 1, bytes)?;
                gathered.push((key, value));
            }
            if gathered.is_empty() {
                return Ok(());
            }
            let entries: Vec<(&str, Bytes)> =
                gathered.iter().map(|(key, value)| (key.as_ref(), value.clone())).collect();
            self.0.backing.set_many(&entries).await
        }
    }

    /// Takes the entries from their iterator, no more of them than a batch may hold; streams are gathered later.
    fn list<K, V>(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<Vec<(K, OutgoingValue)>>
    where
        K: AsRef<str>,
        V: Into<OutgoingValue>,
    {
        let limits = &self.0.store.limits;
        let mut bytes = 0_usize;
        let mut listed: Vec<(K, OutgoingValue)> = Vec::new();
        for (key, value) in entries {
            limits.key(key.as_ref())?;
            let value = value.into();
            limits.value(value.bytes_in_hand())?;
            bytes = bytes.saturating_add(key.as_ref().len()).saturating_add(value.bytes_in_hand());
            limits.batch(listed.len() + 1, bytes)?;
            listed.push((key, value));
        }
        Ok(listed)
    }

    /// Removes many entries; absent and repeated keys are passed over (BAT-2, BAT-3).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a key or the batch over its limit.
    pub async fn delete_many<K: AsRef<str>>(&self, keys: &[K]) -> Result<()> {
        let keys = self.batch_keys(keys)?;
        if keys.is_empty() {
            return Ok(());
        }
        self.0.backing.delete_many(&keys).await
    }

    /// Reads one page of the keys that begin with `prefix`: from the beginning where `cursor` is `None`, else on
    /// from the page that gave it; at most `limit` keys, 1,000 where it is `None` (LST-1).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a limit of 0 and for a cursor that is not of this
    /// bucket and provider (LST-2); [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a prefix, a page or the
    /// reply over its limit.
    pub async fn keys(&self, prefix: &str, cursor: Option<&str>, limit: impl Into<Option<usize>>) -> Result<Page> {
        let limits = &self.0.store.limits;
        limits.key(prefix)?;
        let limit = limit.into().unwrap_or(DEFAULT_PAGE_KEYS.min(limits.page_keys));
        limits.page(limit)?;
        let budget = PAGE_BYTES.min(limits.reply_bytes);
        let page = self.0.backing.keys(PageRequest { prefix, cursor, limit, budget }).await?;
        limits.reply(page.keys.iter().map(String::len).sum())?;
        Ok(page)
    }

    /// Adds `delta` to the counter under `key` and returns the new value (ATM-1). See
    /// [`Atomic::increment`](crate::Atomic::increment).
    ///
    /// # Errors
    ///
    /// [`NotANumber`](crate::ErrorKind::NotANumber) and [`Overflow`](crate::ErrorKind::Overflow) (ATM-3),
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        let atomic = self.atomic()?;
        self.0.store.limits.key(key)?;
        atomic.increment(key, delta).await
    }

    /// Stores `new`, or removes the entry where that is `None`, if the value's bytes are `expected`, where `None`
    /// is absence; else reports the value found (CAS-1).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<OutgoingValue>,
    ) -> Result<Swap> {
        let atomic = self.atomic()?;
        let limits = &self.0.store.limits;
        limits.key(key)?;
        limits.value(expected.map_or(0, <[u8]>::len))?;
        let new = match new {
            Some(value) => Some(value.gather(limits.value_bytes).await?),
            None => None,
        };
        let ended = atomic.compare_and_swap(key, expected, new).await?;
        if let Swap::Found(Some(value)) = &ended {
            limits.reply(value.len())?;
        }
        Ok(ended)
    }

    /// Takes a versioned handle on `key` (CAS-2).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if the store's live handles are used up or the current
    /// value is over the reply's limit, [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn cas(&self, key: &str) -> Result<Cas> {
        let atomic = self.atomic()?;
        let limits = &self.0.store.limits;
        limits.key(key)?;
        let permit = self.0.store.permits.take(limits.cas_handles)?;
        let guard = atomic.cas(key).await?;
        Cas::new(guard, permit, limits.clone())
    }

    /// Stores value and deadline in one atomic step; `ttl` is cut to whole milliseconds (TTL-1, TTL-2).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a time to live under 1 ms or over 10 years,
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn set_with_ttl(&self, key: &str, value: impl Into<OutgoingValue>, ttl: Duration) -> Result<()> {
        let cache = self.cache()?;
        let limits = &self.0.store.limits;
        limits.key(key)?;
        let ttl = limits::ttl(ttl)?;
        let value = value.into().gather(limits.value_bytes).await?;
        cache.set_with_ttl(key, value, ttl).await
    }

    /// How long the entry has left (TTL-3).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn ttl(&self, key: &str) -> Result<Ttl> {
        let cache = self.cache()?;
        self.0.store.limits.key(key)?;
        cache.ttl(key).await
    }

    /// Reads the value under `key`, or gives exactly one caller of this store the vacancy to fill; the others wait
    /// for it (TTL-4). A dropped vacancy wakes one that waits.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn get_or_set(&self, key: &str) -> Result<GetOrSet> {
        self.cache()?;
        self.0.store.flights.get_or_set(self, key).await
    }

    /// Takes the vacancy of an entry that a read found absent, waiting for others that hold it; `None` if the entry is there
    /// now, so that it is read again. For callers that bound how much they read at once, and must not wait for others
    /// meanwhile; the rest have [`get_or_set`](Self::get_or_set).
    ///
    /// # Errors
    ///
    /// As [`get_or_set`](Self::get_or_set).
    pub async fn vacancy(&self, key: &str) -> Result<Option<Vacancy>> {
        self.cache()?;
        self.0.store.flights.vacancy(self, key).await
    }

    pub(crate) async fn fill(&self, key: &str, value: OutgoingValue, ttl: Option<Duration>) -> Result<Fill> {
        let cache = self.cache()?;
        let ttl = ttl.map(limits::ttl).transpose()?;
        let limits = &self.0.store.limits;
        let value = value.gather(limits.value_bytes).await?;
        let ended = cache.fill(key, value, ttl).await?;
        if let Fill::Found(value) = &ended {
            limits.reply(value.len())?;
        }
        Ok(ended)
    }

    /// Watches the keys that begin with `prefix` (WCH-1, WCH-2). See [`Watch::watch`](crate::Watch::watch).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn watch(&self, prefix: &str) -> Result<Events> {
        let watch = self.0.backing.watch().ok_or_else(|| Error::unsupported("watch"))?;
        self.0.store.limits.key(prefix)?;
        watch.watch(prefix).await
    }

    fn atomic(&self) -> Result<&dyn Atomic> {
        self.0.backing.atomic().ok_or_else(|| Error::unsupported("atomic operations"))
    }

    fn cache(&self) -> Result<&dyn Cache> {
        self.0.backing.cache().ok_or_else(|| Error::unsupported("entries that expire"))
    }

    fn batch_keys<'a, K: AsRef<str>>(&self, keys: &'a [K]) -> Result<Vec<&'a str>> {
        let limits = &self.0.store.limits;
        let mut bytes = 0_usize;
        for key in keys {
            limits.key(key.as_ref())?;
            bytes = bytes.saturating_add(key.as_ref().len());
        }
        limits.batch(keys.len(), bytes)?;
        Ok(keys.iter().map(AsRef::as_ref).collect())
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name()).finish_non_exhaustive()
    }
}
