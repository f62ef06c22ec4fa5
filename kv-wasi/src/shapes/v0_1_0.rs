//! `wasi:keyvalue@0.1.0`, but for its `cache`: values are resources, a missing key is `none`.

use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use crate::bindings::v0_1_0::wasi::keyvalue::{atomic, eventual, eventual_batch, types, wasi_keyvalue_error};
use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::operations::NumberSwap;
use crate::resources::{ErrorText, Incoming, OpenBucket, Outgoing};

type Told<T> = Result<Result<T, Resource<ErrorText>>>;

impl wasi_keyvalue_error::Host for KvCtxView<'_> {}

impl wasi_keyvalue_error::HostError for KvCtxView<'_> {
    fn trace(&mut self, error: Resource<ErrorText>) -> Result<String> {
        KvCtxView::trace(self, &error)
    }

    fn drop(&mut self, error: Resource<ErrorText>) -> Result<()> {
        self.free(error).map(drop)
    }
}

impl types::Host for KvCtxView<'_> {}

impl types::HostBucket for KvCtxView<'_> {
    async fn open_bucket(&mut self, name: String) -> Told<Resource<OpenBucket>> {
        let opened = self.open(&name).await;
        self.told(opened)
    }

    fn drop(&mut self, bucket: Resource<OpenBucket>) -> Result<()> {
        self.free(bucket).map(drop)
    }
}

impl types::HostOutgoingValue for KvCtxView<'_> {
    fn new_outgoing_value(&mut self) -> Result<Resource<Outgoing>> {
        self.push(Outgoing::default()).map_err(Fail::into_trap)
    }

    fn outgoing_value_write_body_async(&mut self, value: Resource<Outgoing>) -> Told<Resource<DynOutputStream>> {
        let stream = self.write_async(&value);
        self.told(stream)
    }

    async fn outgoing_value_write_body_sync(&mut self, value: Resource<Outgoing>, body: Vec<u8>) -> Told<()> {
        let mut done = self.write_sync(&value, body);
        if done.is_ok() {
            // The only call that can tell how filling a vacancy went.
            let value = self.table.get(&value)?.clone();
            done = self.ctx.budget.fill(&value).await;
        }
        self.told(done)
    }

    /// A vacancy whose value was never written goes to the next who waits for it.
    async fn drop(&mut self, value: Resource<Outgoing>) -> Result<()> {
        let value = self.free(value)?;
        if value.check_closed().is_ok() {
            drop(value.take_vacancy());
        }
        Ok(())
    }
}

impl types::HostIncomingValue for KvCtxView<'_> {
    fn incoming_value_consume_sync(&mut self, value: Resource<Incoming>) -> Told<Vec<u8>> {
        let consumed = self.consume_sync(&value);
        self.told(consumed)
    }

    fn incoming_value_consume_async(&mut self, value: Resource<Incoming>) -> Told<Resource<DynInputStream>> {
        let stream = self.consume_async(&value);
        self.told(stream)
    }

    fn incoming_value_size(&mut self, value: Resource<Incoming>) -> Told<u64> {
        Ok(Ok(self.table.get(&value)?.size))
    }

    fn drop(&mut self, value: Resource<Incoming>) -> Result<()> {
        self.free(value).map(drop)
    }
}

impl eventual::Host for KvCtxView<'_> {
    async fn get(&mut self, bucket: Resource<OpenBucket>, key: String) -> Told<Option<Resource<Incoming>>> {
        let found = KvCtxView::get(self, &bucket, &key).await;
        let value = found.and_then(|found| found.map(|value| self.push_value(value)).transpose());
        self.told(value)
    }

    async fn set(&mut self, bucket: Resource<OpenBucket>, key: String, value: Resource<Outgoing>) -> Told<()> {
        let done = match self.outgoing(&value) {
            Ok(value) => KvCtxView::set(self, &bucket, &key, value).await,
            Err(fail) => Err(fail),
        };
        self.told(done)
    }

    async fn delete(&mut self, bucket: Resource<OpenBucket>, key: String) -> Told<()> {
        let done = KvCtxView::delete(self, &bucket, &key).await;
        self.told(done)
    }

    async fn exists(&mut self, bucket: Resource<OpenBucket>, key: String) -> Told<bool> {
        let done = KvCtxView::exists(self, &bucket, &key).await;
        self.told(done)
    }
}

impl eventual_batch::Host for KvCtxView<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<OpenBucket>,
        keys: Vec<String>,
    ) -> Told<Vec<Option<Resource<Incoming>>>> {
        let found = KvCtxView::get_many(self, &bucket, &keys).await;
        let values = found.and_then(|found| self.push_values(found));
        self.told(values)
    }

    async fn keys(&mut self, bucket: Resource<OpenBucket>) -> Told<Vec<String>> {
        let keys = self.all_keys(&bucket).await;
        self.told(keys)
    }

    async fn set_many(&mut self, bucket: Resource<OpenBucket>, entries: Vec<(String, Resource<Outgoing>)>) -> Told<()> {
        let done = match self.outgoing_many(entries) {
            Ok(entries) => KvCtxView::set_many(self, &bucket, entries).await,
            Err(fail) => Err(fail),
        };
        self.told(done)
    }

    async fn delete_many(&mut self, bucket: Resource<OpenBucket>, keys: Vec<String>) -> Told<()> {
        let done = KvCtxView::delete_many(self, &bucket, &keys).await;
        self.told(done)
    }
}

impl atomic::Host for KvCtxView<'_> {
    async fn increment(&mut self, bucket: Resource<OpenBucket>, key: String, delta: u64) -> Told<u64> {
        let done = self.increment_unsigned(&bucket, &key, delta).await;
        self.told(done)
    }

    async fn compare_and_swap(&mut self, bucket: Resource<OpenBucket>, key: String, old: u64, new: u64) -> Told<bool> {
        let swap = self.swap_numbers(&bucket, &key, old, new).await;
        self.told(swap.map(|swap| matches!(swap, NumberSwap::Swapped)))
    }
}
