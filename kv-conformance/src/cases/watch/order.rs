use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use kv_core::Events;

use super::super::runtime::elsewhere::in_time;
use super::{MARK, Seen, next, set, until_current};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// WCH-1, WCH-2: 10,000 writes of 100 keys are all shown, those of one key in order, to a reader who keeps up.
pub(super) async fn ten_thousand_in_order(cx: &Context) -> Outcome {
    const KEYS: usize = 100;
    const BATCHES: usize = 100;
    // Under the 1,024 with which the reader would lag, with the batch under way.
    const BEHIND: usize = 600;
    let bucket = cx.bucket("b").await?;
    let events = bucket.watch("").await?;
    let read = Arc::new(AtomicUsize::new(0));
    let reader = tokio::spawn(count_up(events, KEYS, BATCHES, Arc::clone(&read)));
    for batch in 0..BATCHES {
        in_time("the reader keeps up", async {
            while batch * KEYS > read.load(Ordering::Relaxed) + BEHIND && !reader.is_finished() {
                tokio::task::yield_now().await;
            }
        })
        .await?;
        bucket.set_many((0..KEYS).map(|key| (format!("k{key}"), batch.to_string()))).await?;
    }
    let ended = in_time("10,000 events are shown", reader).await?;
    ended.map_err(|error| Stop::failed(format_args!("the reader's task ended: {error}")))?
}

/// Fails unless each key's numbers come from 0 up, none left out.
async fn count_up(mut events: Events, keys: usize, numbers: usize, read: Arc<AtomicUsize>) -> Outcome {
    let mut due: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..keys * numbers {
        let (what, key, value) = next(&mut events).await?;
        let number = due.entry(key.clone()).or_default();
        ensure!(
            what == "set" && value.as_deref() == Some(number.to_string().as_str()),
            "expected: write {number} of {key:?} next; found: {what} {value:?}"
        );
        *number += 1;
        read.fetch_add(1, Ordering::Relaxed);
    }
    ensure_eq!(due.len(), keys, "keys shown");
    Ok(())
}

/// WCH-1: writers that race for one key are shown in the order in which their writes took effect.
pub(super) async fn order_of_racing_writers(cx: &Context) -> Outcome {
    const TASKS: usize = 4;
    const EACH: usize = 120;
    if !cx.declared().atomic {
        return Err(Stop::NotApplicable("atomic operations are not declared, and only they tell the order".to_owned()));
    }
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("n").await?;
    let writers = (0..TASKS).map(|_| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                bucket.increment("n", 1).await?;
            }
            Ok::<(), Stop>(())
        })
    });
    for ended in join_all(writers).await {
        ended.map_err(|error| Stop::failed(format_args!("a writer's task ended: {error}")))??;
    }
    for n in 1..=TASKS * EACH {
        ensure_eq!(next(&mut events).await?, set("n", &n.to_string()), "event {n} of one counter");
    }
    Ok(())
}

/// WCH-1: after sets, deletes and batches have raced, the last event of each key is what is stored.
pub(super) async fn last_event_is_what_is_stored(cx: &Context) -> Outcome {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    const ROUNDS: usize = 12;
    const WRITES: usize = 12;
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    for round in 0..ROUNDS {
        let writers = (0..4).map(|task| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                for n in 0..WRITES {
                    let value = format!("{round}/{task}/{n}");
                    let key = KEYS.get((n + task) % KEYS.len()).copied().unwrap_or_default();
                    match (task + n) % 4 {
                        0 => bucket.set_many(KEYS.map(|key| (key, value.as_str()))).await?,
                        1 => bucket.delete(key).await?,
                        _ => bucket.set(key, value).await?,
                    }
                }
                Ok::<(), Stop>(())
            })
        });
        for ended in join_all(writers).await {
            ended.map_err(|error| Stop::failed(format_args!("a writer's task ended: {error}")))??;
        }
        let stored = bucket.get_many(&KEYS).await?;
        let current: Vec<Seen> = KEYS
            .iter()
            .zip(&stored)
            .map(|(key, value)| match value {
                Some(value) => set(key, &String::from_utf8_lossy(value)),
                None => super::deleted(key),
            })
            .collect();
        let mark = round.to_string();
        bucket.set(MARK, mark.as_str()).await?;
        // A key that nobody has written yet has no event: each has, from the first batch on.
        let found = until_current(&mut events, &[set(MARK, &mark)]).await?;
        let mut last: BTreeMap<&str, &Seen> = BTreeMap::new();
        for event in &found {
            last.insert(&event.1, event);
        }
        let is_current = current.iter().all(|event| last.get(&*event.1) == Some(&event));
        if !is_current {
            // The mark's event may have overtaken others' where no order is promised between keys.
            let missing: Vec<Seen> =
                current.iter().filter(|event| last.get(&*event.1) != Some(event)).cloned().collect();
            ensure!(
                cx.declared().watch == Some(kv_core::Watching::Latest),
                "expected: the last events are {current:?}; found: others than {missing:?}"
            );
            until_current(&mut events, &missing).await?;
        }
    }
    Ok(())
}
