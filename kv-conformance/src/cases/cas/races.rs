//! Many callers swap at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use kv_core::{Bucket, CasSwap, Swap};
use tokio::sync::Barrier;

use super::super::atomic::stored::{ensure_stored, ensure_value};
use super::super::store::entries::joined;
use super::swaps::wins;
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// CAS-1: of 16 callers that expect the same value exactly one swaps; the others are told the winner's value.
pub(super) async fn one_winner_by_value(cx: &Context) -> Outcome {
    const CALLERS: usize = 16;
    let bucket = cx.bucket("b").await?;
    for round in 0..20 {
        let key = format!("k{round}");
        // By turns a race to replace and a race to create.
        let old: Option<&'static [u8]> = if round % 2 == 0 { Some(b"old") } else { None };
        if let Some(old) = old {
            bucket.set(&key, old).await?;
        }
        let barrier = Arc::new(Barrier::new(CALLERS));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (bucket, key, barrier) = (bucket.clone(), key.clone(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    Ok((caller, bucket.compare_and_swap(&key, old, Some(format!("caller {caller}").into())).await?))
                })
            })
            .collect();
        let (mut winners, mut found) = (Vec::new(), Vec::new());
        for caller in callers {
            match joined(caller).await? {
                (caller, Swap::Swapped) => winners.push(caller),
                (_, Swap::Found(value)) => found.push(value),
            }
        }
        ensure_eq!(winners.len(), 1, "winners of round {round}");
        ensure_eq!(found.len(), CALLERS - 1, "losers of round {round}");
        let value = winners.iter().map(|caller| format!("caller {caller}")).collect::<String>();
        for told in found {
            ensure_value("what a loser was told", told.as_ref(), Some(value.as_bytes()))?;
        }
        ensure_stored(&bucket, &key, Some(value.as_bytes())).await?;
    }
    Ok(())
}

/// CAS-1: of 16 callers that remove the same value exactly one does; the others find absence.
pub(super) async fn one_winner_removes(cx: &Context) -> Outcome {
    const CALLERS: usize = 16;
    let bucket = cx.bucket("b").await?;
    for round in 0..20 {
        bucket.set("k", "v").await?;
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let bucket = bucket.clone();
                tokio::spawn(async move { Ok(bucket.compare_and_swap("k", Some(b"v"), None).await?) })
            })
            .collect();
        let mut winners = 0;
        for caller in callers {
            match joined(caller).await? {
                Swap::Swapped => winners += 1,
                Swap::Found(value) => ensure_value("what a loser was told", value.as_ref(), None)?,
            }
        }
        ensure_eq!(winners, 1, "winners of round {round}");
        ensure_stored(&bucket, "k", None).await?;
    }
    Ok(())
}

/// CAS-1: 16 tasks count to 640 by comparing and swapping; no count is lost or counted twice.
pub(super) async fn counting_by_value(cx: &Context) -> Outcome {
    const TASKS: usize = 16;
    const EACH: usize = 40;
    let bucket = cx.bucket("b").await?;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                let mut seen = None;
                for _ in 0..EACH {
                    seen = Some(count_by_value(&bucket, seen).await?);
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        joined(task).await?;
    }
    ensure_stored(&bucket, "n", Some((TASKS * EACH).to_string().as_bytes())).await
}

/// Adds 1 to the number last seen, or to the one that is there; gives what it stored.
async fn count_by_value(bucket: &Bucket, mut seen: Option<u64>) -> Result<u64, Stop> {
    loop {
        let next = seen.unwrap_or(0) + 1;
        let old = seen.map(|seen| seen.to_string());
        let ended =
            bucket.compare_and_swap("n", old.as_ref().map(String::as_bytes), Some(next.to_string().into())).await?;
        match ended {
            Swap::Swapped => return Ok(next),
            Swap::Found(found) => seen = found.map(|found| number(&found)).transpose()?,
        }
    }
}

fn number(value: &[u8]) -> Result<u64, Stop> {
    let text = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| Stop::failed(format_args!("expected: a number; found: {}", crate::check::show(value))))
}

