use crate::bodies::{outgoing, whole};
use crate::exports::kv::guests::calls::{Failure, Guest};
use crate::shape::{batch, single};
use crate::wasi::keyvalue::atomic;
use crate::wasi::keyvalue::types::{Bucket, Error};
use crate::{Exerciser, cache, shape};

type Answer<T> = Result<T, Failure>;

impl Guest for Exerciser {
    fn get(bucket: String, key: String) -> Answer<Option<Vec<u8>>> {
        within(&bucket, |bucket| shape::get(bucket, &key)?.as_ref().map(whole).transpose())
    }

    fn set(bucket: String, key: String, value: Vec<u8>) -> Answer<()> {
        within(&bucket, |bucket| single::set(bucket, &key, &outgoing(&value)?))
    }

    fn delete(bucket: String, key: String) -> Answer<()> {
        within(&bucket, |bucket| single::delete(bucket, &key))
    }

    fn exists(bucket: String, key: String) -> Answer<bool> {
        within(&bucket, |bucket| single::exists(bucket, &key))
    }

    fn keys(bucket: String) -> Answer<Vec<String>> {
        within(&bucket, shape::keys)
    }

    fn get_many(bucket: String, keys: Vec<String>) -> Answer<Vec<Option<Vec<u8>>>> {
        within(&bucket, |bucket| {
            shape::get_many(bucket, &keys)?.iter().map(|value| value.as_ref().map(whole).transpose()).collect()
        })
    }

    fn set_many(bucket: String, entries: Vec<(String, Vec<u8>)>) -> Answer<()> {
        within(&bucket, |bucket| shape::set_many(bucket, &entries))
    }

    fn delete_many(bucket: String, keys: Vec<String>) -> Answer<()> {
        within(&bucket, |bucket| batch::delete_many(bucket, &keys))
    }

    fn increment(bucket: String, key: String, delta: i64) -> Answer<i64> {
        within(&bucket, |bucket| atomic::increment(bucket, &key, delta as u64)).map(|value| value as i64)
    }

    fn compare_and_swap(bucket: String, key: String, old: u64, new: u64) -> Answer<bool> {
        within(&bucket, |bucket| atomic::compare_and_swap(bucket, &key, old, new))
    }

    fn cas_new(_: String, _: String) -> Answer<u32> {
        Err(Failure::Unsupported)
    }

    fn cas_current(_: u32) -> Answer<Option<Vec<u8>>> {
        Err(Failure::Unsupported)
    }

    fn cas_swap(_: u32, _: Vec<u8>) -> Answer<Option<u32>> {
        Err(Failure::Unsupported)
    }

    fn cache_get(key: String) -> Answer<Option<Vec<u8>>> {
        cache::get(&key)
    }

    fn cache_exists(key: String) -> Answer<bool> {
        cache::exists(&key)
    }

    fn cache_set(key: String, value: Vec<u8>, ttl_ms: Option<u32>) -> Answer<()> {
        cache::set(&key, &value, ttl_ms)
    }

    fn cache_get_or_set(key: String, value: Vec<u8>, ttl_ms: Option<u32>) -> Answer<Vec<u8>> {
        cache::get_or_set(&key, &value, ttl_ms)
    }

    fn cache_delete(key: String) -> Answer<()> {
        cache::delete(&key)
    }
}

/// Opens the bucket for one call.
fn within<T>(name: &str, call: impl FnOnce(&Bucket) -> Result<T, Error>) -> Answer<T> {
    Bucket::open_bucket(name).and_then(|bucket| call(&bucket)).map_err(failure)
}

/// These shapes' errors have nothing but a trace.
pub(crate) fn failure(error: Error) -> Failure {
    Failure::Other(error.trace())
}
