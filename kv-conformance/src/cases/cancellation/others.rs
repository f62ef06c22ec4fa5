//! What a dropped call must not do to others.

use std::time::Duration;

use kv_core::{Event, IncomingValue};

use super::super::atomic::stored::ensure_value;
use super::super::store::entries::{joined, prompt};
use super::drops::Busy;
use super::polls::drop_after;
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// CAN-1: the reply to a dropped read reaches nobody else: each caller gets its own key's value.
pub(super) async fn dropped_replies_reach_nobody(cx: &Context) -> Outcome {
    const KEYS: usize = 64;
    const ROUNDS: usize = 400;
    let bucket = cx.bucket("b").await?;
    bucket.set_many((0..KEYS).map(|key| (format!("k{key}"), format!("of k{key}")))).await?;
    let busy = Busy::start(&bucket);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let (dropped, kept) = ((round * 7 + task) % KEYS, (round * 11 + task + 1) % KEYS);
                    let reader = bucket.clone();
                    let call = Box::pin(async move {
                        match round % 3 {
                            0 => reader.get(&format!("k{dropped}")).await.map(drop),
                            1 => reader.get_many(&[format!("k{dropped}")]).await.map(drop),
                            _ => reader.exists("absent").await.map(drop),
                        }
                    });
                    drop(drop_after(call, round % 4).await?);
                    let expected = format!("of k{kept}");
                    let found = prompt("a get beside dropped ones", bucket.get(&format!("k{kept}"))).await??;
                    ensure_value(&format!("k{kept}"), found.as_ref(), Some(expected.as_bytes()))?;
                    let many = bucket.get_many(&[format!("k{kept}"), "absent".to_owned()]).await?;
                    let many: Vec<Option<&[u8]>> = many.iter().map(|value| value.as_deref()).collect();
                    ensure_eq!(many, [Some(expected.as_bytes()), None], "get_many beside dropped calls");
                    ensure!(bucket.exists(&format!("k{kept}")).await?, "expected: k{kept} exists; found: it does not");
                }
                Ok(ROUNDS)
            })
        })
        .collect();
    let mut rounds = 0;
    for task in tasks {
        rounds += joined(task).await?;
    }
    ensure_eq!(rounds, 8 * ROUNDS, "rounds");
    busy.end().await
}

/// ERR-6: a dropped increment applies once or never: it is not tried again behind the back of who dropped it.
pub(super) async fn dropped_increments_are_not_repeated(cx: &Context) -> Outcome {
    const CALLS: usize = 300;
    let bucket = cx.bucket("b").await?;
    let busy = Busy::start(&bucket);
    let mut ended = 0;
    for call in 0..CALLS {
        let counter = bucket.clone();
        let increment = Box::pin(async move { counter.increment("n", 1).await });
        if let Some(sum) = drop_after(increment, call % 4).await? {
            let sum = sum?;
            ended += 1;
            ensure!(
                sum >= ended && sum <= call as i64 + 1,
                "expected: after {} calls, {ended} of them ended, a sum between the two; found {sum}",
                call + 1
            );
        }
    }
    busy.end().await?;
    // Those that apply late have to come to an end: three looks that agree.
    let (mut last, mut same) = (-1, 0);
    while same < 3 {
        let sum = bucket.increment("n", 0).await?;
        same = if sum == last { same + 1 } else { 0 };
        last = sum;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // A quarter of the calls was never polled.
    let begun = (CALLS - CALLS / 4) as i64;
    ensure!(
        last >= ended && last <= begun,
        "expected: a sum from {ended}, the ended calls, to {begun}, those begun; found {last}"
    );
    Ok(())
}

/// WCH-1: dropping the wait for an event loses none, and a dropped `watch` call disturbs no other watch.
pub(super) async fn dropped_waits_lose_no_event(cx: &Context) -> Outcome {
    const WRITES: usize = 100;
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    let mut next = 0_usize;
    for write in 0..WRITES {
        let watcher = bucket.clone();
        drop(drop_after(Box::pin(async move { watcher.watch("").await.map(drop) }), write % 3).await?);
        // A wait that is polled once, and mostly dropped with nothing to give.
        if let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
            expect(&event, next)?;
            next += 1;
        }
        bucket.set("k", write.to_string()).await?;
    }
    // The last one stays half way.
    let watcher = bucket.clone();
    drop(drop_after(Box::pin(async move { watcher.watch("").await.map(drop) }), 1).await?);
    while next < WRITES {
        match prompt("the next event", events.next()).await? {
            Some(event) => expect(&event, next)?,
            None => return Err(Stop::failed("expected: an event; found: the end of the watch")),
        }
        next += 1;
    }
    Ok(())
}

fn expect(event: &Event, write: usize) -> Outcome {
    let value = IncomingValue::from(bytes::Bytes::from(write.to_string()));
    ensure_eq!(*event, Event::Set { key: "k".to_owned(), value: value.clone() }, "event {write}");
    Ok(())
}
