//! The example of 2023: gets and sets through `wasi:keyvalue/readwrite`.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-2023-11-10.wit", "../../wit/keyvalue/golem-2023.wit", "../../wit/examples/2023.wit"],
    world: "golem:examples/key-value-example",
    generate_all,
});

use exports::golem::examples::api::Guest;
use wasi::keyvalue::readwrite;
use wasi::keyvalue::types::{Bucket, OutgoingValue};
use wasi::keyvalue::wasi_cloud_error::Error;

struct Example;

impl Guest for Example {
    fn get(bucket: String, key: String) -> Option<Vec<u8>> {
        let bucket = open(&bucket);
        match readwrite::get(&bucket, &key) {
            Ok(value) => Some(sure(value.incoming_value_consume_sync())),
            // In this shape a missing key is an error, told apart by its trace alone.
            Err(error) => match error.trace().as_str() {
                "Key not found" => None,
                trace => panic!("{trace}"),
            },
        }
    }

    fn set(bucket: String, key: String, value: Vec<u8>) {
        let bucket = open(&bucket);
        let outgoing = OutgoingValue::new_outgoing_value();
        sure(outgoing.outgoing_value_write_body_sync(&value));
        sure(readwrite::set(&bucket, &key, &outgoing));
    }
}

fn open(name: &str) -> Bucket {
    sure(Bucket::open_bucket(name))
}

fn sure<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{}", error.trace()))
}

export!(Example);
