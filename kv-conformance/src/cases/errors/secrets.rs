//! Texts hold no values.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use kv_core::{CasSwap, Event, GetOrSet, IncomingValue, OutgoingValue};

use super::attempts::{SECRET, attempts, prepare};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// The forms in which bytes come to stand in a text: as they are, as numbers, in hexadecimal, in base64.
fn ensure_no_secret(what: &str, text: &str) -> Outcome {
    let list = |form: fn(u8) -> String, between: &str| SECRET.bytes().map(form).collect::<Vec<_>>().join(between);
    let forms = [
        SECRET.to_owned(),
        list(|byte| byte.to_string(), ", "),
        list(|byte| byte.to_string(), ","),
        list(|byte| format!("{byte:02x}"), ""),
        list(|byte| format!("{byte:02x}"), " "),
        list(|byte| format!("\\x{byte:02x}"), ""),
        "czNjcjN0LTlmMm".to_owned(),
    ];
    let lower = text.to_lowercase();
    let shown = forms.iter().any(|form| text.contains(form) || lower.contains(&form.to_lowercase()));
    ensure!(
        !shown,
        "{what}: expected a text without the value stored; found {:?}",
        text.replace(SECRET, "[the value]")
    );
    Ok(())
}

/// ERR-4: no error holds a value, in its text, its trace or its `Debug`, in any of its causes.
pub(super) async fn no_value_in_any_error(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    prepare(&bucket).await?;
    let mut errors = Vec::new();
    for attempt in attempts(cx, &bucket).await? {
        if let Err(error) = attempt.call.await {
            errors.push((attempt.what, error));
        }
    }
    cx.store().close().await?;
    errors.extend(bucket.set("k", SECRET).await.err().map(|error| ("set on a closed store", error)));
    errors.extend(bucket.set_many([("k", SECRET)]).await.err().map(|error| ("set_many on a closed store", error)));
    if cx.declared().atomic {
        let swap = bucket.compare_and_swap("k", Some(SECRET.as_bytes()), Some(SECRET.into())).await;
        errors.extend(swap.err().map(|error| ("compare_and_swap on a closed store", error)));
    }
    ensure!(errors.len() > 15, "expected: more than 15 errors to look at; found: {}", errors.len());
    for (what, error) in errors {
        ensure_no_secret(&format!("the error of {what}"), &error.to_string())?;
        ensure_no_secret(&format!("the trace of {what}"), &error.trace())?;
        ensure_no_secret(&format!("the Debug of {what}"), &format!("{error:?} {error:#?}"))?;
    }
    cx.reopen().await?;
    Ok(())
}

/// ERR-4: no `Debug` of what holds values or leads to them shows one, nor do the facts about a store.
pub(super) async fn no_value_in_any_debug(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", SECRET).await?;
    let mut seen = Seen::default();
    let value = IncomingValue::from(Bytes::from_static(SECRET.as_bytes()));
    seen.look("a value read", &bucket.get("k").await?)?;
    seen.look("values read", &bucket.get_many(&["k"]).await?)?;
    seen.look("a value's body", &value.clone().into_body())?;
    seen.look("a value to write", &OutgoingValue::from(SECRET))?;
    let pieces = stream::iter([Ok(Bytes::from_static(SECRET.as_bytes()))]);
    seen.look("a stream to write", &OutgoingValue::from_stream(pieces))?;
    seen.look("an event", &Event::Set { key: "k".to_owned(), value })?;
    seen.look("a bucket", &bucket)?;
    seen.look("a store", &cx.store())?;
    seen.look("a page", &bucket.keys("", None, None).await?)?;
    if cx.declared().atomic {
        let stale = bucket.cas("k").await?;
        seen.look("a cas handle", &stale)?;
        bucket.set("k", SECRET).await?;
        let lost = stale.swap("x").await?;
        ensure!(matches!(lost, CasSwap::Lost(_)), "expected: a swap after a write loses; found: success");
        seen.look("a lost swap", &lost)?;
        seen.look("a value found", &bucket.compare_and_swap("k", None, None).await?)?;
    }
    if cx.declared().cache {
        seen.look("an occupied entry", &bucket.get_or_set("k").await?)?;
        let vacant = bucket.get_or_set("absent").await?;
        seen.look("a vacancy", &vacant)?;
        let GetOrSet::Vacant(vacancy) = vacant else {
            return Err(Stop::failed("get_or_set of an absent key: expected a vacancy, found a value"));
        };
        bucket.set("absent", SECRET).await?;
        seen.look("a fill that found a value", &vacancy.fill("x", Some(Duration::from_secs(60))).await?)?;
    }
    if cx.declared().watch.is_some() {
        let mut events = bucket.watch("").await?;
        bucket.set("k", SECRET).await?;
        seen.look("a watch", &events)?;
        let event = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
        seen.look("what a watch gave", &event)?;
    }
    seen.look("the facts about the store", &cx.store().info().await?)?;
    let expected = 10 + if cx.declared().atomic { 3 } else { 0 } + if cx.declared().cache { 3 } else { 0 };
    ensure!(seen.0 >= expected, "expected: at least {expected} texts to look at; found: {}", seen.0);
    ensure_eq!(bucket.get("k").await?.map(|value| value.size()), Some(SECRET.len() as u64));
    Ok(())
}

/// Counts the texts looked at.
#[derive(Default)]
struct Seen(usize);

impl Seen {
    fn look(&mut self, what: &str, shown: &impl Debug) -> Outcome {
        self.0 += 1;
        ensure_no_secret(what, &format!("{shown:?} {shown:#?}"))
    }
}
