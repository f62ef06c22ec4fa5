//! What a host of `0.1.0` has to withstand: values that are hoarded, written in small pieces, read and never taken.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-0.2.3.wit", "../../wit/keyvalue/0.1.0.wit", "../../wit/hostile-values.wit"],
    world: "kv:hostile-values/hostile-values",
    generate_all,
});

use wasi::keyvalue::cache::{self, FutureGetOrSetResult, FutureGetResult, GetOrSetEntry, Vacancy};
use wasi::keyvalue::eventual;
use wasi::keyvalue::types::{Bucket, OutgoingValue};
use wasi::keyvalue::wasi_keyvalue_error::Error;

struct Hostile;

impl Guest for Hostile {
    fn hoard_values(n: u32, bytes: u32) -> (u32, String) {
        let body = vec![7; bytes as usize];
        let mut held = Vec::new();
        for _ in 0..n {
            let value = OutgoingValue::new_outgoing_value();
            if let Err(error) = value.outgoing_value_write_body_sync(&body) {
                return (held.len() as u32, error.trace());
            }
            held.push(value);
        }
        (held.len() as u32, String::new())
    }

    fn write_pieces(bucket: String, key: String, n: u32, bytes: u32) -> Result<(), String> {
        let body = vec![7; bytes as usize];
        let value = OutgoingValue::new_outgoing_value();
        for _ in 0..n {
            value.outgoing_value_write_body_sync(&body).map_err(text)?;
        }
        let bucket = Bucket::open_bucket(&bucket).map_err(text)?;
        eventual::set(&bucket, &key, &value).map_err(text)
    }

    fn read_untaken(key: String, n: u32) -> (u32, String) {
        let futures: Vec<FutureGetResult> = (0..n).map(|_| cache::get(&key)).collect();
        for future in &futures {
            future.listen_to_future_get_result().block();
        }
        let (mut values, mut first) = (Vec::new(), String::new());
        for future in &futures {
            match future.future_get_result_get() {
                Some(Ok(found)) => values.extend(found),
                Some(Err(error)) if first.is_empty() => first = error.trace(),
                Some(Err(_)) => {}
                None => panic!("a result that was there is gone"),
            }
        }
        (values.len() as u32, first)
    }

    fn write_untaken(n: u32) {
        for key in 0..n {
            let value = OutgoingValue::new_outgoing_value();
            value.outgoing_value_write_body_sync(b"value").unwrap_or_else(|error| panic!("{}", error.trace()));
            drop(cache::set(&key.to_string(), &value, None));
        }
    }

    fn hoard_streams(n: u32) -> (u32, String) {
        let mut held = Vec::new();
        // So that it is a stream that the host refuses, by an error, and not a value, by a trap.
        let _odd = OutgoingValue::new_outgoing_value();
        for _ in 0..n {
            let value = OutgoingValue::new_outgoing_value();
            match value.outgoing_value_write_body_async() {
                Ok(stream) => held.push((stream, value)),
                Err(error) => return (held.len() as u32, error.trace()),
            }
        }
        (held.len() as u32, String::new())
    }

    fn fill_by_stream(key: String, ttl_ms: u32) -> Result<(), String> {
        let value = vacancy(&key).vacancy_fill(Some(ttl_ms));
        let stream = value.outgoing_value_write_body_async().map_err(text)?;
        stream.blocking_write_and_flush(b"value").map_err(|error| format!("{error:?}"))
    }

    fn fill_twice(key: String) -> Result<(), String> {
        let value = vacancy(&key).vacancy_fill(None);
        value.outgoing_value_write_body_sync(b"first").map_err(text)?;
        value.outgoing_value_write_body_sync(b"second").map_err(text)
    }
}

fn vacancy(key: &str) -> Vacancy {
    let future: FutureGetOrSetResult = cache::get_or_set(key);
    future.listen_to_future_get_or_set_result().block();
    match future.future_get_or_set_result_get() {
        Some(Ok(GetOrSetEntry::Vacant(vacancy))) => vacancy,
        _ => panic!("the key is not vacant"),
    }
}

fn text(error: Error) -> String {
    error.trace()
}

export!(Hostile);
