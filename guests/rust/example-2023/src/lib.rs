//! The example of 2023: gets and sets through `wasi:keyvalue/readwrite`.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-2023-11-10.wit", "../../wit/keyvalue/golem-2023.wit", "../../wit/examples/2023.wit"],
    world: "golem:examples/key-value-example",
    generate_all,
});

mod api;

use exports::golem::examples::api::Guest;

struct Example;

impl Guest for Example {
    fn get(bucket: String, key: String) -> Option<Vec<u8>> {
        api::get(&bucket, &key)
    }

    fn set(bucket: String, key: String, value: Vec<u8>) {
        api::set(&bucket, &key, &value);
    }
}

export!(Example);
