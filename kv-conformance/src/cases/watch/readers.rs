use std::time::{Duration, Instant};

use futures_util::FutureExt;
use kv_core::{Bucket, Event, Events, Watching};

use super::super::runtime::elsewhere::in_time;
use super::super::runtime::meter::{resident_kib, threads};
use super::{next, seen, set, shortly, until_current};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Events that a reader may be behind and must not lag (WCH-2).
const NEVER_LAGS: usize = 1_023;

/// Writes this many keys, far more than any reader's queue holds, in one batch and a few single writes.
async fn flood(bucket: &Bucket, count: usize) -> Outcome {
    bucket.set_many((0..count).map(|n| (format!("k{n}"), format!("{n}")))).await?;
    for n in 0..10 {
        bucket.set("single", n.to_string()).await?;
    }
    Ok(())
}

/// WCH-2: a reader 1,023 events behind gets them all, and does not lag.
pub(super) async fn just_within_the_queue(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    for round in 0..3 {
        // Writes that others would see do not count.
        bucket.set_many((0..NEVER_LAGS).map(|n| (format!("k{n:04}"), format!("{round}")))).await?;
        let expected: Vec<_> = (0..NEVER_LAGS).map(|n| set(&format!("k{n:04}"), &round.to_string())).collect();
        let found = until_current(&mut events, &expected).await?;
        let lagged = found.iter().position(|event| event.0 == "lagged");
        ensure_eq!(lagged, None, "the event at which a reader 1,023 behind lags");
        if cx.declared().watch == Some(Watching::Every) {
            ensure_eq!(found.len(), NEVER_LAGS, "events of {NEVER_LAGS} writes");
        }
    }
    Ok(())
}

/// WCH-2: a reader who is asleep slows no writer; it is told how much it missed, and goes on.
pub(super) async fn slow_reader_goes_on(cx: &Context) -> Outcome {
    // What a queue without a bound would hold.
    const FLOOD: usize = 30_000;
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    in_time("writers beside a reader who is asleep end", flood(&bucket, FLOOD)).await??;
    bucket.set("last", "v").await?;
    let (mut shown, mut missed) = (0, 0);
    loop {
        let event = in_time("a slow reader goes on", events.next()).await?;
        match event {
            Some(Event::Lagged(n)) => {
                ensure!(n > 0, "expected: the number of missed events; found: 0");
                missed += n;
            }
            Some(event) => {
                shown += 1;
                if seen(&event) == set("last", "v") {
                    break;
                }
            }
            None => return Err(Stop::failed("expected: a slow reader goes on; found: the stream's end")),
        }
    }
    if cx.declared().watch == Some(Watching::Every) {
        ensure!(missed > 0, "expected: a reader {FLOOD} behind is told that it missed some; found: it is not");
        let written = u64::try_from(FLOOD + 11).unwrap_or_default();
        ensure_eq!(shown + missed, written, "events shown and told missed");
    }
    bucket.set("after", "v").await?;
    until_current(&mut events, &[set("after", "v")]).await.map(drop)
}

/// WCH-2: a reader who is asleep takes nothing from one who is awake, who sees every write and does not lag.
pub(super) async fn slow_reader_disturbs_nobody(cx: &Context) -> Outcome {
    const ROUNDS: usize = 20;
    const KEYS: usize = 150;
    let bucket = cx.bucket("b").await?;
    let asleep = [bucket.watch("").await?, bucket.watch("k").await?, bucket.watch("").await?];
    let mut awake = bucket.watch("").await?;
    for round in 0..ROUNDS {
        in_time("writers beside readers who are asleep end", async {
            bucket.set_many((0..KEYS).map(|n| (format!("k{n}"), round.to_string()))).await?;
            Ok::<(), Stop>(bucket.set("single", round.to_string()).await?)
        })
        .await??;
        let mut expected: Vec<_> = (0..KEYS).map(|n| set(&format!("k{n}"), &round.to_string())).collect();
        expected.push(set("single", &round.to_string()));
        let found = until_current(&mut awake, &expected).await?;
        ensure!(
            found.iter().all(|event| event.0 == "set"),
            "expected: a reader who is awake does not lag; found: it did"
        );
    }
    for mut events in asleep {
        // Whatever they missed, they go on to where the others are.
        in_time("readers who were asleep go on", async {
            while let Some(event) = events.next().await {
                if let Event::Set { key, value } = &event
                    && *key == format!("k{}", KEYS - 1)
                    && **value == *(ROUNDS - 1).to_string().as_bytes()
                {
                    return Ok(());
                }
            }
            Err(Stop::failed("expected: readers who were asleep go on; found: the stream's end"))
        })
        .await??;
    }
    Ok(())
}

