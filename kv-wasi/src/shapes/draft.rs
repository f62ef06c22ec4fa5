//! `0.2.0-draft`: cursors and counters are unsigned numbers.

use std::sync::{Arc, PoisonError};

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::access::Rights;
use crate::bindings::draft::wasi::keyvalue::{atomics, batch, store};
use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::operations::vec;
use crate::resources::OpenBucket;

impl store::Host for KvCtxView<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<OpenBucket>, Fail> {
        self.open(&identifier).await
    }

    fn convert_error(&mut self, fail: Fail) -> Result<store::Error> {
        match fail {
            Fail::NoSuchStore => Ok(store::Error::NoSuchStore),
            Fail::Denied => Ok(store::Error::AccessDenied),
            Fail::Other(text) => Ok(store::Error::Other(text)),
            Fail::Trap(cause) => Err(cause),
        }
    }
}

impl store::HostBucket for KvCtxView<'_> {
    async fn get(&mut self, bucket: Resource<OpenBucket>, key: String) -> Result<Option<Vec<u8>>, Fail> {
        Ok(KvCtxView::get(self, &bucket, &key).await?.map(vec))
    }

    async fn set(&mut self, bucket: Resource<OpenBucket>, key: String, value: Vec<u8>) -> Result<(), Fail> {
        KvCtxView::set(self, &bucket, &key, value.into()).await
    }

    async fn delete(&mut self, bucket: Resource<OpenBucket>, key: String) -> Result<(), Fail> {
        KvCtxView::delete(self, &bucket, &key).await
    }

    async fn exists(&mut self, bucket: Resource<OpenBucket>, key: String) -> Result<bool, Fail> {
        KvCtxView::exists(self, &bucket, &key).await
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<OpenBucket>,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, Fail> {
        let name = self.bucket(&bucket, Rights::LIST)?.name().to_owned();
        let shared = Arc::clone(&self.ctx.shared);
        let cursors = || shared.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let cursor = match cursor {
            Some(number) => Some(cursors().find(&name, number)?),
            None => None,
        };
        let page = self.page(&bucket, cursor.as_deref()).await?;
        let cursor = page.cursor.map(|cursor| cursors().keep(&name, cursor));
        Ok(store::KeyResponse { keys: page.keys, cursor })
    }

    fn drop(&mut self, bucket: Resource<OpenBucket>) -> Result<()> {
        self.free(bucket).map(drop)
    }
}

impl atomics::Host for KvCtxView<'_> {
    async fn increment(&mut self, bucket: Resource<OpenBucket>, key: String, delta: u64) -> Result<u64, Fail> {
        self.increment_unsigned(&bucket, &key, delta).await
    }
}

impl batch::Host for KvCtxView<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<OpenBucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Fail> {
        let values = KvCtxView::get_many(self, &bucket, &keys).await?;
        let pairs = keys.into_iter().zip(values);
        Ok(pairs.map(|(key, value)| value.map(|value| (key, vec(value)))).collect())
    }

    async fn set_many(&mut self, bucket: Resource<OpenBucket>, entries: Vec<(String, Vec<u8>)>) -> Result<(), Fail> {
        let entries = entries.into_iter().map(|(key, value)| (key, value.into())).collect();
        KvCtxView::set_many(self, &bucket, entries).await
    }

    async fn delete_many(&mut self, bucket: Resource<OpenBucket>, keys: Vec<String>) -> Result<(), Fail> {
        KvCtxView::delete_many(self, &bucket, &keys).await
    }
}
