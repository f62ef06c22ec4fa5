use std::iter::repeat_with;

use transcript::{Show, Transcript, long_value};

use crate::bodies::{outgoing, whole, write};
use crate::calls::failure;
use crate::exports::kv::guests::calls::Failure;
use crate::wasi::io::poll::Pollable;
use crate::wasi::keyvalue::cache::{self, FutureResult, GetOrSetEntry};
use crate::wasi::keyvalue::types::{Error, IncomingValue};

/// What a call gives at last: the call has failed, or its future gave nothing though its pollable was ready.
type Given<T> = Result<Result<T, Error>, String>;

/// Asks at once, and after its pollable if it is too early.
fn wait<T>(get: impl Fn() -> Option<Result<T, Error>>, listen: impl Fn() -> Pollable) -> Given<T> {
    if let Some(given) = get() {
        return Ok(given);
    }
    listen().block();
    get().ok_or_else(|| "a future that is ready gives nothing".to_owned())
}

fn got(key: &str) -> Given<Option<IncomingValue>> {
    let future = cache::get(key);
    wait(|| future.future_get_result_get(), || future.listen_to_future_get_result())
}

fn found(key: &str) -> Given<bool> {
    let future = cache::exists(key);
    wait(|| future.future_exists_result_get(), || future.listen_to_future_exists_result())
}

fn done(future: FutureResult) -> Given<()> {
    wait(|| future.future_result_get(), || future.listen_to_future_result())
}

fn stored(key: &str, value: &[u8], ttl_ms: Option<u32>) -> Given<()> {
    match outgoing(value) {
        Ok(value) => done(cache::set(key, &value, ttl_ms)),
        Err(error) => Ok(Err(error)),
    }
}

fn entry(key: &str) -> Given<GetOrSetEntry> {
    let future = cache::get_or_set(key);
    wait(|| future.future_get_or_set_result_get(), || future.listen_to_future_get_or_set_result())
}

fn answer<T>(given: Given<T>) -> Result<T, Failure> {
    given.map_err(Failure::Other)?.map_err(failure)
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
    answer(got(key))?.as_ref().map(whole).transpose().map_err(failure)
}

pub(crate) fn exists(key: &str) -> Result<bool, Failure> {
    answer(found(key))
}

pub(crate) fn set(key: &str, value: &[u8], ttl_ms: Option<u32>) -> Result<(), Failure> {
    answer(stored(key, value, ttl_ms))
}

pub(crate) fn delete(key: &str) -> Result<(), Failure> {
    answer(done(cache::delete(key)))
}

pub(crate) fn get_or_set(key: &str, value: &[u8], ttl_ms: Option<u32>) -> Result<Vec<u8>, Failure> {
    match answer(entry(key))? {
        GetOrSetEntry::Occupied(there) => whole(&there).map_err(failure),
        GetOrSetEntry::Vacant(vacancy) => {
            let body = vacancy.vacancy_fill(ttl_ms);
            body.outgoing_value_write_body_sync(value).map_err(failure)?;
            Ok(value.to_vec())
        }
    }
}

const KEY: &str = "tour/cached";

pub(crate) fn tour(lines: &mut Transcript) {
    plain(lines);
    expiring(lines);
    taken_twice(lines);
    let ended = vacancies(lines);
    lines.note("cache: every body was given", &ended);
    lines.note("cache: delete", &done(cache::delete(KEY)));
    lines.note("cache: get", &got(KEY));
}

fn plain(lines: &mut Transcript) {
    lines.note("cache: get missing", &got(KEY));
    lines.note("cache: exists missing", &found(KEY));
    lines.note("cache: delete missing", &done(cache::delete(KEY)));
    lines.note("cache: set", &stored(KEY, b"kept", None));
    lines.note("cache: get", &got(KEY));
    lines.note("cache: exists", &found(KEY));
    lines.note("cache: set to 100000 bytes", &stored(KEY, &long_value(100_000), None));
    lines.note("cache: get", &got(KEY));
    lines.note("cache: delete", &done(cache::delete(KEY)));
    lines.note("cache: exists", &found(KEY));
}

