use std::time::Duration;

use bytes::Bytes;
use kv_core::Bucket;

use super::elsewhere::{Flavour, elsewhere};
use super::meter::Polls;
use crate::check::ensure_eq;
use crate::{Context, Outcome, Stop};

/// What one poll may take (RUN-2).
const MOST: Duration = Duration::from_millis(1);

/// One poll in so many may take longer (RUN-2: p99.9).
const ONE_IN: usize = 1_000;

/// Rounds of measuring, of which one must do. What blocks does so in each; what else the machine does, does not.
const ROUNDS: usize = 10;

/// Between two rounds, so that all of them together outlast a machine's bad moment.
const PAUSE: Duration = Duration::from_millis(200);

/// Measures until a round keeps the promise.
async fn some_round_is_short<F>(what: &str, least_polls: usize, mut round: impl FnMut(Polls) -> F) -> Outcome
where
    F: Future<Output = Outcome>,
{
    let mut found = String::new();
    for nth in 0..ROUNDS {
        if nth > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let polls = Polls::default();
        round(polls.clone()).await?;
        let longest = polls.longest_first();
        let slow = longest.iter().filter(|took| **took > MOST).count();
        if longest.len() < least_polls {
            return Err(Stop::Inconclusive(format!("{what}: only {} polls were measured", longest.len())));
        }
        // Two are let pass in a round too short for p99.9 to allow any.
        let allowed = (longest.len() / ONE_IN).max(2);
        if slow <= allowed {
            return Ok(());
        }
        found = format!("{slow} of {} polls take longer, the longest {:?}", longest.len(), longest.first());
    }
    Err(Stop::failed(format_args!("{what}: expected: one poll in {ONE_IN} takes over {MOST:?}; found: {found}")))
}

/// RUN-2: under saturating load of small calls the polls of their futures are short.
pub(super) async fn polls_are_short(cx: &Context) -> Outcome {
    const TASKS: usize = 32;
    const CALLS: usize = 12;
    let bucket = cx.bucket("b").await?;
    bucket.set_many((0..100).map(|n| (format!("many/{n}"), format!("{n}")))).await?;
    let is_atomic = cx.declared().atomic;
    some_round_is_short("small calls", TASKS * CALLS * 7, |polls| {
        let bucket = bucket.clone();
        elsewhere(Flavour::CurrentThread, async move {
            let tasks = (0..TASKS).map(|task| {
                let (bucket, polls) = (bucket.clone(), polls.clone());
                tokio::spawn(async move {
                    for call in 0..CALLS {
                        small_calls(&bucket, &polls, task, call, is_atomic).await?;
                    }
                    Ok::<(), Stop>(())
                })
            });
            for ended in futures_util::future::join_all(tasks).await {
                ended.map_err(|error| Stop::failed(format_args!("a task ended: {error}")))??;
            }
            Ok(())
        })
    })
    .await
}

async fn small_calls(bucket: &Bucket, polls: &Polls, task: usize, call: usize, is_atomic: bool) -> Outcome {
    let key = format!("{task}/{}", call % 4);
    let value = Bytes::from(format!("{call:0$}", 100 + call * 1_000));
    let many: Vec<String> = (0..20).map(|n| format!("many/{}", (task + n) % 100)).collect();
    polls.timed(bucket.set(&key, value.clone())).await?;
    ensure_eq!(polls.timed(bucket.get(&key)).await?.map(|found| found.into_bytes()), Some(value));
    polls.timed(bucket.exists(&key)).await?;
    ensure_eq!(polls.timed(bucket.get_many(&many)).await?.len(), many.len());
    polls.timed(bucket.set_many(many.iter().map(|key| (key, key.as_str())))).await?;
    polls.timed(bucket.keys("many/", None, 50)).await?;
    if is_atomic {
        polls.timed(bucket.increment(&format!("{task}/n"), 1)).await?;
    }
    Ok(polls.timed(bucket.delete(&key)).await?)
}

/// RUN-2: values of some MiB, alone and in batches, do not block the thread that polls their futures.
pub(super) async fn large_values_do_not_block(cx: &Context) -> Outcome {
    const TASKS: usize = 4;
    let value = Bytes::from(vec![b'v'; 4 << 20]);
    let piece = value.slice(..1 << 20);
    let bucket = cx.bucket("b").await?;
    some_round_is_short("values of 1 and 4 MiB", TASKS * 4, |polls| {
        let (bucket, value, piece) = (bucket.clone(), value.clone(), piece.clone());
        elsewhere(Flavour::CurrentThread, async move {
            let tasks = (0..TASKS).map(|task| {
                let (bucket, polls, value, piece) = (bucket.clone(), polls.clone(), value.clone(), piece.clone());
                tokio::spawn(async move {
                    let keys = [format!("{task}/a"), format!("{task}/b"), format!("{task}/c")];
                    let key = format!("{task}/large");
                    polls.timed(bucket.set(&key, value.clone())).await?;
                    let found = polls.timed(bucket.get(&key)).await?;
                    ensure_eq!(found.map(|found| found.len()), Some(value.len()));
                    polls.timed(bucket.set_many(keys.iter().map(|key| (key, piece.clone())))).await?;
                    let found = polls.timed(bucket.get_many(&keys)).await?;
                    ensure_eq!(found.iter().flatten().map(|found| found.len()).sum::<usize>(), 3 * piece.len());
                    Ok::<(), Stop>(())
                })
            });
            for ended in futures_util::future::join_all(tasks).await {
                ended.map_err(|error| Stop::failed(format_args!("a task ended: {error}")))??;
            }
            Ok(())
        })
    })
    .await
}
