use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use kv_core::{Batches, Bucket, IncomingValue};

use super::super::runtime::elsewhere::{Flavour, elsewhere, in_time};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Keys of one batch.
const WIDTH: usize = 64;

/// Batches that a writer applies while readers look.
const WRITES: usize = 120;

/// Readers, and the looks that each takes at least.
const READERS: usize = 3;
const LOOKS: usize = 60;

/// Counters that batches set while others increment them.
const COUNTERS: [&str; 2] = ["a", "b"];

/// From one batch's number to the next: more than the increments that come in between.
const STEP: i64 = 1_000_000;

/// Lets readers look again and again, on a handle each, for as long as the writing lasts.
async fn look_beside<L>(
    bucket: &Bucket,
    look: impl Fn(Bucket) -> L + Copy + Send + 'static,
    writing: impl Future<Output = Outcome>,
) -> Outcome
where
    L: Future<Output = Outcome> + Send + 'static,
{
    let done = Arc::new(AtomicBool::new(false));
    let readers = (0..READERS).map(|_| {
        let (bucket, done) = (bucket.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut looks = 0;
            while looks < LOOKS || !done.load(Ordering::Relaxed) {
                look(bucket.clone()).await?;
                looks += 1;
            }
            Ok::<usize, Stop>(looks)
        })
    });
    let readers: Vec<_> = readers.collect();
    let written = writing.await;
    done.store(true, Ordering::Relaxed);
    for ended in join_all(readers).await {
        let looks = ended.map_err(|error| Stop::failed(format_args!("a reader's task ended: {error}")))??;
        ensure!(looks >= LOOKS, "expected: {LOOKS} looks beside the writer; found: {looks}");
    }
    written
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("k{n:05}")).collect()
}

/// Writes the same number under each key, in one batch.
async fn write_all(bucket: &Bucket, count: usize, n: usize) -> Outcome {
    Ok(bucket.set_many(keys(count).iter().map(|key| (key, n.to_string()))).await?)
}

fn number(found: Option<&IncomingValue>) -> Result<usize, Stop> {
    let text = found.and_then(|found| std::str::from_utf8(found).ok());
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Stop::failed(format_args!("expected: the number of a batch; found: {found:?}")))
}

/// Fails unless all values are of one batch; gives its number.
fn ensure_of_one_batch(found: &[Option<IncomingValue>]) -> Result<usize, Stop> {
    let first = number(found.first().and_then(Option::as_ref))?;
    for (at, value) in found.iter().enumerate() {
        let n = number(value.as_ref())?;
        ensure!(n == first, "expected: all of batch {first}; found: batch {n} under key {at}");
    }
    Ok(first)
}

/// BAT-4: a reader of many keys sees all of a batch or nothing of it.
pub(super) async fn reads_are_never_torn(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    write_all(&bucket, WIDTH, 0).await?;
    let look = |bucket: Bucket| async move {
        let mut asked = keys(WIDTH);
        ensure_of_one_batch(&bucket.get_many(&asked).await?)?;
        asked.reverse();
        ensure_of_one_batch(&bucket.get_many(&asked).await?).map(drop)
    };
    look_beside(&bucket, look, async {
        for n in 1..=WRITES {
            write_all(&bucket, WIDTH, n).await?;
        }
        Ok(())
    })
    .await?;
    ensure_eq!(ensure_of_one_batch(&bucket.get_many(&keys(WIDTH)).await?)?, WRITES, "the last batch");
    Ok(())
}

/// BAT-4: who has seen one entry of a batch then sees the others too, in whatever order single reads go.
pub(super) async fn two_gets_never_go_back(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    write_all(&bucket, WIDTH, 0).await?;
    let look = |bucket: Bucket| async move {
        let all = keys(WIDTH);
        let forth = all.iter().step_by(9);
        let back = all.iter().rev().step_by(7);
        let mut seen = 0;
        for key in forth.chain(back) {
            let n = number(bucket.get(key).await?.as_ref())?;
            ensure!(n >= seen, "expected: batch {seen}, seen before, or a later one; found: batch {n} under {key:?}");
            seen = n;
        }
        Ok(())
    };
    look_beside(&bucket, look, async {
        for n in 1..=WRITES {
            write_all(&bucket, WIDTH, n).await?;
        }
        Ok(())
    })
    .await
}

