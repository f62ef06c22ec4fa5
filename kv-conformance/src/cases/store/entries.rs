//! What the cases of several families do with entries.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use kv_core::{Bucket, IncomingValue};

use crate::check::{ensure, ensure_eq, show};
use crate::{Outcome, Stop};

/// Single calls under way at once: enough that a store with a committer shares its syncs among them.
const AT_ONCE: usize = 64;

/// Keys that one `get_many` of the suite asks for.
const ASKED_AT_ONCE: usize = 1_000;

/// Pages after which a listing counts as endless; the largest of these families has 20.
const MOST_PAGES: usize = 20_000;

/// How long a call may take that has nothing to wait for.
const PROMPT: Duration = Duration::from_secs(5);

/// All keys that begin with `prefix`, sorted; a key listed twice is there twice.
pub(in crate::cases) async fn listed(bucket: &Bucket, prefix: &str) -> Result<Vec<String>, Stop> {
    listed_by(bucket, prefix, None).await
}

/// The same, with at most `page` keys to a page.
pub(in crate::cases) async fn listed_by(
    bucket: &Bucket,
    prefix: &str,
    page: Option<usize>,
) -> Result<Vec<String>, Stop> {
    let mut keys = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let found = bucket.keys(prefix, cursor.as_deref(), page).await?;
        keys.extend(found.keys);
        cursor = found.cursor;
        if cursor.is_none() {
            keys.sort_unstable();
            return Ok(keys);
        }
    }
    Err(Stop::failed(format_args!("expected: the listing ends; found: {MOST_PAGES} pages and no end")))
}

/// Writes each entry with a `set` of its own, some at once.
pub(in crate::cases) async fn set_each<K: AsRef<str>, V: Into<Bytes> + Clone>(
    bucket: &Bucket,
    entries: &[(K, V)],
) -> Outcome {
    for some in entries.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|(key, value)| bucket.set(key.as_ref(), value.clone().into()))).await?;
    }
    Ok(())
}

/// Deletes each key with a `delete` of its own, some at once.
pub(in crate::cases) async fn delete_each<K: AsRef<str>>(bucket: &Bucket, keys: &[K]) -> Outcome {
    for some in keys.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|key| bucket.delete(key.as_ref()))).await?;
    }
    Ok(())
}

/// The bucket holds exactly these entries: by reading, by batch, by listing.
pub(in crate::cases) async fn ensure_holds(bucket: &Bucket, expected: &BTreeMap<String, Bytes>) -> Outcome {
    let entries: Vec<(&String, &Bytes)> = expected.iter().collect();
    for some in entries.chunks(AT_ONCE) {
        let found = try_join_all(some.iter().map(|(key, _)| bucket.get(key))).await?;
        ensure_values("get", some, &found)?;
        let exist = try_join_all(some.iter().map(|(key, _)| bucket.exists(key))).await?;
        for ((key, _), exists) in some.iter().zip(exist) {
            ensure!(exists, "expected: exists({}) is true; found: false", brief(key));
        }
    }
    for some in entries.chunks(ASKED_AT_ONCE) {
        let keys: Vec<&String> = some.iter().map(|(key, _)| *key).collect();
        ensure_values("get_many", some, &bucket.get_many(&keys).await?)?;
    }
    ensure_lists(bucket, expected.keys()).await
}

fn ensure_values(what: &str, expected: &[(&String, &Bytes)], found: &[Option<IncomingValue>]) -> Outcome {
    ensure_eq!(found.len(), expected.len(), "the number of results of {what}");
    for ((key, value), found) in expected.iter().zip(found) {
        if found.as_ref().is_none_or(|found| found.as_ref() != value.as_ref()) {
            ensure_bytes(&format!("{what}({})", brief(key)), found.as_ref(), value)?;
        }
    }
    Ok(())
}

/// The key as messages show it.
fn brief(key: &str) -> String {
    const MOST: usize = 60;
    match key.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}… of {} bytes", key.get(..end).unwrap_or(key), key.len()),
        None => format!("{key:?}"),
    }
}

