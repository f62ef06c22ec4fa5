//! The calls of the example of 2023, which `example-2023-wasi` makes too.

use crate::wasi::keyvalue::readwrite;
use crate::wasi::keyvalue::types::{Bucket, OutgoingValue};
use crate::wasi::keyvalue::wasi_cloud_error::Error;

pub(crate) fn get(bucket: &str, key: &str) -> Option<Vec<u8>> {
    match readwrite::get(&open(bucket), key) {
        Ok(value) => Some(sure(value.incoming_value_consume_sync())),
        // In this shape a missing key is an error, told apart by its trace alone.
        Err(error) => match error.trace().as_str() {
            "Key not found" => None,
            trace => panic!("{trace}"),
        },
    }
}

pub(crate) fn set(bucket: &str, key: &str, value: &[u8]) {
    let bucket = open(bucket);
    let outgoing = OutgoingValue::new_outgoing_value();
    sure(outgoing.outgoing_value_write_body_sync(value));
    sure(readwrite::set(&bucket, key, &outgoing));
}

fn open(name: &str) -> Bucket {
    sure(Bucket::open_bucket(name))
}

fn sure<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{}", error.trace()))
}