fn expiring(lines: &mut Transcript) {
    /// Each takes a call of the host, which is far longer than the entry's millisecond in sum.
    const TRIES: usize = 1_000_000;
    lines.note("cache: set for 0 ms", &stored(KEY, b"never", Some(0)));
    lines.note("cache: get", &got(KEY));
    lines.note("cache: set for an hour", &stored(KEY, b"long", Some(3_600_000)));
    lines.note("cache: get", &got(KEY));
    lines.note("cache: set for the longest", &stored(KEY, b"longest", Some(u32::MAX)));
    lines.note("cache: get", &got(KEY));
    lines.note("cache: set for 1 ms", &stored(KEY, b"short", Some(1)));
    let gone = repeat_with(|| got(KEY)).take(TRIES).find(|given| !matches!(given, Ok(Ok(Some(_)))));
    lines.note("cache: get at last", &gone.map_or_else(|| "it never expired".to_owned(), |given| given.show()));
    lines.note("cache: exists", &found(KEY));
}

/// Each future, once its result was taken.
fn taken_twice(lines: &mut Transcript) {
    lines.note("cache: set", &stored(KEY, b"once", None));

    let future = cache::get(KEY);
    lines.note("future get", &wait(|| future.future_get_result_get(), || future.listen_to_future_get_result()));
    lines.note("future get: a second time", &future.future_get_result_get());
    future.listen_to_future_get_result().block();

    let future = cache::exists(KEY);
    lines
        .note("future exists", &wait(|| future.future_exists_result_get(), || future.listen_to_future_exists_result()));
    lines.note("future exists: a second time", &future.future_exists_result_get());

    let future = cache::delete(KEY);
    lines.note("future delete", &wait(|| future.future_result_get(), || future.listen_to_future_result()));
    lines.note("future delete: a second time", &future.future_result_get());

    let future = cache::get_or_set(KEY);
    let first = wait(|| future.future_get_or_set_result_get(), || future.listen_to_future_get_or_set_result());
    lines.note("future get-or-set", &first);
    lines.note("future get-or-set: a second time", &future.future_get_or_set_result_get());

    // Asked for before the vacancy above is dropped with `first`: whoever waits for it gets it then.
    let waiting = cache::get_or_set(KEY);
    drop(first);
    let next = wait(|| waiting.future_get_or_set_result_get(), || waiting.listen_to_future_get_or_set_result());
    lines.note("get-or-set that waited for a dropped vacancy", &next);

    // A future that nobody asks.
    drop(cache::get(KEY));
}

fn vacancies(lines: &mut Transcript) -> Result<(), Error> {
    if let Ok(Ok(GetOrSetEntry::Vacant(vacancy))) = entry(KEY) {
        let body = vacancy.vacancy_fill(None);
        let waiting = cache::get_or_set(KEY);
        lines.note("fill a vacancy at once", &body.outgoing_value_write_body_sync(b"filled"));
        drop((body, vacancy));
        let next = wait(|| waiting.future_get_or_set_result_get(), || waiting.listen_to_future_get_or_set_result());
        lines.note("get-or-set that waited for the fill", &next);
    }
    lines.note("cache: get", &got(KEY));
    lines.note("get-or-set of what is there", &entry(KEY));
    lines.note("cache: delete", &done(cache::delete(KEY)));

    if let Ok(Ok(GetOrSetEntry::Vacant(vacancy))) = entry(KEY) {
        let body = vacancy.vacancy_fill(Some(3_600_000));
        drop(vacancy);
        let stream = body.outgoing_value_write_body_async()?;
        lines.note("fill a vacancy by a stream", &write(&stream, &long_value(10_000)));
        drop(stream);
        drop(body);
    }
    lines.note("get-or-set of what is there", &entry(KEY));
    lines.note("cache: delete", &done(cache::delete(KEY)));

    if let Ok(Ok(GetOrSetEntry::Vacant(vacancy))) = entry(KEY) {
        drop(vacancy.vacancy_fill(None));
    }
    lines.note("get-or-set after a fill without a body", &entry(KEY));
    lines.note("cache: delete", &done(cache::delete(KEY)));

    if let Ok(Ok(GetOrSetEntry::Vacant(vacancy))) = entry(KEY) {
        lines.note("cache: set while a vacancy is held", &stored(KEY, b"sooner", None));
        let body = vacancy.vacancy_fill(None);
        lines.note("fill it after that", &body.outgoing_value_write_body_sync(b"later"));
    }
    lines.note("cache: get", &got(KEY));
    Ok(())
}

impl Show for GetOrSetEntry {
    fn show(&self) -> String {
        match self {
            GetOrSetEntry::Occupied(value) => format!("occupied by {}", value.show()),
            GetOrSetEntry::Vacant(_) => "vacant".to_owned(),
        }
    }
}
