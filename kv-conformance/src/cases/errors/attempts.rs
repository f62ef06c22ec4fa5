//! Calls that an open store has to refuse.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use kv_core::{Bucket, ErrorKind, Limits, Store};

use crate::{Context, Stop};

/// A value that no text may show.
pub(super) const SECRET: &str = "s3cr3t-9f2c";

/// A call that is to fail, not begun yet.
pub(super) struct Attempt {
    pub(super) what: &'static str,
    pub(super) kind: ErrorKind,
    pub(super) call: Call,
}

type Call = Pin<Box<dyn Future<Output = kv_core::Result<()>> + Send>>;

fn attempt<T>(
    what: &'static str,
    kind: ErrorKind,
    call: impl Future<Output = kv_core::Result<T>> + Send + 'static,
) -> Attempt {
    Attempt { what, kind, call: Box::pin(async move { call.await.map(drop) }) }
}

/// A call on a clone of the bucket.
macro_rules! on {
    ($bucket:expr, |$name:ident| $call:expr) => {{
        let $name = $bucket.clone();
        async move { $call.await }
    }};
}

/// Fills the bucket with what the attempts are made on; all values hold the secret or are counters.
pub(super) async fn prepare(bucket: &Bucket) -> Result<(), Stop> {
    bucket.set_many([("k", SECRET), ("l", SECRET)]).await?;
    bucket.set_many([("max", i64::MAX.to_string()), ("min", i64::MIN.to_string())]).await?;
    Ok(())
}

/// Limits low enough that a call over one costs nothing.
const SMALL: Limits = Limits {
    bucket_name_bytes: 20,
    key_bytes: 20,
    value_bytes: 30,
    batch_entries: 4,
    batch_bytes: 100,
    // One byte less than two of the values prepared: the one limit that the provider keeps.
    reply_bytes: 2 * SECRET.len() - 1,
    page_keys: 10,
    cas_handles: 10,
};

const LONG: &str = "a key, a name or a value over its limit";

/// Every refusal that needs no closed or locked store, for what is declared.
pub(super) async fn attempts(cx: &Context, bucket: &Bucket) -> Result<Vec<Attempt>, Stop> {
    let store = cx.store();
    let small = store.with_limits(SMALL)?;
    let limited = small.open_bucket(bucket.name()).await?;
    let mut list = of_limits(&small, &limited);
    list.extend(of_arguments(&store, bucket));
    if cx.declared().atomic {
        list.extend(of_counters(bucket, &limited));
    }
    if cx.declared().cache {
        list.extend(of_times(bucket, &limited));
    }
    Ok(list)
}

fn of_limits(store: &Store, bucket: &Bucket) -> Vec<Attempt> {
    use ErrorKind::LimitExceeded;
    const MANY: [&str; 5] = ["k", "l", "max", "min", "more"];
    let (opened, dropped) = (store.clone(), store.clone());
    vec![
        attempt("get of a long key", LimitExceeded, on!(bucket, |b| b.get(LONG))),
        attempt("set of a long key", LimitExceeded, on!(bucket, |b| b.set(LONG, SECRET))),
        attempt("delete of a long key", LimitExceeded, on!(bucket, |b| b.delete(LONG))),
        attempt("exists of a long key", LimitExceeded, on!(bucket, |b| b.exists(LONG))),
        attempt("get_many with a long key", LimitExceeded, on!(bucket, |b| b.get_many(&["k", LONG]))),
        attempt("set_many with a long key", LimitExceeded, on!(bucket, |b| b.set_many([("k", "new"), (LONG, SECRET)]))),
        attempt("delete_many with a long key", LimitExceeded, on!(bucket, |b| b.delete_many(&["k", LONG]))),
        attempt("keys with a long prefix", LimitExceeded, on!(bucket, |b| b.keys(LONG, None, None))),
        attempt("set of a value over the limit", LimitExceeded, on!(bucket, |b| b.set("k", LONG))),
        attempt(
            "set_many with a value over the limit",
            LimitExceeded,
            on!(bucket, |b| b.set_many([("k", "new"), ("l", LONG)])),
        ),
        attempt("get_many over the batch limit", LimitExceeded, on!(bucket, |b| b.get_many(&MANY))),
        attempt(
            "set_many over the batch limit",
            LimitExceeded,
            on!(bucket, |b| b.set_many(MANY.map(|key| (key, SECRET)))),
        ),
        attempt("delete_many over the batch limit", LimitExceeded, on!(bucket, |b| b.delete_many(&MANY))),
        attempt("get_many over the reply limit", LimitExceeded, on!(bucket, |b| b.get_many(&["k", "l"]))),
        attempt("a page over the limit", LimitExceeded, on!(bucket, |b| b.keys("", None, SMALL.page_keys + 1))),
        attempt("opening a long bucket name", LimitExceeded, async move { opened.open_bucket(LONG).await }),
        attempt("dropping a long bucket name", LimitExceeded, async move { dropped.drop_bucket(LONG).await }),
    ]
}

fn of_arguments(store: &Store, bucket: &Bucket) -> Vec<Attempt> {
    use ErrorKind::InvalidArgument;
    let raised = Limits { value_bytes: Limits::default().value_bytes + 1, ..Limits::default() };
    let store = store.clone();
    vec![
        attempt("a page of 0 keys", InvalidArgument, on!(bucket, |b| b.keys("", None, 0))),
        attempt("a cursor that is rubbish", InvalidArgument, on!(bucket, |b| b.keys("", Some("rub\nbish"), None))),
        attempt("an empty cursor", InvalidArgument, on!(bucket, |b| b.keys("", Some(""), None))),
        attempt("raising a limit", InvalidArgument, async move { store.with_limits(raised) }),
    ]
}

fn of_counters(bucket: &Bucket, limited: &Bucket) -> Vec<Attempt> {
    use ErrorKind::{LimitExceeded, NotANumber, Overflow};
    vec![
        attempt("incrementing a text", NotANumber, on!(bucket, |b| b.increment("k", 1))),
        attempt("incrementing a text by 0", NotANumber, on!(bucket, |b| b.increment("l", 0))),
        attempt("incrementing the greatest", Overflow, on!(bucket, |b| b.increment("max", 1))),
        attempt("decrementing the least", Overflow, on!(bucket, |b| b.increment("min", i64::MIN))),
        attempt("incrementing a long key", LimitExceeded, on!(limited, |b| b.increment(LONG, 1))),
        attempt("compare_and_swap to a value over the limit", LimitExceeded, {
            on!(limited, |b| b.compare_and_swap("k", Some(SECRET.as_bytes()), Some(LONG.into())))
        }),
        attempt("a swap to a value over the limit", LimitExceeded, {
            let bucket = limited.clone();
            async move { bucket.cas("k").await?.swap(LONG).await }
        }),
    ]
}

fn of_times(bucket: &Bucket, limited: &Bucket) -> Vec<Attempt> {
    use ErrorKind::{InvalidArgument, LimitExceeded};
    let minute = Duration::from_secs(60);
    vec![
        attempt("a time to live of 0", InvalidArgument, on!(bucket, |b| b.set_with_ttl("k", SECRET, Duration::ZERO))),
        attempt(
            "a time to live without end",
            InvalidArgument,
            on!(bucket, |b| b.set_with_ttl("k", SECRET, Duration::MAX)),
        ),
        attempt("set_with_ttl over the limit", LimitExceeded, on!(limited, |b| b.set_with_ttl("k", LONG, minute))),
        attempt("ttl of a long key", LimitExceeded, on!(limited, |b| b.ttl(LONG))),
    ]
}
