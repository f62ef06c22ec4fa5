//! What a host has to withstand: too many handles, too long values, made-up cursors, endless loops.

wit_bindgen::generate!({
    path: ["../../wit/keyvalue/0.2.0-draft.wit", "../../wit/hostile.wit"],
    world: "kv:hostile/hostile",
    generate_all,
});

use std::hint::black_box;

use wasi::keyvalue::batch;
use wasi::keyvalue::store::{self, Error};

const MIB: usize = 1 << 20;

struct Hostile;

impl Guest for Hostile {
    fn open_bucket(name: String) -> Result<(), String> {
        store::open(&name).map(drop).map_err(text)
    }

    fn made_up_cursor(bucket: String, cursor: u64) -> Result<u32, String> {
        let page = store::open(&bucket).and_then(|bucket| bucket.list_keys(Some(cursor))).map_err(text)?;
        Ok(page.keys.len() as u32)
    }

    fn hoard_buckets(name: String, n: u32) -> (u32, String) {
        let mut held = Vec::new();
        for _ in 0..n {
            match store::open(&name) {
                Ok(bucket) => held.push(bucket),
                Err(error) => return (held.len() as u32, text(error)),
            }
        }
        (held.len() as u32, String::new())
    }

    fn read_many(bucket: String, keys: Vec<String>) -> Result<u32, String> {
        let bucket = store::open(&bucket).map_err(text)?;
        let values = batch::get_many(&bucket, &keys).map_err(text)?;
        Ok(values.iter().flatten().count() as u32)
    }

    fn write_big(bucket: String, bytes: u32) -> Result<(), String> {
        store::open(&bucket).and_then(|bucket| bucket.set("big", &vec![0; bytes as usize])).map_err(text)
    }

    fn spin() {
        let mut turns = 0_u64;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }

    fn allocate(mib: u32) -> u32 {
        let mut held: Vec<Vec<u8>> = Vec::new();
        for _ in 0..mib {
            let mut piece = Vec::new();
            // A host's limit is an answer here; a plain allocation would trap.
            if held.try_reserve(1).is_err() || piece.try_reserve_exact(MIB).is_err() {
                break;
            }
            piece.resize(MIB, 1);
            held.push(black_box(piece));
        }
        held.len() as u32
    }

    fn recurse() {
        black_box(deeper(0));
    }
}

/// What it adds after its own call keeps the compiler from making a loop of it.
#[expect(unconditional_recursion, reason = "the host has to stop it")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 8]);
    deeper(depth + 1) + black_box(frame)[0]
}

fn text(error: Error) -> String {
    match error {
        Error::NoSuchStore => "no-such-store".to_owned(),
        Error::AccessDenied => "access-denied".to_owned(),
        Error::Other(text) => text,
    }
}

export!(Hostile);
