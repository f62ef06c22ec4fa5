//! Kind, effect, whether to try again, and the text.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use kv_core::{Bucket, Effect, Error, ErrorKind, OutgoingValue};

use super::super::atomic::stored::ensure_stored;
use super::super::store::entries::{joined, listed, prompt};
use super::attempts::{Attempt, attempts, prepare};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// Makes the attempt, which has to fail, and soon.
async fn failure(attempt: Attempt) -> Result<(&'static str, ErrorKind, Error), Stop> {
    let Attempt { what, kind, call } = attempt;
    match prompt(what, call).await? {
        Ok(()) => Err(Stop::failed(format_args!("{what}: expected the error {kind}, found success"))),
        Err(error) => Ok((what, kind, error)),
    }
}

/// All that a bucket holds.
async fn contents(bucket: &Bucket) -> Result<BTreeMap<String, Option<Bytes>>, Stop> {
    let keys = listed(bucket, "").await?;
    let values = bucket.get_many(&keys).await?;
    Ok(keys.into_iter().zip(values.into_iter().map(|value| value.map(Into::into))).collect())
}

/// ERR-2, ERR-1: each refusal has its kind, no effect, and is not worth repeating; again and again.
pub(super) async fn every_kind_is_told(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    prepare(&bucket).await?;
    let mut kinds = BTreeSet::new();
    for _ in 0..2 {
        for attempt in attempts(cx, &bucket).await? {
            let (what, kind, error) = failure(attempt).await?;
            ensure_eq!(error.kind(), kind, "the kind of the error of {what}, {}", error.trace());
            ensure_eq!(error.effect(), Effect::None, "the effect of {what}");
            ensure!(
                !error.is_retryable(),
                "{what}: expected that the same call can't succeed unchanged; found retryable"
            );
            kinds.insert(kind);
        }
    }
    let reachable = if cx.declared().atomic { 4 } else { 2 };
    ensure!(kinds.len() >= reachable, "expected: {reachable} kinds of refusals; found: {kinds:?}");
    Ok(())
}

/// ERR-2, ERR-1: a closed store is `Unavailable` to reads and writes, and to try again is no use.
pub(super) async fn closed_is_unavailable(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let store = cx.store();
    store.close().await?;
    let refusals = [
        ("get", prompt("get", bucket.get("k")).await?.err()),
        ("exists", prompt("exists", bucket.exists("k")).await?.err()),
        ("get_many", prompt("get_many", bucket.get_many(&["k"])).await?.err()),
        ("keys", prompt("keys", bucket.keys("", None, None)).await?.err()),
        ("buckets", prompt("buckets", store.buckets()).await?.err()),
        ("set", prompt("set", bucket.set("k", "late")).await?.err()),
        ("delete", prompt("delete", bucket.delete("k")).await?.err()),
        ("set_many", prompt("set_many", bucket.set_many([("k", "late")])).await?.err()),
    ];
    let mut certain = true;
    for (at, (what, refusal)) in refusals.into_iter().enumerate() {
        let Some(error) = refusal else {
            return Err(Stop::failed(format_args!(
                "{what} on a closed store: expected the error Unavailable, found success"
            )));
        };
        ensure_eq!(error.kind(), ErrorKind::Unavailable, "the error of {what} on a closed store, {}", error.trace());
        ensure!(
            !error.is_retryable(),
            "{what} on a closed store: expected not retryable, as handles stay closed; found retryable"
        );
        let is_read = at < 5;
        ensure!(
            !is_read || error.effect() == Effect::None,
            "the effect of the read {what}: expected None, found Unknown"
        );
        certain &= error.effect() == Effect::None;
    }
    let reopened = cx.reopen().await?.open_bucket("b").await?;
    if certain {
        ensure_stored(&reopened, "k", Some(b"v")).await?;
    }
    Ok(())
}

/// ERR-1: a store that is locked may be free later: the refusal may be tried again, and then succeeds unchanged.
pub(super) async fn locked_may_be_tried_again(cx: &Context) -> Outcome {
    let error = ensure_kind!(prompt("a second open", cx.open_beside()).await?, Locked);
    ensure_eq!(error.effect(), Effect::None, "the effect of a refused open");
    ensure!(error.is_retryable(), "a locked store: expected retryable, found not");
    cx.store().close().await?;
    let store = cx.open_beside().await?;
    store.open_bucket("b").await?.set("k", "v").await?;
    store.close().await?;
    cx.reopen().await?;
    Ok(())
}

