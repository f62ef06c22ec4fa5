use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kv_core::{
    Atomic, Cache, Declared, Error, Events, Fill, Guard, IncomingValue, Page, PageRequest, Provider, ProviderBucket,
    Result, Swap, Ttl, Watch,
};

/// A bucket of the unharmed provider below a fault.
#[derive(Clone)]
pub(crate) struct Under {
    /// The bucket's name as the caller gave it.
    pub(crate) name: String,
    /// The unharmed bucket.
    pub(crate) bucket: Arc<dyn ProviderBucket>,
    /// The unharmed provider, for faults that reach into other buckets.
    pub(crate) provider: Arc<dyn Provider>,
}

impl Under {
    pub(crate) fn atomic(&self) -> Result<&dyn Atomic> {
        self.bucket.atomic().ok_or_else(|| Error::unsupported("atomic operations"))
    }

    pub(crate) fn cache(&self) -> Result<&dyn Cache> {
        self.bucket.cache().ok_or_else(|| Error::unsupported("entries that expire"))
    }

    pub(crate) fn watch(&self) -> Result<&dyn Watch> {
        self.bucket.watch().ok_or_else(|| Error::unsupported("watch"))
    }
}

/// A power that the provider below lacks is answered as the core answers.
#[async_trait]
impl Atomic for Under {
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        self.atomic()?.increment(key, delta).await
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap> {
        self.atomic()?.compare_and_swap(key, expected, new).await
    }

    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>> {
        self.atomic()?.cas(key).await
    }
}

#[async_trait]
impl Cache for Under {
    async fn set_with_ttl(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        self.cache()?.set_with_ttl(key, value, ttl).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.cache()?.ttl(key).await
    }

    async fn fill(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        self.cache()?.fill(key, value, ttl).await
    }
}

#[async_trait]
impl Watch for Under {
    async fn watch(&self, prefix: &str) -> Result<Events> {
        Under::watch(self)?.watch(prefix).await
    }
}

fn open_below(medium: &kv_memory::Medium) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(kv_memory::Provider::open(medium)?))
}

/// One fault: overrides what it breaks and leaves the rest to the provider below.
///
/// The same fault object serves a namespace through all its reopenings. Implement it with `#[async_trait]` and `async
/// fn`. The signatures here are what that macro makes of such functions, written out, because an `async fn` with a body
/// would be compiled again for each of the hundreds of faults: that took minutes.
pub(crate) trait Fault: Send + Sync + 'static {
    fn declared(&self, below: Declared) -> Declared {
        below
    }

    /// Opens the namespace's store, at each opening: for the first time, again after a close, or beside one that is
    /// open. `medium` is what the memory provider keeps a namespace in.
    fn open<'life0, 'life1, 'async_trait>(
        &'life0 self,
        medium: &'life1 kv_memory::Medium,
    ) -> BoxFuture<'async_trait, Result<Arc<dyn Provider>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(std::future::ready(open_below(medium)))
    }

    /// Runs after each opening, before anything else.
    fn opened<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _below: &'life1 Arc<dyn Provider>,
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(std::future::ready(Ok(())))
    }

    fn open_bucket<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        below: &'life1 Arc<dyn Provider>,
        name: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<Arc<dyn ProviderBucket>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        below.open_bucket(name)
    }

    fn buckets<'life0, 'life1, 'async_trait>(
        &'life0 self,
        below: &'life1 Arc<dyn Provider>,
    ) -> BoxFuture<'async_trait, Result<Vec<String>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        below.buckets()
    }

    fn drop_bucket<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        below: &'life1 Arc<dyn Provider>,
        name: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        below.drop_bucket(name)
    }

    fn close<'life0, 'life1, 'async_trait>(
        &'life0 self,
        below: &'life1 Arc<dyn Provider>,
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        below.close()
    }

    fn info<'life0, 'life1, 'async_trait>(
        &'life0 self,
        below: &'life1 Arc<dyn Provider>,
    ) -> BoxFuture<'async_trait, Result<Vec<(&'static str, String)>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        below.info()
    }

    fn has_atomic(&self) -> bool {
        true
    }

    fn has_cache(&self) -> bool {
        true
    }

    fn has_watch(&self) -> bool {
        true
    }

    fn get<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<Option<IncomingValue>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.get(key)
    }

    fn set<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
        value: Bytes,
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.set(key, value)
    }

    fn delete<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.delete(key)
    }

    fn exists<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<bool>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.exists(key)
    }

    fn get_many<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        keys: &'life2 [&'life3 str],
        budget: usize,
    ) -> BoxFuture<'async_trait, Result<Vec<Option<IncomingValue>>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.get_many(keys, budget)
    }

    fn set_many<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        entries: &'life2 [(&'life3 str, Bytes)],
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.set_many(entries)
    }

    fn delete_many<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        keys: &'life2 [&'life3 str],
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.delete_many(keys)
    }

    fn keys<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        request: PageRequest<'life2>,
    ) -> BoxFuture<'async_trait, Result<Page>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        under.bucket.keys(request)
    }

    fn increment<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
        delta: i64,
    ) -> BoxFuture<'async_trait, Result<i64>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Atomic::increment(under, key, delta)
    }

    fn compare_and_swap<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
        expected: Option<&'life3 [u8]>,
        new: Option<Bytes>,
    ) -> BoxFuture<'async_trait, Result<Swap>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        Atomic::compare_and_swap(under, key, expected, new)
    }

    fn cas<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<Box<dyn Guard>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Atomic::cas(under, key)
    }

    fn set_with_ttl<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'async_trait, Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Cache::set_with_ttl(under, key, value, ttl)
    }

    fn ttl<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<Ttl>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Cache::ttl(under, key)
    }

    fn fill<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        key: &'life2 str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> BoxFuture<'async_trait, Result<Fill>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Cache::fill(under, key, value, ttl)
    }

    fn watch<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        under: &'life1 Under,
        prefix: &'life2 str,
    ) -> BoxFuture<'async_trait, Result<Events>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Watch::watch(under, prefix)
    }
}
