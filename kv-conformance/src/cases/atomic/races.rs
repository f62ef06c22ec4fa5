//! Many callers count at once.

use std::collections::{BTreeMap, BTreeSet};

use kv_core::Bucket;

use super::super::store::entries::joined;
use super::stored::ensure_stored;
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// ATM-1: 64 tasks add 1 to one counter 200 times each; every number from 1 to 12,800 is returned exactly once.
pub(super) async fn sixty_four_tasks(cx: &Context) -> Outcome {
    const TASKS: usize = 64;
    const EACH: usize = 200;
    let bucket = cx.bucket("b").await?;
    let by_task = counted(&bucket, TASKS, EACH).await?;
    ensure!(
        by_task.iter().all(|task| task.is_sorted()),
        "expected: each caller sees the counter rise; found it falling"
    );
    let returned = by_task.concat();
    let all: BTreeSet<i64> = returned.iter().copied().collect();
    ensure_eq!(returned.len(), TASKS * EACH, "the number of increments");
    ensure_eq!(all.len(), TASKS * EACH, "the number of different values returned");
    ensure_eq!(
        (all.first().copied(), all.last().copied()),
        (Some(1), Some((TASKS * EACH) as i64)),
        "the least and greatest value returned"
    );
    ensure_stored(&bucket, "n", Some((TASKS * EACH).to_string().as_bytes())).await
}

/// ATM-1: increments against deletes: each result follows the one before it, or the counter began anew.
pub(super) async fn against_deletes(cx: &Context) -> Outcome {
    const DELETES: usize = 100;
    let bucket = cx.bucket("b").await?;
    let deleter = cx.bucket("b").await?;
    let deletes = tokio::spawn(async move {
        for _ in 0..DELETES {
            deleter.delete("n").await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    let returned = counted(&bucket, 16, 100).await;
    joined(deletes).await?;
    let returned = returned?.concat();
    let mut times = BTreeMap::<i64, usize>::new();
    for value in &returned {
        *times.entry(*value).or_default() += 1;
    }
    for (value, count) in &times {
        let most = if *value == 1 { DELETES + 1 } else { times.get(&(value - 1)).copied().unwrap_or(0) };
        ensure!(
            *value >= 1 && *count <= most,
            "expected: {value} is returned at most {most} times, once for each chain of increments; found: {count} times"
        );
    }
    let found = bucket.get("n").await?;
    let last = match found {
        None => 0,
        Some(value) => std::str::from_utf8(&value).ok().and_then(|text| text.parse::<i64>().ok()).unwrap_or(-1),
    };
    ensure!(last == 0 || times.contains_key(&last), "expected: the counter is a value returned; found: {last}");
    ensure_eq!(bucket.increment("n", 1).await?, last + 1, "the counter goes on from {last}");
    Ok(())
}

/// ATM-1: increments against `set` of counters: none is lost, none is counted on the wrong one.
pub(super) async fn against_sets(cx: &Context) -> Outcome {
    const SETS: i64 = 100;
    const APART: i64 = 1_000_000;
    let bucket = cx.bucket("b").await?;
    let setter = cx.bucket("b").await?;
    let sets = tokio::spawn(async move {
        for round in 1..=SETS {
            setter.set("n", (round * APART).to_string()).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    let returned = counted(&bucket, 16, 100).await;
    joined(sets).await?;
    let mut by_base = BTreeMap::<i64, BTreeSet<i64>>::new();
    for value in returned?.concat() {
        let new = by_base.entry(value / APART).or_default().insert(value % APART);
        ensure!(new, "expected: each sum is returned once; found {value} twice");
    }
    for (base, steps) in &by_base {
        let whole = (1..=steps.len() as i64).eq(steps.iter().copied());
        ensure!(whole, "expected: the increments on {} follow one another; found steps {steps:?}", base * APART);
    }
    let last = by_base.get(&SETS).map_or(0, BTreeSet::len);
    ensure_stored(&bucket, "n", Some((SETS * APART + last as i64).to_string().as_bytes())).await
}

/// ATM-1: 32 counters with like names, in two buckets, counted at once: none counts another's.
pub(super) async fn many_counters_at_once(cx: &Context) -> Outcome {
    const COUNTERS: usize = 32;
    let mut tasks = Vec::new();
    for counter in 0..COUNTERS {
        let bucket = cx.bucket(if counter % 2 == 0 { "b" } else { "c" }).await?;
        tasks.push(tokio::spawn(async move {
            let key = format!("n{}", counter / 2);
            for round in 1..=30 {
                let expected = round * (counter as i64 + 1);
                ensure_eq!(bucket.increment(&key, counter as i64 + 1).await?, expected, "counter {counter}");
            }
            Ok((bucket, key))
        }));
    }
    for (counter, task) in tasks.into_iter().enumerate() {
        let (bucket, key) = joined(task).await?;
        ensure_stored(&bucket, &key, Some((30 * (counter + 1)).to_string().as_bytes())).await?;
    }
    Ok(())
}

/// Increments `n` by 1 from many tasks and gives what each of them got.
async fn counted(bucket: &Bucket, tasks: usize, each: usize) -> Result<Vec<Vec<i64>>, Stop> {
    let counters: Vec<_> = (0..tasks)
        .map(|_| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                let mut returned = Vec::with_capacity(each);
                for _ in 0..each {
                    returned.push(bucket.increment("n", 1).await?);
                }
                Ok(returned)
            })
        })
        .collect();
    let mut all = Vec::with_capacity(tasks);
    for counter in counters {
        all.push(joined(counter).await?);
    }
    Ok(all)
}