/// The bucket's listing is exactly these keys, each once. They come sorted.
pub(in crate::cases) async fn ensure_lists<'a>(
    bucket: &Bucket,
    expected: impl IntoIterator<Item = &'a String>,
) -> Outcome {
    let expected: Vec<&String> = expected.into_iter().collect();
    ensure_same("the listing", &listed(bucket, "").await?, &expected)
}

/// Two sorted lists of names or keys are the same; the message shows where they differ, not the lists.
#[track_caller]
pub(in crate::cases) fn ensure_same<S: AsRef<str>>(what: &str, found: &[String], expected: &[S]) -> Outcome {
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected.as_ref());
    let at = at.unwrap_or(found.len().min(expected.len()));
    let shown = |text: Option<&str>| text.map_or_else(|| "the end".to_owned(), brief);
    match (found.get(at).map(String::as_str), expected.get(at).map(AsRef::as_ref)) {
        (None, None) => Ok(()),
        (one, other) => Err(Stop::failed(format_args!(
            "{what}, sorted: expected {} and at place {at} {}; found {} and there {}",
            expected.len(),
            shown(other),
            found.len(),
            shown(one)
        ))),
    }
}

/// The value is there and is exactly these bytes; large ones are not printed whole.
#[track_caller]
pub(in crate::cases) fn ensure_bytes(what: &str, found: Option<&IncomingValue>, expected: &[u8]) -> Outcome {
    let Some(found) = found else {
        return Err(Stop::failed(format_args!("{what}: expected {} bytes, found no entry", expected.len())));
    };
    if found.as_ref() == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).position(|(one, other)| one != other);
    let at = at.unwrap_or(found.len().min(expected.len()));
    let part = |bytes: &[u8]| show(bytes.get(at..bytes.len().min(at + 24)).unwrap_or_default());
    Err(Stop::failed(format_args!(
        "{what}: expected {} bytes, found {} bytes that differ from byte {at} on: expected {}, found {}",
        expected.len(),
        found.len(),
        part(expected),
        part(found)
    )))
}

/// Awaits a call that has nothing to wait for; it must not hang.
pub(in crate::cases) async fn prompt<T>(what: &str, call: impl Future<Output = T>) -> Result<T, Stop> {
    match tokio::time::timeout(PROMPT, call).await {
        Ok(done) => Ok(done),
        Err(_) => {
            Err(Stop::failed(format_args!("{what}: expected an answer within {PROMPT:?}, found that it still waits")))
        }
    }
}

/// Bytes without a pattern, the same for the same seed.
pub(in crate::cases) fn noise(seed: u64, len: usize) -> Bytes {
    // Beyond this the bytes repeat, but for a number at the head of each round: a piece that is lost, doubled or out
    // of place still shows, and the largest values cost little to make.
    const ROUND: usize = 1 << 20;
    // SplitMix64.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut round = Vec::with_capacity(len.min(ROUND) + 8);
    while round.len() < len.min(ROUND) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        round.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    round.truncate(len.min(ROUND));
    let mut bytes = Vec::with_capacity(len + ROUND + 8);
    bytes.extend_from_slice(&round);
    for number in 1_u64.. {
        if bytes.len() >= len {
            break;
        }
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&round);
    }
    bytes.truncate(len);
    bytes.into()
}

/// The store's buckets, sorted; one listed twice is there twice.
pub(in crate::cases) async fn buckets(store: &kv_core::Store) -> Result<Vec<String>, Stop> {
    let mut names = store.buckets().await?;
    names.sort_unstable();
    Ok(names)
}

/// The spawned task's outcome.
pub(in crate::cases) async fn joined<T>(task: tokio::task::JoinHandle<Result<T, Stop>>) -> Result<T, Stop> {
    task.await.map_err(|error| Stop::failed(format_args!("expected: the task ends; found: {error}")))?
}
