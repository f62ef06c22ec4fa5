//! `wasi:keyvalue` without a version: a missing key is an error.

use super::value::value_shape;
use crate::fail::Fail;

/// The error by whose trace guests of this shape know that there is no such key.
fn not_found() -> Fail {
    Fail::other("Key not found")
}

value_shape! {
    bindings: golem_2023, errors: wasi_cloud_error, single: readwrite, many: batch,
    missing: Err(not_found()),
    size: {
        fn size(&mut self, value: Resource<Incoming>) -> Result<u64> {
            Ok(self.table.get(&value)?.size)
        }
    }
    get: {
        async fn get(&mut self, bucket: Resource<OpenBucket>, key: String) -> Told<Resource<Incoming>> {
            let found = KvCtxView::get(self, &bucket, &key).await;
            let value = found.and_then(|found| found.ok_or_else(not_found)).and_then(|value| self.push_value(value));
            self.told(value)
        }
    }
    get_many: {
        async fn get_many(&mut self, bucket: Resource<OpenBucket>, keys: Vec<String>) -> Told<Vec<Resource<Incoming>>> {
            let found = KvCtxView::get_many(self, &bucket, &keys).await;
            // All or nothing: no handle is given while one of the keys is missing.
            let found = found.and_then(|found| if found.contains(&None) { Err(not_found()) } else { Ok(found) });
            let values = found.and_then(|found| self.push_values(found));
            self.told(values.map(|values| values.into_iter().flatten().collect()))
        }

        async fn get_keys(&mut self, bucket: Resource<OpenBucket>) -> Result<Vec<String>> {
            self.all_keys(&bucket).await.map_err(Fail::into_trap)
        }
    }
}
