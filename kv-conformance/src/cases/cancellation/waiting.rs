//! Handles and vacancies of dropped calls.

use std::time::Duration;

use kv_core::{CasSwap, Fill, GetOrSet, OutgoingValue};

use super::super::atomic::stored::ensure_stored;
use super::super::cas::swaps::wins;
use super::super::store::entries::{joined, prompt};
use super::drops::Busy;
use super::polls::drop_after;
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// CAN-1, LIM-1: `cas` calls and swaps dropped by the thousand count as no live handle: all 1,024 are free after them.
pub(super) async fn dropped_handles_are_not_counted(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let most = cx.store().limits().cas_handles;
    let busy = Busy::start(&cx.bucket("busy").await?);
    for call in 0..most + 500 {
        let taker = bucket.clone();
        let taken = Box::pin(async move { taker.cas(&format!("k{}", call % 50)).await });
        let handle = drop_after(taken, call % 4).await?.transpose()?;
        if let (Some(handle), true) = (handle, call % 8 == 3) {
            let swap = Box::pin(async move { handle.swap("v").await });
            drop(drop_after(swap, 1).await?);
        }
    }
    busy.end().await?;
    let mut handles = Vec::with_capacity(most);
    for at in 0..most {
        handles.push(prompt("a handle after dropped ones", bucket.cas(&format!("k{}", at % 50))).await??);
    }
    ensure_kind!(bucket.cas("one more").await, LimitExceeded);
    handles.truncate(1);
    for handle in handles {
        wins(&bucket, "k0", handle, "good").await?;
    }
    Ok(())
}

/// CAS-3: a dropped swap leaves the old value or its own, the key free for the next, and other handles as they were.
pub(super) async fn dropped_swaps_leave_the_key_free(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let busy = Busy::start(&cx.bucket("busy").await?);
    let neighbour = bucket.cas("neighbour").await?;
    for round in 0..100 {
        bucket.set("k", "old").await?;
        let handle = bucket.cas("k").await?;
        let swap = Box::pin(async move { handle.swap("new").await });
        let ended = drop_after(swap, round % 4).await?.transpose()?;
        let found = bucket.get("k").await?;
        let is_new = found.as_deref() == Some(b"new");
        ensure!(is_new || found.as_deref() == Some(b"old"), "expected: the old value or the new one; found {found:?}");
        ensure!(round % 4 > 0 || !is_new, "expected: a swap never polled does nothing; found: it applied");
        ensure!(!matches!(ended, Some(CasSwap::Lost(_))), "an undisturbed swap: expected success, found that it lost");
        ensure!(ended.is_none() || is_new, "expected: a swap that succeeded is there; found the old value");
    }
    busy.end().await?;
    prompt("a swap after dropped ones", async {
        let handle = bucket.cas("own").await?;
        wins(&bucket, "own", handle, "good").await
    })
    .await??;
    wins(&bucket, "neighbour", neighbour, "good").await
}

/// TTL-4: callers of `get_or_set` that come and go at any await never take the vacancy with them: a caller that stays
/// gets it or its value, and dropped fills leave it to the next.
pub(super) async fn dropped_vacancies_pass_on(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for round in 0..40 {
        let key = format!("k{round}");
        let callers: Vec<_> = (0..12_usize)
            .map(|caller| {
                let (bucket, key) = (bucket.clone(), key.clone());
                tokio::spawn(async move {
                    let asker = bucket.clone();
                    let asked = key.clone();
                    let call = Box::pin(async move { asker.get_or_set(&asked).await });
                    let got = drop_after(call, (caller + round) % 5).await?.transpose()?;
                    if let (Some(GetOrSet::Vacant(vacancy)), true) = (got, caller % 2 == 0) {
                        // A fill that is given up as well, mostly.
                        let fill =
                            Box::pin(async move { vacancy.fill(OutgoingValue::from("dropped fill"), None).await });
                        drop(drop_after(fill, caller % 3).await?.transpose()?);
                    }
                    Ok(())
                })
            })
            .collect();
        let value = match prompt("a caller that stays", bucket.get_or_set(&key)).await?? {
            GetOrSet::Occupied(value) => value.to_vec(),
            GetOrSet::Vacant(vacancy) => match vacancy.fill("stayed", Some(Duration::from_secs(600))).await? {
                Fill::Stored => b"stayed".to_vec(),
                Fill::Found(value) => value.to_vec(),
            },
        };
        for caller in callers {
            joined(caller).await?;
        }
        ensure!(
            value == b"stayed" || value == b"dropped fill",
            "expected: a value that was filled in; found {value:?}"
        );
        ensure_stored(&bucket, &key, Some(&value)).await?;
    }
    // Nobody is left in any queue.
    let last = prompt("one more vacancy", bucket.get_or_set("last")).await??;
    let GetOrSet::Vacant(vacancy) = last else {
        return Err(Stop::failed("get_or_set of an absent key: expected a vacancy, found a value"));
    };
    ensure_eq!(vacancy.fill("filled", None).await?, Fill::Stored);
    ensure_stored(&bucket, "last", Some(b"filled")).await
}
