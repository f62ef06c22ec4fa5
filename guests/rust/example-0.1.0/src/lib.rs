//! The example against 0.1.0: gets and sets through `wasi:keyvalue/eventual`.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-0.2.3.wit", "../../wit/keyvalue/0.1.0.wit", "../../wit/examples/0.1.0.wit"],
    world: "golem:examples/key-value-example",
    generate_all,
});

use exports::golem::examples::api::Guest;
use wasi::keyvalue::eventual;
use wasi::keyvalue::types::{Bucket, OutgoingValue};
use wasi::keyvalue::wasi_keyvalue_error::Error;

struct Example;

impl Guest for Example {
    fn get(bucket: String, key: String) -> Option<Vec<u8>> {
        let value = sure(eventual::get(&open(&bucket), &key))?;
        Some(sure(value.incoming_value_consume_sync()))
    }

    fn set(bucket: String, key: String, value: Vec<u8>) {
        let outgoing = OutgoingValue::new_outgoing_value();
        sure(outgoing.outgoing_value_write_body_sync(&value));
        sure(eventual::set(&open(&bucket), &key, &outgoing));
    }
}

fn open(name: &str) -> Bucket {
    sure(Bucket::open_bucket(name))
}

fn sure<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{}", error.trace()))
}

export!(Example);
