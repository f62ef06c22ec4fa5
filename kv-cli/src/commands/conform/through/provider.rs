//! A provider each of whose calls goes through a guest: suite, guest, host, provider.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kv::{
    Atomic, Batch, Cache, Checkpoint, Declared, Error, Guard, GuardSwap, IncomingValue, Page, PageRequest, Provider,
    ProviderBucket, ReadWrite, Reindex, Result, Store, Swap, Watch,
};
use tokio::sync::Mutex;

use super::instances::{Instances, Running};
use super::told::{Inexpressible, SET_MANY};

/// What no shape has (dropping buckets, listing them, closing) is asked of the host's own store.
pub(super) struct Through {
    pub(super) store: Store,
    pub(super) instances: Arc<Instances>,
    pub(super) inexpressible: Inexpressible,
}

impl Through {
    /// What the provider declares as a guest sees it: nothing of the shapes is for deadlines in any bucket, or a stream.
    pub(super) fn declared(of: &Declared) -> Declared {
        Declared { cache: false, watch: None, ..of.clone() }
    }
}

#[async_trait]
impl Provider for Through {
    fn declared(&self) -> Declared {
        Self::declared(&self.store.declared())
    }

    async fn open_bucket(&self, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let bucket = GuestBucket {
            name: name.to_owned(),
            instances: Arc::clone(&self.instances),
            inexpressible: self.inexpressible.clone(),
        };
        Ok(Arc::new(bucket))
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        self.store.buckets().await
    }

    async fn drop_bucket(&self, name: &str) -> Result<()> {
        self.store.drop_bucket(name).await
    }

    async fn close(&self) -> Result<()> {
        self.instances.end();
        self.store.close().await
    }

    async fn info(&self) -> Result<Vec<(&'static str, String)>> {
        self.store.info().await
    }

    fn reindex(&self) -> Option<&dyn Reindex> {
        None
    }

    fn checkpoint(&self) -> Option<&dyn Checkpoint> {
        None
    }
}

#[derive(Clone)]
struct GuestBucket {
    name: String,
    instances: Arc<Instances>,
    inexpressible: Inexpressible,
}

/// Calls a function of the guest's in an idle instance.
macro_rules! call {
    ($bucket:expr, $call:expr, $function:ident($($argument:expr),*)) => {{
        let mut running = $bucket.instances.take().await?;
        let Running { store, exerciser } = &mut running;
        let called = exerciser.kv_guests_calls().$function(store, $($argument),*).await;
        let called = called.map_err(|cause| $bucket.inexpressible.trapped($call, cause))?;
        $bucket.instances.give_back(running);
        called.map_err(|failure| $bucket.inexpressible.error($call, failure))
    }};
}

impl ProviderBucket for GuestBucket {
    fn atomic(&self) -> Option<&dyn Atomic> {
        Some(self)
    }

    fn cache(&self) -> Option<&dyn Cache> {
        None
    }

    fn watch(&self) -> Option<&dyn Watch> {
        None
    }
}

fn value(bytes: Vec<u8>) -> IncomingValue {
    Bytes::from(bytes).into()
}

#[async_trait]
impl ReadWrite for GuestBucket {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        Ok(call!(self, "get", call_get(&self.name, key))?.map(value))
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        call!(self, "set", call_set(&self.name, key, &value))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        call!(self, "delete", call_delete(&self.name, key))
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        call!(self, "exists", call_exists(&self.name, key))
    }
}

#[async_trait]
impl Batch for GuestBucket {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let values = call!(self, "get-many", call_get_many(&self.name, &keys))?;
        if values.iter().flatten().map(Vec::len).sum::<usize>() > budget {
            return Err(Error::reply_limit(budget));
        }
        Ok(values.into_iter().map(|found| found.map(value)).collect())
    }

    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()> {
        let entries: Vec<_> = entries.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
        call!(self, SET_MANY, call_set_many(&self.name, &entries))
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        call!(self, "delete-many", call_delete_many(&self.name, &keys))
    }

    /// The guest lists all keys, page by page where its shape has pages; they are cut into the suite's pages here.
    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        if request.cursor.is_some() || request.limit < kv::DEFAULT_PAGE_KEYS {
            return Err(self.inexpressible.note("listing whose pages the caller cuts"));
        }
        let mut keys = call!(self, "keys", call_keys(&self.name))?;
        keys.retain(|key| key.starts_with(request.prefix));
        if keys.len() > request.limit || keys.iter().map(String::len).sum::<usize>() > request.budget {
            return Err(self.inexpressible.note("listing whose pages the caller cuts"));
        }
        Ok(Page { keys, cursor: None })
    }
}

#[async_trait]
impl Atomic for GuestBucket {
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        if delta < 0 && !self.instances.has_signed_counters() {
            return Err(self.inexpressible.note("increment by less than 0"));
        }
        call!(self, "increment", call_increment(&self.name, key, delta))
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap> {
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
        let numbers = expected.and_then(number).zip(new.as_deref().and_then(number));
        let Some((old, new)) = numbers else {
            return Err(self.inexpressible.note("compare-and-swap of what is no number"));
        };
        if call!(self, "compare-and-swap", call_compare_and_swap(&self.name, key, old, new))? {
            return Ok(Swap::Swapped);
        }
        // The shape does not tell what it found.
        Ok(Swap::Found(self.get(key).await?))
    }

    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>> {
        let mut running = self.instances.take().await?;
        let Running { store, exerciser } = &mut running;
        let taken = exerciser
            .kv_guests_calls()
            .call_cas_new(store, &self.name, key)
            .await
            .map_err(|cause| self.inexpressible.trapped("versioned swap", cause))?;
        match taken {
            Ok(handle) => Ok(Box::new(self.guard(running, handle).await?)),
            Err(failure) => {
                self.instances.give_back(running);
                Err(self.inexpressible.error("versioned swap", failure))
            }
        }
    }
}

impl GuestBucket {
    /// The handle lives in its instance, which therefore stays with it.
    async fn guard(&self, mut running: Running, handle: u32) -> Result<GuestGuard> {
        let Running { store, exerciser } = &mut running;
        let current = exerciser
            .kv_guests_calls()
            .call_cas_current(store, handle)
            .await
            .map_err(|cause| self.inexpressible.trapped("versioned swap", cause))?;
        let current = current.map_err(|failure| self.inexpressible.error("versioned swap", failure))?;
        Ok(GuestGuard { bucket: self.clone(), running: Mutex::new(running), handle, current: current.map(value) })
    }
}

struct GuestGuard {
    bucket: GuestBucket,
    running: Mutex<Running>,
    handle: u32,
    current: Option<IncomingValue>,
}

#[async_trait]
impl Guard for GuestGuard {
    fn current(&self) -> Option<&IncomingValue> {
        self.current.as_ref()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let Self { bucket, running, handle, .. } = *self;
        let mut running = running.into_inner();
        let Running { store, exerciser } = &mut running;
        let swapped = exerciser.kv_guests_calls().call_cas_swap(store, handle, &value).await;
        let swapped = swapped.map_err(|cause| bucket.inexpressible.trapped("versioned swap", cause))?;
        match swapped {
            Ok(None) => {
                bucket.instances.give_back(running);
                Ok(GuardSwap::Swapped)
            }
            Ok(Some(fresh)) => Ok(GuardSwap::Lost(Box::new(bucket.guard(running, fresh).await?))),
            Err(failure) => {
                bucket.instances.give_back(running);
                Err(bucket.inexpressible.error("versioned swap", failure))
            }
        }
    }
}
