//! Who may fill an absent entry, and who waits.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use kv_core::{Bucket, Fill, GetOrSet, Vacancy};
use tokio::sync::Barrier;

use super::super::atomic::stored::{ensure_stored, ensure_value};
use super::super::store::entries::{joined, prompt};
use super::clock::LONG;
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// How long callers that must wait are watched waiting.
const A_WHILE: Duration = Duration::from_millis(30);

/// A caller of `get_or_set` whose polls are ours.
pub(super) type Caller = Pin<Box<dyn Future<Output = kv_core::Result<GetOrSet>> + Send>>;

pub(super) fn caller(bucket: &Bucket, key: &'static str) -> Caller {
    let bucket = bucket.clone();
    Box::pin(async move { bucket.get_or_set(key).await })
}

/// The absent key's vacancy, which nobody holds.
pub(super) async fn vacancy(bucket: &Bucket, key: &str) -> Result<Vacancy, Stop> {
    match prompt("get_or_set of an absent key", bucket.get_or_set(key)).await?? {
        GetOrSet::Vacant(vacancy) => Ok(vacancy),
        GetOrSet::Occupied(value) => Err(Stop::failed(format_args!(
            "get_or_set of an absent key: expected a vacancy, found a value of {} bytes",
            value.len()
        ))),
    }
}

/// Drives the callers for a while; all of them have to wait.
pub(super) async fn all_wait(callers: &mut VecDeque<Caller>) -> Outcome {
    match tokio::time::timeout(A_WHILE, select_all(callers.iter_mut())).await {
        Err(_) => Ok(()),
        Ok((Ok(GetOrSet::Vacant(_)), ..)) => Err(Stop::failed("expected: one vacancy at a time; found a second one")),
        Ok((Ok(GetOrSet::Occupied(_)), ..)) => Err(Stop::failed("expected: callers wait for the fill; found a value")),
        Ok((Err(error), ..)) => Err(error.into()),
    }
}

/// Drives the callers until one has an answer, and gives that.
pub(super) async fn next_of(callers: &mut VecDeque<Caller>) -> Result<GetOrSet, Stop> {
    let (ended, at, _) = prompt("the next of those that wait", select_all(callers.iter_mut())).await?;
    drop(callers.remove(at));
    Ok(ended?)
}

/// All callers get the value.
pub(super) async fn all_get(callers: &mut VecDeque<Caller>, value: &[u8]) -> Outcome {
    while !callers.is_empty() {
        match next_of(callers).await? {
            GetOrSet::Occupied(found) => ensure_value("what a waiting caller got", Some(&found), Some(value))?,
            GetOrSet::Vacant(_) => {
                return Err(Stop::failed("expected: waiting callers get the value; found a vacancy"));
            }
        }
    }
    Ok(())
}

/// TTL-4: of 100 callers of one absent key exactly one gets the vacancy; the others get what it filled in.
pub(super) async fn hundred_callers_one_fill(cx: &Context) -> Outcome {
    const CALLERS: usize = 100;
    let bucket = cx.bucket("b").await?;
    for round in 0..5 {
        let key = format!("k{round}");
        let barrier = Arc::new(Barrier::new(CALLERS));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (bucket, key, barrier) = (bucket.clone(), key.clone(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    match bucket.get_or_set(&key).await? {
                        GetOrSet::Occupied(value) => Ok((value.into_bytes(), false)),
                        GetOrSet::Vacant(vacancy) => {
                            // Work that takes a while, so that the others come meanwhile.
                            tokio::time::sleep(Duration::from_millis(2)).await;
                            let value = format!("by caller {caller}");
                            ensure_eq!(vacancy.fill(value.clone(), None).await?, Fill::Stored, "the only fill");
                            Ok((value.into(), true))
                        }
                    }
                })
            })
            .collect();
        let (mut fills, mut values) = (0, Vec::new());
        for caller in callers {
            let (value, filled) = joined(caller).await?;
            fills += usize::from(filled);
            values.push(value);
        }
        ensure_eq!(fills, 1, "fills by {CALLERS} callers of one absent key");
        values.dedup();
        ensure_eq!(values.len(), 1, "different values that {CALLERS} callers got");
        ensure_stored(&bucket, &key, values.first().map(AsRef::as_ref)).await?;
        let again = bucket.get_or_set(&key).await?;
        ensure!(matches!(again, GetOrSet::Occupied(_)), "expected: a filled key has a value; found: a vacancy");
    }
    Ok(())
}

