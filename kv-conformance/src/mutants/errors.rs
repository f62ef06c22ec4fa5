//! Mutants that the family `errors` must catch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Declared, Effect, Error, ErrorKind, IncomingValue, Page, PageRequest, Provider, Result};

use super::{Fault, Mutant, Under, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant!(Errors, "every_error_is_other", EveryErrorIsOther, "ERR-2"),
    mutant!(Errors, "refused_counter_is_unavailable", RefusedIsUnavailable, "ERR-2"),
    mutant!(Errors, "closed_store_reads_nothing", ClosedIsEmpty, "ERR-2"),
    mutant!(Errors, "closed_store_may_be_tried_again", ClosedIsRetryable, "ERR-1"),
    mutant!(Errors, "locked_store_is_other", LockedIsOther, "ERR-1"),
    mutant!(Errors, "text_repeats_the_source", RepeatsSource, "ERR-1"),
    mutant!(Errors, "text_has_two_lines", TwoLines, "ERR-1"),
    mutant!(Errors, "text_is_empty", EmptyText, "ERR-1"),
    mutant!(Errors, "error_reaches_the_next_caller", NextCaller::default(), "ERR-1"),
    mutant!(Errors, "refusal_is_of_unknown_effect", UnknownEffect, "ERR-2"),
    mutant!(Errors, "overflow_applies_and_says_none", OverflowApplies, "ERR-3"),
    mutant!(Errors, "not_a_number_deletes_and_says_none", RefusalDeletes, "ERR-3"),
    mutant!(Errors, "refused_cursor_clears_a_key", CursorDeletes, "ERR-3"),
    mutant!(Errors, "error_shows_the_value", ShowsValue { in_source: false }, "ERR-4"),
    mutant!(Errors, "source_shows_the_value", ShowsValue { in_source: true }, "ERR-4"),
    mutant!(Errors, "info_shows_a_value", InfoShowsValue::default(), "ERR-4"),
    mutant!(Errors, "atomic_is_declared_and_absent", Absent("atomic"), "ERR-5"),
    mutant!(Errors, "cache_is_declared_and_absent", Absent("cache"), "ERR-5"),
    mutant!(Errors, "watch_is_declared_and_absent", Absent("watch"), "ERR-5"),
    mutant!(Errors, "store_declares_less", DeclaresLess, "ERR-5"),
    mutant!(Errors, "increment_is_repeated", Repeats::increments(), "ERR-6"),
    mutant!(Errors, "set_is_repeated", Repeats::sets(), "ERR-6"),
];

fn of_kind(error: &Error, kind: ErrorKind) -> Error {
    Error::new(kind, error.effect(), error.to_string())
}

struct EveryErrorIsOther;

#[async_trait]
impl Fault for EveryErrorIsOther {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        under.atomic()?.increment(key, delta).await.map_err(|error| of_kind(&error, ErrorKind::Other))
    }

    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        under.bucket.keys(request).await.map_err(|error| of_kind(&error, ErrorKind::Other))
    }
}

/// Sends a caller into retrying what can't succeed.
struct RefusedIsUnavailable;

#[async_trait]
impl Fault for RefusedIsUnavailable {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        under.atomic()?.increment(key, delta).await.map_err(|error| of_kind(&error, ErrorKind::Unavailable))
    }
}

struct ClosedIsEmpty;

#[async_trait]
impl Fault for ClosedIsEmpty {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        under
            .bucket
            .get(key)
            .await
            .or_else(|error| if error.kind() == ErrorKind::Unavailable { Ok(None) } else { Err(error) })
    }
}

struct ClosedIsRetryable;

#[async_trait]
impl Fault for ClosedIsRetryable {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.set(key, value).await.map_err(|error| of_kind(&error, ErrorKind::Unavailable))
    }
}

struct LockedIsOther;

#[async_trait]
impl Fault for LockedIsOther {
    async fn open(&self, medium: &kv_memory::Medium) -> Result<Arc<dyn Provider>> {
        match kv_memory::Provider::open(medium) {
            Ok(provider) => Ok(Arc::new(provider)),
            Err(error) => Err(of_kind(&error, ErrorKind::Other)),
        }
    }
}

/// Replaces the text of a failed increment.
async fn retold(under: &Under, key: &str, delta: i64, retell: impl Fn(&Error) -> Error + Send) -> Result<i64> {
    under.atomic()?.increment(key, delta).await.map_err(|error| retell(&error))
}

struct RepeatsSource;

#[async_trait]
impl Fault for RepeatsSource {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        retold(under, key, delta, |error| {
            let cause = "the engine would not add";
            Error::new(error.kind(), error.effect(), format!("incrementing a counter: {cause}")).with_source(cause)
        })
        .await
    }
}

