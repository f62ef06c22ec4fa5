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

#[path = "../../example-2023/src/api.rs"]
mod api;

use std::sync::Once;

use exports::golem::examples::api::Guest;
use wasi::cli::stdout::get_stdout;
use wasi::filesystem::preopens::get_directories;

static BEGIN: Once = Once::new();

struct Example;

impl Guest for Example {
    fn get(bucket: String, key: String) -> Option<Vec<u8>> {
        begin();
        api::get(&bucket, &key)
    }

    fn set(bucket: String, key: String, value: Vec<u8>) {
        begin();
        api::set(&bucket, &key, &value);
        print(&format!("set {key} in {bucket}\n"));
    }
}

fn begin() {
    BEGIN.call_once(|| print(&format!("preopened directories: {}\n", get_directories().len())));
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
