//! Writers whose every call follows from its number, so that a store tells how far each of them came.

use std::collections::BTreeMap;
use std::time::Duration;

use kv_core::{Result, Store, Ttl};
use libtest_mimic::Failed;

use crate::support::{fail, value};

/// Entries of one batch.
const BATCH: usize = 12;

/// Buckets that all writers share; each writer's calls go to both by turns.
const SHARED: [&str; 2] = ["even", "odd"];

/// Long after the test.
const HOUR: Duration = Duration::from_secs(3_600);

/// One writer's entries: bucket and key, and what the value says.
pub(crate) type State = BTreeMap<(String, String), String>;

/// One writer; what it does depends on its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer(pub(crate) usize);

/// A writer's n-th call.
enum Call {
    /// Many entries at once, all of the same text.
    Batch(&'static str, Vec<String>, String),
    /// Many entries away at once.
    Unbatch(&'static str, Vec<String>),
    Count(&'static str, String),
    Set(String, String, String, usize),
    SetFor(&'static str, String, String),
    Delete(&'static str, String),
    Drop(String),
}

impl Writer {
    fn call(self, n: usize) -> Call {
        let Self(writer) = self;
        let bucket = SHARED[n % 2];
        let key = |rest: String| format!("w{writer}/{rest}");
        match writer % 4 {
            0 => {
                let keys = (0..BATCH).map(|at| key(format!("batch{at}"))).collect();
                match n % 8 {
                    6 | 7 => Call::Unbatch(bucket, keys),
                    _ => Call::Batch(bucket, keys, n.to_string()),
                }
            }
            1 => Call::Count(bucket, key("count".into())),
            2 if n % 7 == 6 => Call::Delete(bucket, key(format!("own{}", n % 5))),
            2 => Call::Set(bucket.into(), key(format!("own{}", n % 5)), format!("{writer}-{n}"), size(writer, n)),
            // A few have a bucket of their own, which they drop now and then.
            _ if writer % 16 == 3 && n % 6 == 5 => Call::Drop(format!("of w{writer}")),
            _ if writer % 16 == 3 => {
                Call::Set(format!("of w{writer}"), key(format!("e{}", n % 6)), format!("{writer}-{n}"), 200)
            }
            _ if n % 7 == 6 => Call::Delete(bucket, key(format!("ttl{}", n % 5))),
            _ => Call::SetFor(bucket, key(format!("ttl{}", n % 5)), format!("{writer}-{n}")),
        }
    }

    /// Makes the n-th call.
    pub(crate) async fn make(self, store: &Store, n: usize) -> Result<()> {
        match self.call(n) {
            Call::Batch(bucket, keys, text) => {
                let entries: Vec<_> = keys.into_iter().map(|key| (key, text.clone())).collect();
                store.open_bucket(bucket).await?.set_many(entries).await
            }
            Call::Unbatch(bucket, keys) => store.open_bucket(bucket).await?.delete_many(&keys).await,
            Call::Count(bucket, key) => store.open_bucket(bucket).await?.increment(&key, 1).await.map(drop),
            Call::Set(bucket, key, name, bytes) => {
                store.open_bucket(&bucket).await?.set(&key, named_value(&name, bytes)).await
            }
            Call::SetFor(bucket, key, name) => {
                store.open_bucket(bucket).await?.set_with_ttl(&key, named_value(&name, 50), HOUR).await
            }
            Call::Delete(bucket, key) => store.open_bucket(bucket).await?.delete(&key).await,
            Call::Drop(bucket) => store.drop_bucket(&bucket).await,
        }
    }

    /// Does to the state what the n-th call does to the store.
    pub(crate) fn apply(self, n: usize, state: &mut State) {
        match self.call(n) {
            Call::Batch(bucket, keys, text) => {
                state.extend(keys.into_iter().map(|key| ((bucket.to_owned(), key), text.clone())));
            }
            Call::Unbatch(bucket, keys) => {
                for key in keys {
                    state.remove(&(bucket.to_owned(), key));
                }
            }
            Call::Count(bucket, key) => {
                let count = state.entry((bucket.to_owned(), key)).or_insert_with(|| "0".into());
                *count = (count.parse::<u64>().unwrap_or_default() + 1).to_string();
            }
            Call::Set(bucket, key, name, bytes) => {
                state.insert((bucket, key), format!("{name} {bytes}"));
            }
            Call::SetFor(bucket, key, name) => {
                state.insert((bucket.to_owned(), key), format!("{name} 50"));
            }
            Call::Delete(bucket, key) => {
                state.remove(&(bucket.to_owned(), key));
            }
            Call::Drop(dropped) => state.retain(|(bucket, _), _| *bucket != dropped),
        }
    }

    /// How far the writer came: the first number of calls after `begun` with which `found` agrees, between `least` and
    /// `most`. `begun` is made to be that state.
    pub(crate) fn came(
        self,
        begun: &mut State,
        base: usize,
        least: usize,
        most: usize,
        found: &State,
    ) -> Result<usize, Failed> {
        let mut calls = 0;
        loop {
            if calls >= least && begun == found {
                return Ok(calls);
            }
            if calls == most {
                let differs = begun.iter().find(|(at, text)| found.get(*at) != Some(text));
                let more = found.iter().find(|(at, _)| !begun.contains_key(*at));
                return fail(format!(
                    "{self:?} is in no state from {least} to {most} calls after {base}; after {most} it would have \
                     {differs:?}, found is {:?}, and also {more:?}",
                    differs.and_then(|(at, _)| found.get(at))
                ));
            }
            self.apply(base + calls, begun);
            calls += 1;
        }
    }
}

/// Mostly small, and a few of each size that an engine treats differently.
fn size(writer: usize, n: usize) -> usize {
    match (writer + n) % 32 {
        0 => 16 << 10,
        1 => 100 << 10,
        2 if n.is_multiple_of(4) => 1 << 20,
        _ => 100,
    }
}

fn named_value(name: &str, bytes: usize) -> Vec<u8> {
    [name.as_bytes(), b" ", &value(name, bytes)[..]].concat()
}

/// What a value says, once its bytes are checked.
fn said(found: &[u8]) -> Result<String, Failed> {
    let Some(at) = found.iter().position(|byte| *byte == b' ') else {
        return Ok(String::from_utf8(found.to_vec())?);
    };
    let name = std::str::from_utf8(&found[..at])?;
    let bytes = found.len() - at - 1;
    if found[at + 1..] != value(name, bytes) {
        return fail(format!("a value of {bytes} bytes that begins as {name:?} was never written"));
    }
    Ok(format!("{name} {bytes}"))
}

/// All that is in a store, by writer. What belongs to none is a failure.
pub(crate) async fn states(store: &Store, writers: usize) -> Result<Vec<State>, Failed> {
    let mut states = vec![State::new(); writers];
    for bucket in store.buckets().await? {
        let opened = store.open_bucket(&bucket).await?;
        let mut cursor = None;
        let mut held = 0;
        loop {
            let page = opened.keys("", cursor.as_deref(), 500).await?;
            let values = opened.get_many(&page.keys).await?;
            for (key, found) in page.keys.into_iter().zip(values) {
                let found = found.ok_or_else(|| format!("{key:?} in {bucket:?} is listed and has no value"))?;
                let writer = key.strip_prefix('w').and_then(|rest| rest.split_once('/')?.0.parse::<usize>().ok());
                let state = writer.and_then(|writer| states.get_mut(writer));
                let state = state.ok_or_else(|| format!("{key:?} in {bucket:?} was never asked for"))?;
                if key.contains("/ttl") && !matches!(opened.ttl(&key).await?, Ttl::Left(_)) {
                    return fail(format!("{key:?} lost its deadline"));
                }
                state.insert((bucket.clone(), key), said(&found)?);
                held += 1;
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        if held == 0 {
            return fail(format!("{bucket:?} is listed as a bucket and holds nothing"));
        }
    }
    Ok(states)
}
