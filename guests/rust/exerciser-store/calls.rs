use crate::exports::kv::guests::calls::{Failure, Guest};
use crate::wasi::keyvalue::store::{self, Bucket, Error};
use crate::{Exerciser, cas, shape};

type Answer<T> = Result<T, Failure>;

impl Guest for Exerciser {
    fn get(bucket: String, key: String) -> Answer<Option<Vec<u8>>> {
        within(&bucket, |bucket| bucket.get(&key))
    }

    fn set(bucket: String, key: String, value: Vec<u8>) -> Answer<()> {
        within(&bucket, |bucket| bucket.set(&key, &value))
    }

    fn delete(bucket: String, key: String) -> Answer<()> {
        within(&bucket, |bucket| bucket.delete(&key))
    }

    fn exists(bucket: String, key: String) -> Answer<bool> {
        within(&bucket, |bucket| bucket.exists(&key))
    }

    fn keys(bucket: String) -> Answer<Vec<String>> {
        within(&bucket, |bucket| Ok(pages(bucket)?.concat()))
    }

    fn get_many(bucket: String, keys: Vec<String>) -> Answer<Vec<Option<Vec<u8>>>> {
        within(&bucket, |bucket| shape::get_many(bucket, &keys))
    }

    fn set_many(bucket: String, entries: Vec<(String, Vec<u8>)>) -> Answer<()> {
        within(&bucket, |bucket| crate::wasi::keyvalue::batch::set_many(bucket, &entries))
    }

    fn delete_many(bucket: String, keys: Vec<String>) -> Answer<()> {
        within(&bucket, |bucket| crate::wasi::keyvalue::batch::delete_many(bucket, &keys))
    }

    fn increment(bucket: String, key: String, delta: i64) -> Answer<i64> {
        within(&bucket, |bucket| shape::increment(bucket, &key, delta))
    }

    fn compare_and_swap(_: String, _: String, _: u64, _: u64) -> Answer<bool> {
        Err(Failure::Unsupported)
    }

    fn cas_new(bucket: String, key: String) -> Answer<u32> {
        store::open(&bucket).map_err(failure).and_then(|bucket| cas::new(&bucket, &key))
    }

    fn cas_current(handle: u32) -> Answer<Option<Vec<u8>>> {
        cas::current(handle)
    }

    fn cas_swap(handle: u32, value: Vec<u8>) -> Answer<Option<u32>> {
        cas::swap(handle, &value)
    }

    fn cache_get(_: String) -> Answer<Option<Vec<u8>>> {
        Err(Failure::Unsupported)
    }

    fn cache_exists(_: String) -> Answer<bool> {
        Err(Failure::Unsupported)
    }

    fn cache_set(_: String, _: Vec<u8>, _: Option<u32>) -> Answer<()> {
        Err(Failure::Unsupported)
    }

    fn cache_get_or_set(_: String, _: Vec<u8>, _: Option<u32>) -> Answer<Vec<u8>> {
        Err(Failure::Unsupported)
    }

    fn cache_delete(_: String) -> Answer<()> {
        Err(Failure::Unsupported)
    }
}

/// Opens the bucket for one call.
fn within<T>(name: &str, call: impl FnOnce(&Bucket) -> Result<T, Error>) -> Answer<T> {
    store::open(name).and_then(|bucket| call(&bucket)).map_err(failure)
}

/// All keys, a list for each page of the host.
pub(crate) fn pages(bucket: &Bucket) -> Result<Vec<Vec<String>>, Error> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let (keys, next) = shape::list(bucket, cursor)?;
        pages.push(keys);
        if next.is_none() {
            return Ok(pages);
        }
        cursor = next;
    }
}

pub(crate) fn failure(error: Error) -> Failure {
    match error {
        Error::NoSuchStore => Failure::NoSuchStore,
        Error::AccessDenied => Failure::AccessDenied,
        Error::Other(text) => Failure::Other(text),
    }
}