/// BAT-4: a page shows all keys of a batch or none, whether it wrote or deleted them.
pub(super) async fn listing_is_never_torn(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let look = |bucket: Bucket| async move {
        let page = bucket.keys("k", None, WIDTH * 2).await?;
        let count = page.keys.len();
        ensure!(
            count == 0 || count == WIDTH,
            "expected: all {WIDTH} keys of a batch or none; found: {count} of them on a page"
        );
        let found = bucket.get_many(&keys(WIDTH)).await?.iter().flatten().count();
        ensure!(found == 0 || found == WIDTH, "expected: all {WIDTH} entries of a batch or none; found: {found}");
        Ok(())
    };
    look_beside(&bucket, look, async {
        for n in 1..=WRITES / 2 {
            write_all(&bucket, WIDTH, n).await?;
            bucket.delete_many(&keys(WIDTH)).await?;
        }
        Ok(())
    })
    .await
}

/// BAT-4: batches over 1,024 entries and over 1 MiB, which are applied off the runtime, are one step as well.
pub(super) async fn large_batch_is_never_torn(cx: &Context) -> Outcome {
    const LARGE: usize = 1_500;
    let bucket = cx.bucket("b").await?;
    write_all(&bucket, LARGE, 0).await?;
    let value = |n: usize| format!("{}{n}", "0".repeat(64 << 10));
    let look = |bucket: Bucket| async move {
        let spread: Vec<String> = keys(LARGE).into_iter().step_by(71).collect();
        let first = ensure_of_one_batch(&bucket.get_many(&spread).await?)?;
        let second = number(bucket.get("k00000").await?.as_ref())?;
        ensure!(second >= first, "expected: batch {first}, seen before, or a later one; found: batch {second}");
        ensure_of_one_batch(&bucket.get_many(&["x19", "x0", "x8"]).await?).map(drop)
    };
    let heavy: Vec<String> = (0..20).map(|n| format!("x{n}")).collect();
    bucket.set_many(heavy.iter().map(|key| (key, value(0)))).await?;
    look_beside(&bucket, look, async {
        for n in 1..=8 {
            write_all(&bucket, LARGE, n).await?;
            bucket.set_many(heavy.iter().map(|key| (key, value(n)))).await?;
        }
        Ok(())
    })
    .await
}

/// BAT-4: writers of the same keys in opposite orders do not wait for one another for ever, and where batches are
/// atomic the result is one writer's.
pub(super) async fn opposite_orders(cx: &Context) -> Outcome {
    const TASKS: usize = 8;
    const ROUNDS: usize = 15;
    let bucket = cx.bucket("b").await?;
    let writers = (0..TASKS).map(|task| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            let mut order = keys(WIDTH);
            if task % 2 == 1 {
                order.reverse();
            }
            for round in 0..ROUNDS {
                if task == 0 && round % 3 == 0 {
                    bucket.delete_many(&order).await?;
                }
                bucket.set_many(order.iter().map(|key| (key, task.to_string()))).await?;
            }
            Ok::<(), Stop>(())
        })
    });
    for ended in in_time("writers in opposite orders end", join_all(writers)).await? {
        ended.map_err(|error| Stop::failed(format_args!("a writer's task ended: {error}")))??;
    }
    let found = bucket.get_many(&keys(WIDTH)).await?;
    ensure_eq!(found.iter().flatten().count(), WIDTH, "entries after the writers");
    if cx.declared().batches == Batches::Atomic {
        let writer = ensure_of_one_batch(&found)?;
        ensure!(writer < TASKS, "expected: the value of a writer; found: {writer}");
    }
    Ok(())
}

