//! Many calls of the host for one call of the guest, so that the host's part is what is measured.

wit_bindgen::generate!({
    path: ["../../wit/keyvalue/0.2.0-draft.wit", "../../wit/bench.wit"],
    world: "kv:bench/bench",
    generate_all,
});

use wasi::keyvalue::store::{self, Error};

struct Bench;

impl Guest for Bench {
    fn gets(bucket: String, key: String, n: u32) -> u64 {
        let bucket = sure(store::open(&bucket));
        (0..n).map(|_| sure(bucket.get(&key)).map_or(0, |value| value.len() as u64)).sum()
    }

    fn sets(bucket: String, key: String, value: Vec<u8>, n: u32) -> u64 {
        let bucket = sure(store::open(&bucket));
        for _ in 0..n {
            sure(bucket.set(&key, &value));
        }
        u64::from(n) * value.len() as u64
    }
}

fn sure<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error:?}"))
}

export!(Bench);
