//! `wasi:keyvalue@0.1.0`, but for its `cache`: a missing key is `none`.

use super::value::value_shape;

value_shape! {
    bindings: v0_1_0, errors: wasi_keyvalue_error, single: eventual, many: eventual_batch,
    missing: Ok(false),
    size: {
        fn incoming_value_size(&mut self, value: Resource<Incoming>) -> Told<u64> {
            Ok(Ok(self.table.get(&value)?.size))
        }
    }
    get: {
        async fn get(&mut self, bucket: Resource<OpenBucket>, key: String) -> Told<Option<Resource<Incoming>>> {
            let found = KvCtxView::get(self, &bucket, &key).await;
            let value = found.and_then(|found| found.map(|value| self.push_value(value)).transpose());
            self.told(value)
        }
    }
    get_many: {
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
    }
}