/// WCH-1, CAN-1: reads of a stream that are begun and given up lose no event.
pub(super) async fn abandoned_reads_lose_nothing(cx: &Context) -> Outcome {
    const WRITES: usize = 150;
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    let mut shown = 0;
    for n in 0..WRITES {
        bucket.set("k", n.to_string()).await?;
        // As a caller does who waits for something else as well, and gets that first.
        for _ in 0..3 {
            if let Some(event) = events.next().now_or_never() {
                ensure_eq!(event.as_ref().map(seen), Some(set("k", &shown.to_string())), "event {shown}");
                shown += 1;
            }
            tokio::task::yield_now().await;
        }
    }
    while shown < WRITES {
        ensure_eq!(next(&mut events).await?, set("k", &shown.to_string()), "event {shown}");
        shown += 1;
    }
    Ok(())
}

/// WCH-1: closing the store ends its streams, also for a reader who waits.
pub(super) async fn stream_ends_at_close(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut full = bucket.watch("").await?;
    let mut waiting = bucket.watch("nothing of this prefix").await?;
    let waiting = tokio::spawn(async move { waiting.next().await.as_ref().map(seen) });
    bucket.set("k", "v").await?;
    until_current(&mut full, &[set("k", "v")]).await?;
    bucket.set("k", "w").await?;
    // The reader is waiting by now; if not, the stream's end reaches it all the same.
    tokio::task::yield_now().await;
    cx.store().close().await?;
    let ended = shortly("a waiting reader is told of the end", waiting).await?;
    ensure_eq!(ended.ok(), Some(None), "what a waiting reader gets at the close");
    shortly("a stream ends with its store", async { while full.next().await.is_some() {} }).await?;
    ensure_eq!(full.next().now_or_never().map(|event| event.as_ref().map(seen)), Some(None), "after the end");
    let store = cx.reopen().await?;
    let bucket = store.open_bucket("b").await?;
    let mut again = bucket.watch("").await?;
    bucket.set("k", "x").await?;
    until_current(&mut again, &[set("k", "x")]).await.map(drop)
}

/// WCH-2: 10,000 watches begun and dropped leave no thread, no memory and no cost to writers.
pub(super) async fn dropped_streams_leave_nothing(cx: &Context) -> Outcome {
    const ROUNDS: usize = 10_000;
    const WRITES: usize = 150;
    // 10,000 queues that were kept would take more with the first few events.
    const MOST_KIB: usize = 8 << 10;
    const SLACK: usize = 16;
    let bucket = cx.bucket("b").await?;
    // Warms what is made once, and measures.
    rounds(&bucket, 100).await?;
    time_of_writes(&bucket, WRITES).await?;
    let before = (time_of_writes(&bucket, WRITES).await?, resident_kib()?, threads()?);
    rounds(&bucket, ROUNDS).await?;
    // Streams let go of in their first moments, before anybody has polled them.
    let many: Vec<Events> = futures_util::future::try_join_all((0..100).map(|_| bucket.watch("k"))).await?;
    drop(many);
    let took = time_of_writes(&bucket, WRITES).await?.min(time_of_writes(&bucket, WRITES).await?);
    let after = (took, resident_kib()?, threads()?);
    let held = format!("(time of {WRITES} writes, KiB, threads) {before:?} before, {after:?} after {ROUNDS} watches");
    ensure!(after.0 <= before.0 * 10 + Duration::from_millis(20), "expected: writes cost the same; found: {held}");
    ensure!(after.1 <= before.1 + MOST_KIB, "expected: no memory left behind; found: {held}");
    ensure!(after.2 <= before.2 + SLACK, "expected: no threads left behind; found: {held}");
    let mut events = bucket.watch("").await?;
    bucket.set("k", "v").await?;
    until_current(&mut events, &[set("k", "v")]).await.map(drop)
}

async fn rounds(bucket: &Bucket, count: usize) -> Outcome {
    for round in 0..count {
        let mut events = bucket.watch("k").await?;
        if round % 4 == 0 {
            ensure!(events.next().now_or_never().is_none(), "expected: no event without a write; found: one");
        }
        drop(events);
    }
    Ok(())
}

async fn time_of_writes(bucket: &Bucket, writes: usize) -> Result<Duration, Stop> {
    let started = Instant::now();
    for n in 0..writes {
        bucket.set("k", n.to_string()).await?;
    }
    Ok(started.elapsed())
}
