//! Calls dropped by the thousand.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use kv_core::Bucket;
use rand::RngExt;
use rand::rngs::StdRng;

use super::super::store::entries::{listed, noise, prompt};
use super::drops::Busy;
use super::footprint::Footprint;
use super::polls::{Call, drop_after};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Keys that the calls share.
const KEYS: usize = 50;

/// A value that tells its key, its number and its own length, and is filled with what follows from them.
fn value(key: usize, number: u64) -> Vec<u8> {
    let filling = noise(number, (number % 2_000) as usize);
    let mut value = format!("{key} {number} ").into_bytes();
    value.extend_from_slice(&filling);
    value
}

/// The value is one that was written to this key, whole.
fn verify(key: usize, found: &[u8]) -> Outcome {
    let mut words = found.splitn(3, |byte| *byte == b' ').map(|word| std::str::from_utf8(word).ok());
    let names = words.next().flatten().and_then(|word| word.parse::<usize>().ok());
    let number = words.next().flatten().and_then(|word| word.parse::<u64>().ok());
    let (Some(names), Some(number)) = (names, number) else {
        return Err(Stop::failed(format_args!(
            "k{key}: expected a value that was written, found {} other bytes",
            found.len()
        )));
    };
    ensure_eq!(names, key, "the key that the value of k{key} names");
    ensure!(found == value(key, number), "k{key}: expected value {number} whole, found a part or a mixture");
    Ok(())
}

fn random_call(rng: &mut StdRng, bucket: &Bucket, key: usize, number: u64) -> Call {
    let bucket = bucket.clone();
    let name = format!("k{key}");
    let new = value(key, number);
    let other = rng.random_range(0..KEYS);
    match rng.random_range(0..8) {
        0 | 1 => Box::pin(async move { bucket.set(&name, new).await }),
        2 => Box::pin(async move { bucket.delete(&name).await }),
        3 => Box::pin(async move { bucket.set_many([(name, new), (format!("k{other}"), value(other, number))]).await }),
        4 => Box::pin(async move { bucket.delete_many(&[name, format!("k{other}")]).await }),
        5 => Box::pin(async move { bucket.get(&name).await.map(drop) }),
        6 => Box::pin(async move { bucket.get_many(&[name, format!("k{other}")]).await.map(drop) }),
        _ => Box::pin(async move { bucket.keys("k", None, 10).await.map(drop) }),
    }
}

/// RW-6: 1,000 calls dropped at random, then 1,000 reads, each of a value that was written to its key, whole.
pub(super) async fn thousand_random_drops(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut rng = cx.rng();
    for key in 0..KEYS {
        bucket.set(&format!("k{key}"), value(key, key as u64)).await?;
    }
    let busy = Busy::start(&bucket);
    for number in 0..1_000 {
        let key = rng.random_range(0..KEYS);
        let call = random_call(&mut rng, &bucket, key, number + 1_000);
        if let Some(Err(error)) = drop_after(call, rng.random_range(0..4)).await? {
            return Err(error.into());
        }
        if let Some(found) = bucket.get(&format!("k{key}")).await? {
            verify(key, &found)?;
        }
    }
    busy.end().await?;
    let mut present = 0;
    for read in 0..1_000 {
        let key = rng.random_range(0..KEYS);
        if read % 10 == 0 {
            // Deleted keys come back, so that there is something to read.
            prompt("a set after dropped calls", bucket.set(&format!("k{key}"), value(key, read))).await??;
        }
        if let Some(found) = prompt("a get after dropped calls", bucket.get(&format!("k{key}"))).await?? {
            verify(key, &found)?;
            present += 1;
        }
    }
    ensure!(present >= 100, "expected: at least 100 of 1,000 reads find a value; found: {present}");
    for key in listed(&bucket, "k").await? {
        let number = key.strip_prefix('k').and_then(|number| number.parse::<usize>().ok());
        ensure!(number.is_some_and(|number| number < KEYS), "expected: only keys that were written; found {key:?}");
    }
    Ok(())
}

/// CAN-1: 10,000 calls given up leave no file, thread or memory behind, and the store answers promptly after them.
pub(super) async fn ten_thousand_timeouts(cx: &Context) -> Outcome {
    const WARM: usize = 3_000;
    const CALLS: usize = 10_000;
    let bucket = cx.bucket("b").await?;
    give_up(cx, &bucket, WARM).await?;
    let before = Footprint::take()?;
    give_up(cx, &bucket, CALLS).await?;
    before.ensure_back("10,000 calls given up").await?;
    prompt("a set after calls given up", bucket.set("k", "v")).await??;
    ensure!(listed(&bucket, "k").await?.len() <= KEYS + 1, "expected: no more keys than were written; found more");
    Ok(())
}

/// Calls with no time to answer: each is polled once and dropped, as a timeout does it.
async fn give_up(cx: &Context, bucket: &Bucket, calls: usize) -> Outcome {
    for call in 0..calls {
        let key = format!("k{}", call % KEYS);
        match call % 8 {
            0 => once(bucket.get(&key)).await,
            1 => once(bucket.set(&key, "41")).await,
            2 => once(bucket.get_many(&[&key])).await,
            3 => once(bucket.set_many([(&key, "42")])).await,
            4 if cx.declared().atomic => once(bucket.cas(&key)).await,
            5 if cx.declared().atomic => once(bucket.increment(&key, 1)).await,
            6 if cx.declared().cache => once(bucket.get_or_set(&key)).await,
            _ => once(bucket.keys("", None, 10)).await,
        }
        if call % 16 == 15 {
            // Renews this task's budget, without which no call would get anywhere.
            tokio::task::yield_now().await;
        }
        if call % 100 == 99 {
            // What is under way comes to an end before more is asked for, as in a program that is not overrun.
            prompt("a set among calls given up", bucket.set(&key, "43")).await??;
        }
    }
    Ok(())
}

/// Polls the call once and drops it.
async fn once(call: impl Future + Send) {
    let mut call = pin!(call);
    poll_fn(|cx| {
        let _ = call.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}
