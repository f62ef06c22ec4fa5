//! What becomes of a fill.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::join;
use futures_util::stream;
use kv_core::{Effect, Error, ErrorKind, Fill, GetOrSet, OutgoingValue, Swap, Ttl};

use super::super::atomic::stored::{ensure_stored, ensure_value};
use super::clock::{Deadline, LONG, SHORT, left};
use super::vacancies::{all_get, all_wait, caller, next_of, vacancy};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// The fill came too late, and is told the value that is there.
fn ensure_found(fill: Fill, value: &[u8]) -> Outcome {
    match fill {
        Fill::Found(found) => ensure_value("what the fill found", Some(&found), Some(value)),
        Fill::Stored => {
            Err(Stop::failed("a fill after a write: expected that it finds the value, found that it stored"))
        }
    }
}

/// TTL-4: a fill races a creation by somebody else: exactly one makes the entry, and both know which. Other
/// processes, where there may be any, fill likewise: the first wins, and the later gets its value.
pub(super) async fn first_fill_wins(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for round in 0..if cx.declared().atomic { 60 } else { 0 } {
        let key = format!("k{round}");
        let held = vacancy(&bucket, &key).await?;
        let racer = bucket.clone();
        let name = key.clone();
        let swap = tokio::spawn(async move { racer.compare_and_swap(&name, None, Some("swapped".into())).await });
        let fill = held.fill("filled", (round % 2 == 0).then_some(LONG)).await?;
        let swap =
            swap.await.map_err(|error| Stop::failed(format_args!("expected: the task ends; found: {error}")))??;
        match (fill, swap) {
            (Fill::Stored, Swap::Found(found)) => {
                ensure_value("what the swap found", found.as_ref(), Some(b"filled"))?;
                ensure_stored(&bucket, &key, Some(b"filled")).await?;
            }
            (Fill::Found(found), Swap::Swapped) => {
                ensure_value("what the fill found", Some(&found), Some(b"swapped"))?;
                ensure_stored(&bucket, &key, Some(b"swapped")).await?;
            }
            (fill, swap) => {
                return Err(Stop::failed(format_args!(
                    "a fill and a creation at once: expected that one makes the entry, found {fill:?} and {swap:?}"
                )));
            }
        }
    }
    if cx.declared().exclusive {
        return Ok(());
    }
    let beside = cx.open_beside().await?;
    let other = beside.open_bucket("b").await?;
    for round in 0..20 {
        let key = format!("both {round}");
        let (one, two) = (vacancy(&bucket, &key).await?, vacancy(&other, &key).await?);
        let (one, two) = join(one.fill("one", None), two.fill("two", None)).await;
        let winner: &[u8] = match (one?, two?) {
            (Fill::Stored, late) => ensure_found(late, b"one").map(|()| b"one".as_slice())?,
            (late, Fill::Stored) => ensure_found(late, b"two").map(|()| b"two".as_slice())?,
            (one, two) => {
                return Err(Stop::failed(format_args!(
                    "expected: the first of two fills wins; found {one:?} and {two:?}"
                )));
            }
        };
        ensure_stored(&bucket, &key, Some(winner)).await?;
    }
    Ok(beside.close().await?)
}

/// TTL-4: a write while the vacancy is held wins over the fill, in whatever form; the entry stays as it was written.
pub(super) async fn set_meanwhile_wins(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for value in ["set", ""] {
        let held = vacancy(&bucket, "k").await?;
        let mut waiting = VecDeque::from([caller(&bucket, "k"), caller(&bucket, "k")]);
        all_wait(&mut waiting).await?;
        bucket.set("k", value).await?;
        ensure_found(held.fill("filled", Some(LONG)).await?, value.as_bytes())?;
        all_get(&mut waiting, value.as_bytes()).await?;
        ensure_stored(&bucket, "k", Some(value.as_bytes())).await?;
        ensure_eq!(bucket.ttl("k").await?, Ttl::Forever, "ttl after a fill that came too late");
        bucket.delete("k").await?;
    }
    let held = vacancy(&bucket, "ttl").await?;
    bucket.set_with_ttl("ttl", "set", LONG).await?;
    ensure_found(held.fill("filled", None).await?, b"set")?;
    left(&bucket, "ttl", LONG).await?;
    let held = vacancy(&bucket, "batch").await?;
    bucket.set_many([("batch", "set"), ("n", "1")]).await?;
    ensure_found(held.fill("filled", None).await?, b"set")?;
    // Written and gone again: the fill finds nothing.
    let held = vacancy(&bucket, "gone").await?;
    bucket.set("gone", "set").await?;
    bucket.delete("gone").await?;
    ensure_eq!(held.fill("filled", None).await?, Fill::Stored, "a fill after a write and a delete");
    ensure_stored(&bucket, "gone", Some(b"filled")).await
}

/// TTL-4: a fill that fails stores nothing, and the vacancy passes on to who waits.
pub(super) async fn failed_fill_frees_the_vacancy(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let over = Bytes::from(vec![0; cx.store().limits().value_bytes + 1]);
    let broken = || {
        let stalled = Error::new(ErrorKind::Timeout, Effect::None, "the source stalled");
        OutgoingValue::from_stream(stream::iter([Ok(Bytes::from_static(b"half")), Err(stalled)]))
    };
    let mut held = vacancy(&bucket, "k").await?;
    let mut waiting: VecDeque<_> = (0..4).map(|_| caller(&bucket, "k")).collect();
    for way in 0..3 {
        all_wait(&mut waiting).await?;
        match way {
            0 => drop(ensure_kind!(held.fill(over.clone(), None).await, LimitExceeded)),
            1 => drop(ensure_kind!(held.fill(broken(), None).await, Timeout)),
            _ => drop(ensure_kind!(held.fill("v", Some(LONG * 100_000_000)).await, InvalidArgument)),
        }
        ensure_stored(&bucket, "k", None).await?;
        held = match next_of(&mut waiting).await? {
            GetOrSet::Vacant(vacancy) => vacancy,
            GetOrSet::Occupied(_) => {
                return Err(Stop::failed("expected: a failed fill passes the vacancy on; found a value"));
            }
        };
    }
    ensure_eq!(waiting.len(), 1, "callers that still wait");
    ensure_eq!(held.fill("filled", None).await?, Fill::Stored);
    all_get(&mut waiting, b"filled").await
}

/// TTL-4, TTL-1: a fill stores its deadline with the value; after that the key is vacant again. Without one it stays.
pub(super) async fn fill_with_a_deadline(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for round in 0..3 {
        ensure_eq!(vacancy(&bucket, "short").await?.fill("v", Some(SHORT)).await?, Fill::Stored, "fill {round}");
        Deadline::after(SHORT).pass().await;
    }
    ensure_stored(&bucket, "short", None).await?;
    ensure_eq!(vacancy(&bucket, "long").await?.fill("v", Some(LONG)).await?, Fill::Stored);
    let left = left(&bucket, "long", LONG).await?;
    ensure!(left + LONG / 2 > LONG, "expected: about {LONG:?} left; found {left:?}");
    ensure_eq!(vacancy(&bucket, "forever").await?.fill("", None).await?, Fill::Stored);
    ensure_eq!(bucket.ttl("forever").await?, Ttl::Forever, "ttl after a fill without a deadline");
    let kept = cx.reopen().await?.open_bucket("b").await?;
    ensure_stored(&kept, "long", Some(b"v")).await?;
    super::clock::left(&kept, "long", left).await?;
    ensure_stored(&kept, "forever", Some(b"")).await
}
