//! Reads and writes of single entries.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::is_due;
use kv_core::{Atomic, Begun, Cache, IncomingValue, ProviderBucket, ReadWrite, Result, Watch};

use crate::call::{READING, charge, charge_due};
use crate::engine::View;
use crate::entry::{Entry, look};
use crate::error::Fault;
use crate::record::Value;
use crate::registry::BucketState;
use crate::store::Bucket;

impl ProviderBucket for Bucket {
    fn atomic(&self) -> Option<&dyn Atomic> {
        Some(self)
    }

    fn cache(&self) -> Option<&dyn Cache> {
        Some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

impl Bucket {
    /// Reads a value where it is asked for if memory can answer, else on the pool.
    #[inline]
    fn get_here<'a>(&'a self, key: &'a str) -> Begun<'a, Option<IncomingValue>> {
        match self.read_here(key, see) {
            // By itself, for then it is moved once less: that shows in a call of less than a microsecond.
            Some((Ok(value), 0)) => Begun::Done(Ok(value)),
            Some((done, units)) => Begun::Pending(Box::pin(async move {
                if units > 0 {
                    charge(units).await;
                }
                match done {
                    Err(Fault::Alone) => self.get_large(key).await,
                    done => done.map_err(|fault| fault.into_error(READING)),
                }
            })),
            None => Begun::Pending(Box::pin(async move {
                let read = |view: View<'_>, state: &BucketState, key: &str| match see(view, state, key) {
                    Err(Fault::Alone) => Ok(None),
                    done => done.map(Some),
                };
                match self.read_on_pool(key, read).await? {
                    Some(value) => Ok(value),
                    None => self.get_large(key).await,
                }
            })),
        }
    }

    /// Writes a value where it is asked for if that waits for nothing.
    #[inline]
    fn set_here<'a>(&'a self, key: &'a str, value: Bytes) -> Begun<'a, ()> {
        let step = move |entry: &mut Entry<'_>| entry.store(&value, None);
        match self.write_here(key, &step) {
            Ok(Ok(())) if self.inner.committer.is_none() => Begun::Done(Ok(())),
            Ok(Ok(())) => Begun::Pending(Box::pin(self.inner.acknowledge())),
            Ok(Err(error)) => Begun::Done(Err(error)),
            Err(fault) => Begun::Pending(Box::pin(async move {
                self.write_slowly(key, step, fault).await?;
                self.inner.acknowledge().await
            })),
        }
    }

    /// Reads a value that was large. It may have been replaced meanwhile, so all of it is read again.
    async fn get_large(&self, key: &str) -> Result<Option<IncomingValue>> {
        Ok(self.load_on_pool(key).await?.map(IncomingValue::from))
    }
}

/// Reads a value in passing; [`Alone`](Fault::Alone) for a large one.
#[inline(always)]
fn see(view: View<'_>, state: &BucketState, key: &str) -> Result<Option<IncomingValue>, Fault> {
    look(view, state, key, |record| match record.map(|record| record.value) {
        None => Ok(None),
        Some(Value::Inline(value)) => Ok(Some(Bytes::copy_from_slice(value).into())),
        Some(Value::Large(_)) => Err(Fault::Alone),
    })
}

#[async_trait]
impl ReadWrite for Bucket {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        self.begin_get(key).end().await
    }

    #[inline]
    fn begin_get<'a>(&'a self, key: &'a str) -> Begun<'a, Option<IncomingValue>> {
        if is_due() {
            return Begun::Pending(Box::pin(async move {
                charge_due().await;
                self.get_here(key).end().await
            }));
        }
        self.get_here(key)
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        self.begin_set(key, value).end().await
    }

    #[inline]
    fn begin_set<'a>(&'a self, key: &'a str, value: Bytes) -> Begun<'a, ()> {
        if is_due() {
            return Begun::Pending(Box::pin(async move {
                charge_due().await;
                self.set_here(key, value).end().await
            }));
        }
        self.set_here(key, value)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.write(key, |entry| entry.remove()).await?;
        // Also where the key was absent: whoever removed it may not have synced yet.
        self.inner.acknowledge().await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.read(key, |view, state, key| look(view, state, key, |record| Ok(record.is_some()))).await
    }
}