/// TTL-4: a vacancy concerns its key in its bucket only, and no call but `get_or_set` waits for it.
pub(super) async fn vacancies_are_by_key(cx: &Context) -> Outcome {
    let (bucket, other) = (cx.bucket("b").await?, cx.bucket("c").await?);
    let held = vacancy(&bucket, "k").await?;
    let mut waiting = VecDeque::from([caller(&bucket, "k")]);
    all_wait(&mut waiting).await?;
    let neighbours = [vacancy(&bucket, "").await?, vacancy(&bucket, "kk").await?, vacancy(&other, "k").await?];
    for neighbour in neighbours {
        ensure_eq!(neighbour.fill("a neighbour", Some(LONG)).await?, Fill::Stored);
    }
    all_wait(&mut waiting).await?;
    ensure_stored(&bucket, "k", None).await?;
    prompt("delete beside a vacancy", bucket.delete("k")).await??;
    prompt("ttl beside a vacancy", bucket.ttl("k")).await??;
    prompt("get_many beside a vacancy", bucket.get_many(&["k", "kk"])).await??;
    ensure_stored(&other, "k", Some(b"a neighbour")).await?;
    ensure_eq!(held.fill("filled", None).await?, Fill::Stored);
    all_get(&mut waiting, b"filled").await
}

/// TTL-4: a dropped vacancy goes to exactly one of those that wait, time after time, until one fills it.
pub(super) async fn dropped_vacancy_wakes_one(cx: &Context) -> Outcome {
    const DROPS: usize = 5;
    let bucket = cx.bucket("b").await?;
    let mut held = vacancy(&bucket, "k").await?;
    let mut waiting: VecDeque<Caller> = (0..10).map(|_| caller(&bucket, "k")).collect();
    for _ in 0..DROPS {
        all_wait(&mut waiting).await?;
        drop(held);
        held = match next_of(&mut waiting).await? {
            GetOrSet::Vacant(vacancy) => vacancy,
            GetOrSet::Occupied(_) => {
                return Err(Stop::failed("expected: the dropped vacancy passes on; found a value"));
            }
        };
    }
    all_wait(&mut waiting).await?;
    ensure_eq!(waiting.len(), 10 - DROPS, "callers that still wait");
    ensure_stored(&bucket, "k", None).await?;
    ensure_eq!(held.fill("filled", None).await?, Fill::Stored);
    all_get(&mut waiting, b"filled").await?;
    // With nobody waiting a dropped vacancy is free for whoever comes.
    drop(vacancy(&bucket, "free").await?);
    drop(vacancy(&bucket, "free").await?);
    Ok(())
}

/// TTL-4, CAN-1: a waiting caller that is dropped just when the vacancy came to it passes it on, and one dropped
/// while it waits is passed over.
pub(super) async fn dropped_waiter_passes_it_on(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for waiters in [2, 3, 10] {
        let held = vacancy(&bucket, "k").await?;
        let mut waiting: VecDeque<Caller> = (0..waiters).map(|_| caller(&bucket, "k")).collect();
        all_wait(&mut waiting).await?;
        drop(held);
        // Whichever was handed the vacancy is among these, or is the last one.
        waiting.truncate(1);
        let GetOrSet::Vacant(held) = next_of(&mut waiting).await? else {
            return Err(Stop::failed("expected: the vacancy passes to who still waits; found a value"));
        };
        drop(held);
        // The other end of the queue.
        let held = vacancy(&bucket, "k").await?;
        let mut waiting: VecDeque<Caller> = (0..waiters).map(|_| caller(&bucket, "k")).collect();
        all_wait(&mut waiting).await?;
        drop(held);
        waiting.drain(..waiters - 1);
        let GetOrSet::Vacant(held) = next_of(&mut waiting).await? else {
            return Err(Stop::failed("expected: the vacancy passes to who still waits; found a value"));
        };
        // All that wait go away, and the vacancy's holder after them.
        let mut waiting: VecDeque<Caller> = (0..waiters).map(|_| caller(&bucket, "k")).collect();
        all_wait(&mut waiting).await?;
        drop(waiting);
        drop(held);
    }
    let last = vacancy(&bucket, "k").await?;
    ensure_eq!(last.fill("filled", None).await?, Fill::Stored);
    ensure_stored(&bucket, "k", Some(b"filled")).await
}