struct TwoLines;

#[async_trait]
impl Fault for TwoLines {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        retold(under, key, delta, |error| {
            Error::new(error.kind(), error.effect(), "incrementing a counter failed\n    at the engine")
        })
        .await
    }
}

struct EmptyText;

#[async_trait]
impl Fault for EmptyText {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        retold(under, key, delta, |error| Error::new(error.kind(), error.effect(), "")).await
    }
}

/// Keeps an error for whoever comes next, too.
#[derive(Default)]
struct NextCaller(Mutex<Option<ErrorKind>>);

#[async_trait]
impl Fault for NextCaller {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(kind) = kept {
            return Err(Error::new(kind, Effect::None, "the connection is in a failed state"));
        }
        under.atomic()?.increment(key, delta).await.inspect_err(|error| {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.kind());
        })
    }
}

struct UnknownEffect;

#[async_trait]
impl Fault for UnknownEffect {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        retold(under, key, delta, |error| Error::new(error.kind(), Effect::Unknown, error.to_string())).await
    }
}

struct OverflowApplies;

#[async_trait]
impl Fault for OverflowApplies {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let ended = under.atomic()?.increment(key, delta).await;
        if ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::Overflow) {
            under.bucket.set(key, Bytes::from_static(b"0")).await?;
        }
        ended
    }
}

struct RefusalDeletes;

#[async_trait]
impl Fault for RefusalDeletes {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let ended = under.atomic()?.increment(key, delta).await;
        if ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotANumber) {
            under.bucket.delete(key).await?;
        }
        ended
    }
}

/// Keeps its cursors as entries, and clears up after one that it does not know.
struct CursorDeletes;

#[async_trait]
impl Fault for CursorDeletes {
    async fn keys(&self, under: &Under, request: PageRequest<'_>) -> Result<Page> {
        let ended = under.bucket.keys(request).await;
        if ended.is_err() {
            under.bucket.delete("k").await?;
        }
        ended
    }
}

struct ShowsValue {
    in_source: bool,
}

#[async_trait]
impl Fault for ShowsValue {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        match under.atomic()?.increment(key, delta).await {
            Ok(sum) => Ok(sum),
            Err(error) => {
                let value = under.bucket.get(key).await?.unwrap_or_default();
                let value = String::from_utf8_lossy(&value).into_owned();
                Err(if self.in_source {
                    error.with_source(format!("invalid digit in {value}"))
                } else {
                    Error::new(error.kind(), error.effect(), format!("the value {value} is no counter"))
                })
            }
        }
    }
}

/// Tells what was written last.
#[derive(Default)]
struct InfoShowsValue(Mutex<Bytes>);

#[async_trait]
impl Fault for InfoShowsValue {
    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value.clone();
        under.bucket.set(key, value).await
    }

    async fn info(&self, below: &Arc<dyn Provider>) -> Result<Vec<(&'static str, String)>> {
        let mut facts = below.info().await?;
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        facts.push(("last written", String::from_utf8_lossy(&last).into_owned()));
        Ok(facts)
    }
}

/// Lacks a power that it declares.
struct Absent(&'static str);

#[async_trait]
impl Fault for Absent {
    fn has_atomic(&self) -> bool {
        self.0 != "atomic"
    }

    fn has_cache(&self) -> bool {
        self.0 != "cache"
    }

    fn has_watch(&self) -> bool {
        self.0 != "watch"
    }
}

struct DeclaresLess;

#[async_trait]
impl Fault for DeclaresLess {
    fn declared(&self, below: Declared) -> Declared {
        Declared { watch: None, ..below }
    }
}

/// Sends each 60th write of one kind again, as after a reply that was lost.
struct Repeats {
    increments: bool,
    writes: AtomicU64,
}

impl Repeats {
    fn increments() -> Self {
        Self { increments: true, writes: AtomicU64::new(0) }
    }

    fn sets() -> Self {
        Self { increments: false, writes: AtomicU64::new(0) }
    }

    fn again(&self, is_increment: bool) -> bool {
        is_increment == self.increments && self.writes.fetch_add(1, Ordering::Relaxed) % 60 == 59
    }
}

#[async_trait]
impl Fault for Repeats {
    async fn increment(&self, under: &Under, key: &str, delta: i64) -> Result<i64> {
        let sum = under.atomic()?.increment(key, delta).await?;
        if self.again(true) { under.atomic()?.increment(key, delta).await } else { Ok(sum) }
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        under.bucket.set(key, value.clone()).await?;
        if self.again(false) { under.bucket.set(key, value).await } else { Ok(()) }
    }
}
