//! What the shapes have in common: their calls over a bucket's.

use bytes::Bytes;
use kv_core::{Error, ErrorKind, Page, Swap};
use wasmtime::component::Resource;

use crate::access::Rights;
use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::resources::OpenBucket;

/// How a numeric compare-and-swap ended.
pub(crate) enum NumberSwap {
    Swapped,
    Other,
    Missing,
}

impl KvCtxView<'_> {
    pub(crate) async fn get(&mut self, bucket: &Resource<OpenBucket>, key: &str) -> Result<Option<Bytes>, Fail> {
        let found = self.bucket(bucket, Rights::READ)?.get(key).await?;
        Ok(found.map(Bytes::from))
    }

    pub(crate) async fn set(&mut self, bucket: &Resource<OpenBucket>, key: &str, value: Bytes) -> Result<(), Fail> {
        Ok(self.bucket(bucket, Rights::WRITE)?.set(key, value).await?)
    }

    pub(crate) async fn delete(&mut self, bucket: &Resource<OpenBucket>, key: &str) -> Result<(), Fail> {
        Ok(self.bucket(bucket, Rights::WRITE)?.delete(key).await?)
    }

    pub(crate) async fn exists(&mut self, bucket: &Resource<OpenBucket>, key: &str) -> Result<bool, Fail> {
        Ok(self.bucket(bucket, Rights::READ)?.exists(key).await?)
    }

    pub(crate) async fn get_many(
        &mut self,
        bucket: &Resource<OpenBucket>,
        keys: &[String],
    ) -> Result<Vec<Option<Bytes>>, Fail> {
        let found = self.bucket(bucket, Rights::READ)?.get_many(keys).await?;
        Ok(found.into_iter().map(|value| value.map(Bytes::from)).collect())
    }

    pub(crate) async fn set_many(
        &mut self,
        bucket: &Resource<OpenBucket>,
        entries: Vec<(String, Bytes)>,
    ) -> Result<(), Fail> {
        Ok(self.bucket(bucket, Rights::WRITE)?.set_many(entries).await?)
    }

    pub(crate) async fn delete_many(&mut self, bucket: &Resource<OpenBucket>, keys: &[String]) -> Result<(), Fail> {
        Ok(self.bucket(bucket, Rights::WRITE)?.delete_many(keys).await?)
    }

    pub(crate) async fn page(&mut self, bucket: &Resource<OpenBucket>, cursor: Option<&str>) -> Result<Page, Fail> {
        let bucket = self.bucket(bucket, Rights::LIST)?;
        bucket.keys("", cursor, None).await.map_err(|error| match error.kind() {
            ErrorKind::InvalidArgument if cursor.is_some() => Fail::other("invalid cursor"),
            _ => error.into(),
        })
    }

    /// All keys, for the shapes without pages; as many bytes of them as a reply may hold.
    pub(crate) async fn all_keys(&mut self, bucket: &Resource<OpenBucket>) -> Result<Vec<String>, Fail> {
        let most = self.bucket(bucket, Rights::LIST)?.limits().reply_bytes;
        let (mut keys, mut cursor, mut bytes) = (Vec::new(), None, 0_usize);
        loop {
            let page = self.page(bucket, cursor.as_deref()).await?;
            // A key of no bytes takes room in the guest too.
            bytes += page.keys.iter().map(|key| key.len() + 16).sum::<usize>();
            if bytes > most {
                return Err(Error::reply_limit(most).into());
            }
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }

    pub(crate) async fn increment(
        &mut self,
        bucket: &Resource<OpenBucket>,
        key: &str,
        delta: i64,
    ) -> Result<i64, Fail> {
        Ok(self.bucket(bucket, Rights::READ_WRITE)?.increment(key, delta).await?)
    }

    /// For the shapes with unsigned counters, over the store's signed ones.
    pub(crate) async fn increment_unsigned(
        &mut self,
        bucket: &Resource<OpenBucket>,
        key: &str,
        delta: u64,
    ) -> Result<u64, Fail> {
        let Ok(delta) = i64::try_from(delta) else {
            return Err(Fail::Other(format!("adding {delta} is more than a counter holds, {}", i64::MAX)));
        };
        let bucket = self.bucket(bucket, Rights::READ_WRITE)?;
        let sum = bucket.increment(key, delta).await?;
        match u64::try_from(sum) {
            Ok(sum) => Ok(sum),
            Err(_) => {
                // Another program counts below zero here. This call must change nothing.
                bucket.increment(key, delta.saturating_neg()).await?;
                Err(Fail::Other(format!("the counter would be {sum}, and this interface has none below 0")))
            }
        }
    }

    /// Stores the number `new` in the place of the number `old`.
    pub(crate) async fn swap_numbers(
        &mut self,
        bucket: &Resource<OpenBucket>,
        key: &str,
        old: u64,
        new: u64,
    ) -> Result<NumberSwap, Fail> {
        let bucket = self.bucket(bucket, Rights::READ_WRITE)?;
        let expected = old.to_string();
        if let Some(over) = [old, new].into_iter().find(|number| i64::try_from(*number).is_err()) {
            return match bucket.get(key).await? {
                None => Ok(NumberSwap::Missing),
                Some(_) => Err(Fail::Other(format!("{over} is more than a counter holds, {}", i64::MAX))),
            };
        }
        match bucket.compare_and_swap(key, Some(expected.as_bytes()), Some(new.to_string().into())).await? {
            Swap::Swapped => Ok(NumberSwap::Swapped),
            Swap::Found(None) => Ok(NumberSwap::Missing),
            Swap::Found(Some(found)) if is_number(&found) => Ok(NumberSwap::Other),
            Swap::Found(Some(_)) => Err(Fail::other("the value is not a number")),
        }
    }
}

/// Whether a value is a counter's text (ATM-2).
fn is_number(value: &[u8]) -> bool {
    kv_core::local::counter::parse(value).is_some()
}

/// Bytes from which on a value that nobody else holds is worth taking over instead of copying it.
const TAKEN_OVER: usize = 4 << 10;

/// The bytes as the bindings take them.
pub(crate) fn vec(value: Bytes) -> Vec<u8> {
    if value.len() < TAKEN_OVER { value.to_vec() } else { value.into() }
}
