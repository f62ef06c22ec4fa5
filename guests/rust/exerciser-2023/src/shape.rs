//! What sets this shape apart: a missing key is an error, a list of keys and a size have none.

use crate::bodies::outgoing;
pub(crate) use crate::wasi::keyvalue::batch;
pub(crate) use crate::wasi::keyvalue::readwrite as single;
use crate::wasi::keyvalue::types::{Bucket, Error, IncomingValue};

/// As other shapes have it.
pub(crate) fn get(bucket: &Bucket, key: &str) -> Result<Option<IncomingValue>, Error> {
    match single::get(bucket, key) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.trace() == "Key not found" => Ok(None),
        Err(error) => Err(error),
    }
}

/// The call fails where any key is missing.
pub(crate) fn get_many(bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<IncomingValue>>, Error> {
    Ok(batch::get_many(bucket, keys)?.into_iter().map(Some).collect())
}

pub(crate) fn set_many(bucket: &Bucket, entries: &[(String, Vec<u8>)]) -> Result<(), Error> {
    let values = entries.iter().map(|(_, value)| outgoing(value)).collect::<Result<Vec<_>, _>>()?;
    let entries: Vec<_> = entries.iter().map(|(key, _)| key.clone()).zip(&values).collect();
    batch::set_many(bucket, &entries)
}

pub(crate) fn keys(bucket: &Bucket) -> Result<Vec<String>, Error> {
    Ok(batch::get_keys(bucket))
}

pub(crate) fn size(value: &IncomingValue) -> u64 {
    value.size()
}