/// CAS-2: 32 callers hold handles on one absent key: exactly one makes the entry.
pub(super) async fn thirty_two_creators(cx: &Context) -> Outcome {
    const CREATORS: usize = 32;
    let bucket = cx.bucket("b").await?;
    for round in 0..10 {
        let key = format!("k{round}");
        let barrier = Arc::new(Barrier::new(CREATORS));
        let creators: Vec<_> = (0..CREATORS)
            .map(|creator| {
                let (bucket, key, barrier) = (bucket.clone(), key.clone(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    let handle = bucket.cas(&key).await?;
                    ensure!(handle.current().is_none(), "expected: a handle on an absent key; found: it has a value");
                    barrier.wait().await;
                    Ok((creator, handle.swap(format!("creator {creator}")).await?))
                })
            })
            .collect();
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        for creator in creators {
            match joined(creator).await? {
                (creator, CasSwap::Swapped) => winners.push(creator),
                (_, CasSwap::Lost(fresh)) => losers.push(fresh),
            }
        }
        ensure_eq!(winners.len(), 1, "creators that won round {round}");
        ensure_eq!(losers.len(), CREATORS - 1, "creators that lost round {round}");
        let value = winners.iter().map(|creator| format!("creator {creator}")).collect::<String>();
        for fresh in &losers {
            ensure_value("a loser's fresh handle", fresh.current(), Some(value.as_bytes()))?;
        }
        ensure_stored(&bucket, &key, Some(value.as_bytes())).await?;
    }
    Ok(())
}

/// CAS-3: a lost swap's fresh handle holds the value that won, however often it loses, and works at last.
pub(super) async fn fresh_handle_has_the_winner(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut handle = bucket.cas("k").await?;
    for round in 0..20 {
        let winner = (round % 4 != 3).then(|| format!("winner {round}"));
        match &winner {
            Some(winner) => bucket.set("k", winner.clone()).await?,
            None => bucket.delete("k").await?,
        }
        handle = match handle.swap(format!("loser {round}")).await? {
            CasSwap::Lost(fresh) => fresh,
            CasSwap::Swapped => {
                return Err(Stop::failed(format_args!("round {round}: expected that the swap loses, found success")));
            }
        };
        let expected = winner.as_ref().map(String::as_bytes);
        ensure_value("the fresh handle's current", handle.current(), expected)?;
        ensure_stored(&bucket, "k", expected).await?;
    }
    wins(&bucket, "k", handle, "at last").await
}

/// CAS-3: 64 tasks count to 640 through handles; the numbers stored are all those, each by one task.
pub(super) async fn counting_by_handle(cx: &Context) -> Outcome {
    const TASKS: usize = 64;
    const EACH: usize = 10;
    let bucket = cx.bucket("b").await?;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                let mut stored = Vec::new();
                while stored.len() < EACH {
                    let mut handle = bucket.cas("n").await?;
                    loop {
                        let next = handle.current().map_or(Ok(0), |value| number(value))? + 1;
                        match handle.swap(next.to_string()).await? {
                            CasSwap::Swapped => break stored.push(next),
                            CasSwap::Lost(fresh) => handle = fresh,
                        }
                    }
                }
                Ok(stored)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(joined(task).await?);
    }
    ensure_eq!(all.len(), TASKS * EACH, "successful swaps");
    let different: BTreeSet<u64> = all.iter().copied().collect();
    ensure_eq!(different.len(), TASKS * EACH, "different numbers stored by successful swaps");
    ensure_stored(&bucket, "n", Some((TASKS * EACH).to_string().as_bytes())).await
}

/// CAS-3: 32 tasks swap on keys of their own at once: none ever loses.
pub(super) async fn swaps_beside_neighbours(cx: &Context) -> Outcome {
    const TASKS: usize = 32;
    let bucket = cx.bucket("b").await?;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                let key = format!("k{task}");
                for round in 0..20 {
                    let handle = bucket.cas(&key).await?;
                    tokio::task::yield_now().await;
                    wins(&bucket, &key, handle, &format!("{task}/{round}")).await?;
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        joined(task).await?;
    }
    Ok(())
}
