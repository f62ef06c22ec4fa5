use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use kv_core::{Bucket, IncomingValue};
use tokio::task::JoinHandle;

use crate::check::{ensure, ensure_eq, show};
use crate::{Context, Outcome, Stop};

/// Waits for tasks that all must pass.
async fn all<T>(tasks: Vec<JoinHandle<Result<T, Stop>>>) -> Result<Vec<T>, Stop> {
    let mut done = Vec::new();
    for ended in join_all(tasks).await {
        done.push(ended.map_err(|error| Stop::failed(format_args!("a task ended: {error}")))??);
    }
    Ok(done)
}

/// RW-5: whatever else is going on, a handle reads what it wrote, in every way of reading.
pub(super) async fn reads_follow_own_writes(cx: &Context) -> Outcome {
    const ROUNDS: usize = 25;
    let bucket = cx.bucket("b").await?;
    let tasks = (0..16).map(|task| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            let key = format!("{task}/k");
            for round in 0..ROUNDS {
                let value = format!("{task}, {round}");
                bucket.set(&key, value.as_str()).await?;
                for _ in 0..3 {
                    ensure_eq!(bucket.get(&key).await?.as_deref(), Some(value.as_bytes()), "get after set");
                }
                ensure!(bucket.exists(&key).await?, "expected: a key exists after set; found: it does not");
                let many = bucket.get_many(&["absent", &key]).await?;
                ensure_eq!(many.get(1).and_then(Option::as_deref), Some(value.as_bytes()), "get_many after set");
                let page = bucket.keys(&format!("{task}/"), None, 10).await?;
                ensure_eq!(page.keys, [key.as_str()], "keys after set");
                bucket.delete(&key).await?;
                ensure_eq!(bucket.get(&key).await?, None, "get after delete");
                ensure!(!bucket.exists(&key).await?, "expected: a key is absent after delete; found: it exists");
                let page = bucket.keys(&format!("{task}/"), None, 10).await?;
                ensure!(page.keys.is_empty(), "expected: no keys after delete; found: {:?}", page.keys);
            }
            Ok(())
        })
    });
    all(tasks.collect()).await.map(drop)
}

/// RW-5: one writer counts up; no reader sees less than what was acknowledged before it asked, nor more than what was
/// begun, nor goes back.
pub(super) async fn one_register_never_goes_back(cx: &Context) -> Outcome {
    const WRITES: usize = 300;
    const LEAST_READS: usize = 400;
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "0").await?;
    let begun = Arc::new(AtomicUsize::new(0));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (bucket, begun, acknowledged) = (bucket.clone(), Arc::clone(&begun), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let (mut reads, mut last) = (0, 0);
                while reads < LEAST_READS || acknowledged.load(Ordering::SeqCst) < WRITES {
                    let least = acknowledged.load(Ordering::SeqCst).max(last);
                    let found = match reads % 4 {
                        0 => bucket.get_many(&["k"]).await?.into_iter().flatten().next(),
                        _ => bucket.get("k").await?,
                    };
                    let most = begun.load(Ordering::SeqCst);
                    let found = number(found)?;
                    ensure!(
                        (least..=most).contains(&found),
                        "expected: from {least}, acknowledged or seen before, to {most}, begun; found: {found}"
                    );
                    last = found;
                    reads += 1;
                }
                Ok(reads)
            })
        })
        .collect();
    for n in 1..=WRITES {
        begun.store(n, Ordering::SeqCst);
        bucket.set("k", n.to_string()).await?;
        acknowledged.store(n, Ordering::SeqCst);
    }
    let reads: usize = all(readers).await?.iter().sum();
    ensure!(reads >= 4 * LEAST_READS, "expected: at least {} reads; found: {reads}", 4 * LEAST_READS);
    Ok(())
}

fn number(found: Option<IncomingValue>) -> Result<usize, Stop> {
    let text = found.as_deref().and_then(|found| std::str::from_utf8(found).ok());
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Stop::failed(format_args!("expected: the number that was written; found: {found:?}")))
}

/// RW-5: of many callers on one handle each gets the answer to its own question.
pub(super) async fn callers_get_their_own_replies(cx: &Context) -> Outcome {
    const CALLERS: usize = 64;
    const ROUNDS: usize = 12;
    let bucket = cx.bucket("b").await?;
    let tasks = (0..CALLERS).map(|caller| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            // Half of the callers' keys stay absent; sizes differ so that a reply of another's shows.
            let (own, absent) = (format!("caller {caller}"), format!("caller {caller}, absent"));
            let value = own.repeat(1 + caller * 3);
            bucket.set(&own, value.as_str()).await?;
            for round in 0..ROUNDS {
                let found = bucket.get(&own).await?;
                ensure_eq!(found.as_deref().map(show), Some(show(value.as_bytes())), "the value of {own:?}");
                ensure_eq!(bucket.get(&absent).await?, None, "the value of {absent:?}");
                ensure_eq!((bucket.exists(&absent).await?, bucket.exists(&own).await?), (false, true));
                let many = bucket.get_many(&[&absent, &own, &absent, &own]).await?;
                let shown: Vec<_> = many.iter().map(|found| found.as_deref().map(<[u8]>::len)).collect();
                ensure_eq!(shown, [None, Some(value.len()), None, Some(value.len())], "{own:?} in a batch");
                ensure_eq!(bucket.keys(&absent, None, 1 + round).await?.keys.len(), 0, "keys under {absent:?}");
            }
            Ok(())
        })
    });
    all(tasks.collect()).await.map(drop)
}