/// ERR-1: each error has a text; it and the trace are one line, and none says its source twice.
pub(super) async fn texts_are_one_line(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    prepare(&bucket).await?;
    let mut errors = Vec::new();
    for attempt in attempts(cx, &bucket).await? {
        let (what, _, error) = failure(attempt).await?;
        errors.push((what, error));
    }
    cx.store().close().await?;
    if let Err(error) = bucket.set("k", "late").await {
        errors.push(("set on a closed store", error));
    }
    ensure!(errors.len() > 15, "expected: more than 15 errors to look at; found: {}", errors.len());
    for (what, error) in &errors {
        let (text, trace) = (error.to_string(), error.trace());
        ensure!(text.len() >= 15 && text.contains(' '), "the text of {what}: expected a sentence, found {text:?}");
        ensure!(!text.contains(char::is_control), "the text of {what}: expected one line, found {text:?}");
        ensure!(!trace.contains(char::is_control), "the trace of {what}: expected one line, found {trace:?}");
        ensure!(
            trace.starts_with(&text),
            "the trace of {what}: expected that it begins with {text:?}, found {trace:?}"
        );
        let mut cause = error.source();
        while let Some(source) = cause {
            let said = source.to_string();
            ensure!(!said.is_empty(), "the source of {what}: expected a text, found none");
            ensure!(trace.matches(&said).count() == 1, "the trace of {what}: expected {said:?} once, found {trace:?}");
            cause = source.source();
        }
    }
    ensure_eq!(size_of::<Error>(), size_of::<usize>(), "the bytes of an error");
    cx.reopen().await?;
    Ok(())
}

/// ERR-1: the error of a value's own stream is the call's error, unchanged, and nothing is written.
pub(super) async fn stream_errors_pass_through(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let stalled = || Error::new(ErrorKind::Timeout, Effect::None, "the source stalled").with_source("after 7 pieces");
    let value = |pieces: usize| {
        let pieces = (0..pieces).map(|_| Ok(Bytes::from_static(b"piece"))).chain([Err(stalled())]);
        OutgoingValue::from_stream(stream::iter(pieces.collect::<Vec<_>>()))
    };
    for pieces in [0, 1, 7] {
        let mut errors = vec![
            ensure_kind!(bucket.set("k", value(pieces)).await, Timeout),
            ensure_kind!(bucket.set_many([("a", value(pieces)), ("k", value(0))]).await, Timeout),
        ];
        if cx.declared().atomic {
            errors.push(ensure_kind!(bucket.compare_and_swap("k", Some(b"v"), Some(value(pieces))).await, Timeout));
        }
        if cx.declared().cache {
            let minute = Duration::from_secs(60);
            errors.push(ensure_kind!(bucket.set_with_ttl("k", value(pieces), minute).await, Timeout));
        }
        for error in errors {
            ensure_eq!(error.trace(), stalled().trace(), "the trace of a stream's error");
            ensure_eq!(error.effect(), Effect::None, "the effect of a stream's error");
            ensure!(error.is_retryable(), "a stream's retryable error: expected retryable, found not");
        }
        ensure_stored(&bucket, "k", Some(b"v")).await?;
        ensure_stored(&bucket, "a", None).await?;
    }
    // What has no error in it is written whole.
    let pieces = (0..7).map(|at| Ok(Bytes::from(vec![b'0' + at]))).collect::<Vec<_>>();
    bucket.set("k", OutgoingValue::from_stream(stream::iter(pieces))).await?;
    ensure_stored(&bucket, "k", Some(b"0123456")).await
}

/// ERR-1: an error reaches the caller that caused it, and nobody else, at once or later.
pub(super) async fn errors_reach_their_own_caller(cx: &Context) -> Outcome {
    const ROUNDS: i64 = 60;
    let bucket = cx.bucket("b").await?;
    bucket.set("text", "no counter").await?;
    let mut tasks = Vec::new();
    for task in 0..16 {
        let bucket = bucket.clone();
        tasks.push(tokio::spawn(async move {
            for round in 1..=ROUNDS {
                if task % 2 == 0 {
                    ensure_kind!(bucket.increment("text", round).await, NotANumber);
                } else {
                    let key = format!("n{task}");
                    ensure_eq!(bucket.increment(&key, 1).await?, round, "a counter beside failing callers");
                    ensure_stored(&bucket, &key, Some(round.to_string().as_bytes())).await?;
                }
            }
            Ok(())
        }));
    }
    for task in tasks {
        joined(task).await?;
    }
    ensure_stored(&bucket, "text", Some(b"no counter")).await
}

/// ERR-3: where a failed call says that it had no effect nothing is changed, not a value and not a deadline, and the
/// handle works on.
pub(super) async fn effect_is_told_truly(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    prepare(&bucket).await?;
    let before = contents(&bucket).await?;
    ensure_eq!(before.len(), 4, "entries before");
    let mut told = 0;
    for attempt in attempts(cx, &bucket).await? {
        let (what, _, error) = failure(attempt).await?;
        if error.effect() == Effect::None {
            told += 1;
            let after = contents(&bucket).await?;
            ensure!(
                after == before,
                "{what} had no effect, it said: expected nothing changed; found that something has"
            );
        }
    }
    ensure!(told > 15, "expected: more than 15 refusals without effect; found: {told}");
    ensure_eq!(cx.store().buckets().await?, ["b"], "the buckets after refusals");
    bucket.set("k", "new").await?;
    ensure_stored(&bucket, "k", Some(b"new")).await
}