/// BAT-4, ATM-1: a batch beside increments of its keys loses none of what came after it.
pub(super) async fn batches_beside_increments(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let (done, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let increments = COUNTERS.map(|key| {
        let (bucket, done, made) = (bucket.clone(), Arc::clone(&done), Arc::clone(&made));
        tokio::spawn(async move {
            let ended = increment_until(&done, &made, &bucket, key).await;
            done.store(true, Ordering::Relaxed);
            ended
        })
    });
    let applied = apply_beside(&done, &made, &bucket).await;
    done.store(true, Ordering::Relaxed);
    for ended in join_all(increments).await {
        ended.map_err(|error| Stop::failed(format_args!("a task of increments ended: {error}")))??;
    }
    applied
}

/// Increments the counter again and again, and looks at each answer.
async fn increment_until(done: &AtomicBool, made: &AtomicUsize, bucket: &Bucket, key: &str) -> Outcome {
    let mut last = 0;
    while !done.load(Ordering::Relaxed) {
        let found = bucket.increment(key, 1).await?;
        // A batch of others sets it to a later step; in between it only grows by one.
        let is_next = found == last + 1 || found / STEP > last / STEP;
        ensure!(is_next, "expected: {} or a later batch's number and a little; found: {found}", last + 1);
        last = found;
        made.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Applies batches, each once increments were made since the one before.
async fn apply_beside(done: &AtomicBool, made: &AtomicUsize, bucket: &Bucket) -> Outcome {
    for n in 1..=100 {
        let before = made.load(Ordering::Relaxed);
        let value = (n * STEP).to_string();
        bucket.set_many(COUNTERS.into_iter().chain(["c"]).map(|key| (key, value.as_str()))).await?;
        for found in bucket.get_many(&COUNTERS).await? {
            let found = i64::try_from(number(found.as_ref())?).unwrap_or_default();
            let is_since = (n * STEP..(n + 1) * STEP).contains(&found);
            ensure!(is_since, "expected: {} and the increments since; found: {found}", n * STEP);
        }
        while made.load(Ordering::Relaxed) == before && !done.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    }
    let last = bucket.get("c").await?;
    ensure_eq!(number(last.as_ref())?.to_string(), (100 * STEP).to_string(), "the last batch's number");
    Ok(())
}

/// BAT-4, RUN-2: while a long batch is applied, other tasks of the same thread run, and their calls end.
pub(super) async fn large_batch_lets_others_run(cx: &Context) -> Outcome {
    const LARGE: usize = 20_000;
    const TRIES: usize = 3;
    let bucket = cx.bucket("b").await?;
    elsewhere(Flavour::CurrentThread, async move {
        let turns = Arc::new(AtomicUsize::new(0));
        let calls = Arc::new(AtomicUsize::new(0));
        let (counted, called, others) = (Arc::clone(&turns), Arc::clone(&calls), bucket.clone());
        let spinning = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let calling = tokio::spawn(async move {
            loop {
                others.set("other", "v").await?;
                ensure!(others.exists("other").await?, "expected: a key exists after set; found: it does not");
                called.fetch_add(1, Ordering::Relaxed);
            }
            #[expect(unreachable_code, reason = "says what the loop's errors are")]
            Ok::<(), Stop>(())
        });
        let many: Vec<String> = (0..LARGE).map(|n| format!("k{n}")).collect();
        let large = "v".repeat(1 << 20);
        for round in 0..4 {
            let mut turns_beside = 0;
            // On a busy machine work elsewhere may be done before anybody asks for it; work on the task never lets others run.
            for _ in 0..TRIES {
                let before = turns.load(Ordering::Relaxed);
                match round {
                    0 => bucket.set_many(many.iter().map(|key| (key, "v"))).await?,
                    1 => ensure_eq!(bucket.get_many(&many).await?.iter().flatten().count(), LARGE),
                    2 => bucket.delete_many(&many).await?,
                    _ => bucket.set_many(["a", "b"].map(|key| (key, large.as_str()))).await?,
                }
                turns_beside = turns.load(Ordering::Relaxed) - before;
                if turns_beside > 0 {
                    break;
                }
            }
            ensure!(turns_beside > 0, "expected: other tasks run while batch {round} is applied; found: none did");
        }
        let seen = calls.load(Ordering::Relaxed);
        in_time("calls beside batches end", async {
            while calls.load(Ordering::Relaxed) <= seen {
                ensure!(!calling.is_finished(), "expected: calls beside batches go on; found: one failed");
                tokio::task::yield_now().await;
            }
            Ok(())
        })
        .await??;
        spinning.abort();
        calling.abort();
        Ok(())
    })
    .await
}