/// The value that a writer writes: its own byte, over and over, in a length of its own.
fn fill(writer: u8) -> Vec<u8> {
    const LENGTHS: [usize; 5] = [10, 5_000, 70_000, 300_000, 1];
    let length = LENGTHS.get(usize::from(writer) % LENGTHS.len()).copied().unwrap_or(1);
    vec![writer; length]
}

/// Fails unless the value is one that some writer wrote, whole.
fn ensure_whole(found: &[u8], writers: u8) -> Outcome {
    let writer = found.first().copied().unwrap_or(u8::MAX);
    let strange = found.iter().position(|byte| *byte != writer);
    ensure!(
        writer < writers && strange.is_none() && found.len() == fill(writer).len(),
        "expected: one writer's value, whole; found: {} bytes that begin with writer {writer}'s and differ at {strange:?}",
        found.len()
    );
    Ok(())
}

/// RW-2, RW-6: readers beside writers of values of 1 byte to 300 KB see each value whole, never two mixed.
pub(super) async fn values_are_never_mixed(cx: &Context) -> Outcome {
    const WRITERS: u8 = 5;
    const WRITES: usize = 24;
    const KEYS: [&str; 2] = ["a", "b"];
    let bucket = cx.bucket("b").await?;
    bucket.set_many(KEYS.map(|key| (key, fill(0)))).await?;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (bucket, done) = (bucket.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut reads = 0_usize;
                while reads < 100 || !done.load(Ordering::Relaxed) {
                    for key in KEYS {
                        ensure_whole(&bucket.get(key).await?.unwrap_or_default(), WRITERS)?;
                    }
                    for found in bucket.get_many(&KEYS).await? {
                        ensure_whole(&found.unwrap_or_default(), WRITERS)?;
                    }
                    reads += 1;
                }
                Ok(reads)
            })
        })
        .collect();
    let writers = (0..WRITERS).map(|writer| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            for n in 0..WRITES {
                for key in KEYS {
                    if n % 3 == 0 {
                        bucket.set_many([(key, fill(writer))]).await?;
                    } else {
                        bucket.set(key, fill(writer)).await?;
                    }
                }
            }
            Ok(())
        })
    });
    let written = all(writers.collect()).await;
    done.store(true, Ordering::Relaxed);
    let read = all(readers).await?;
    written?;
    ensure!(read.iter().all(|reads| *reads >= 100), "expected: at least 100 reads each; found: {read:?}");
    Ok(())
}

/// RW-6: writers that are cut off at any point leave the old value or a new one, whole, and the key works on.
pub(super) async fn aborted_writers_leave_whole_values(cx: &Context) -> Outcome {
    const ROUNDS: usize = 60;
    const WRITERS: u8 = 5;
    let bucket = cx.bucket("b").await?;
    bucket.set("k", fill(0)).await?;
    let mut cut = 0_usize;
    for round in 0..ROUNDS {
        let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write_once(bucket.clone(), writer))).collect();
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        for writer in &writers {
            writer.abort();
        }
        for ended in join_all(writers).await {
            match ended {
                Ok(written) => written?,
                Err(error) if error.is_cancelled() => cut += 1,
                Err(error) => return Err(Stop::failed(format_args!("a writer's task ended: {error}"))),
            }
        }
        ensure_whole(&bucket.get("k").await?.unwrap_or_default(), WRITERS)?;
        if round % 10 == 9 {
            bucket.set("k", "between").await?;
            // A cut-off write may still be on its way, but only whole.
            let found = bucket.get("k").await?.unwrap_or_default();
            ensure!(
                found == b"between" || ensure_whole(&found, WRITERS).is_ok(),
                "expected: a whole value; found: less"
            );
            bucket.set("k", fill(0)).await?;
        }
    }
    ensure!(cut > 0, "expected: some of {} writers are cut off; found: none", ROUNDS * usize::from(WRITERS));
    Ok(())
}

async fn write_once(bucket: Bucket, writer: u8) -> Outcome {
    Ok(bucket.set("k", fill(writer)).await?)
}
