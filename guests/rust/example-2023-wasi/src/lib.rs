//! The example of 2023 as compilers of that time made it: it imports WASI itself, in the version of November 2023.

wit_bindgen::generate!({
    path: [
        "../../wit/wasi/io-2023-11-10.wit",
        "../../wit/wasi/cli-2023-11-10.wit",
        "../../wit/wasi/filesystem-2023-11-10.wit",
        "../../wit/keyvalue/golem-2023.wit",
        "../../wit/examples/2023-wasi.wit",
    ],
    world: "golem:examples/key-value-example",
    generate_all,
});

use std::sync::Once;

use exports::golem::examples::api::Guest;
use wasi::cli::stdout::get_stdout;
use wasi::filesystem::preopens::get_directories;
use wasi::keyvalue::readwrite;
use wasi::keyvalue::types::{Bucket, OutgoingValue};
use wasi::keyvalue::wasi_cloud_error::Error;

static BEGIN: Once = Once::new();

struct Example;

impl Guest for Example {
    fn get(bucket: String, key: String) -> Option<Vec<u8>> {
        let bucket = open(&bucket);
        match readwrite::get(&bucket, &key) {
            Ok(value) => Some(sure(value.incoming_value_consume_sync())),
            Err(error) => match error.trace().as_str() {
                "Key not found" => None,
                trace => panic!("{trace}"),
            },
        }
    }

    fn set(bucket: String, key: String, value: Vec<u8>) {
        let opened = open(&bucket);
        let outgoing = OutgoingValue::new_outgoing_value();
        sure(outgoing.outgoing_value_write_body_sync(&value));
        sure(readwrite::set(&opened, &key, &outgoing));
        print(&format!("set {key} in {bucket}\n"));
    }
}

fn open(name: &str) -> Bucket {
    BEGIN.call_once(|| print(&format!("preopened directories: {}\n", get_directories().len())));
    sure(Bucket::open_bucket(name))
}

fn sure<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{}", error.trace()))
}

fn print(text: &str) {
    let stdout = get_stdout();
    // The most that one call of `blocking-write-and-flush` takes.
    for piece in text.as_bytes().chunks(4096) {
        if let Err(error) = stdout.blocking_write_and_flush(piece) {
            panic!("stdout: {error:?}");
        }
    }
}

export!(Example);
