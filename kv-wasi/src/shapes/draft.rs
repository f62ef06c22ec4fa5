//! `0.2.0-draft`: cursors and counters are unsigned numbers.

use wasmtime::component::Resource;

use super::store::{store_shape, whole};
use crate::bindings::draft::wasi::keyvalue::atomics;
use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::resources::OpenBucket;

store_shape!(draft, u64, Option<(String, Vec<u8>)>, whole);

impl atomics::Host for KvCtxView<'_> {
    async fn increment(&mut self, bucket: Resource<OpenBucket>, key: String, delta: u64) -> Result<u64, Fail> {
        self.increment_unsigned(&bucket, &key, delta).await
    }
}
