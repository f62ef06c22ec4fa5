//! One caller counts.

use std::time::Duration;

use kv_core::{Bucket, CasSwap, Swap};
use rand::RngExt;

use super::super::store::entries::listed;
use super::stored::ensure_stored;
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Numbers at which digits, signs and widths change.
const EDGES: [i64; 18] = [
    0,
    1,
    -1,
    9,
    10,
    -10,
    99,
    100,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    i32::MIN as i64 - 1,
    (1 << 53) + 1,
    -(1 << 53) - 1,
    1_000_000_000_000_000_000,
    i64::MAX - 1,
    i64::MAX,
    i64::MIN + 1,
    i64::MIN,
];

/// ATM-1: an absent key counts as 0, in every bucket, and the new value is returned and stored.
pub(super) async fn increment_from_nothing(cx: &Context) -> Outcome {
    let (bucket, other) = (cx.bucket("b").await?, cx.bucket("c").await?);
    ensure_eq!(bucket.increment("n", 5).await?, 5);
    ensure_eq!(bucket.increment("m", -5).await?, -5);
    ensure_eq!(other.increment("n", 1).await?, 1, "the first increment in another bucket");
    ensure_eq!(bucket.increment("n", 2).await?, 7, "the second increment");
    bucket.delete("n").await?;
    ensure_eq!(bucket.increment("n", 3).await?, 3, "the first increment after a delete");
    cx.store().drop_bucket("c").await?;
    ensure_eq!(other.increment("n", 4).await?, 4, "the first increment after the bucket was dropped");
    ensure_stored(&bucket, "n", Some(b"3")).await?;
    ensure_stored(&bucket, "m", Some(b"-5")).await?;
    ensure_stored(&other, "n", Some(b"4")).await
}

/// ATM-1: a delta of 0 stores `0` under an absent key and leaves a counter at its value.
pub(super) async fn increment_by_zero(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    ensure_eq!(bucket.increment("n", 0).await?, 0);
    ensure_stored(&bucket, "n", Some(b"0")).await?;
    ensure_eq!(listed(&bucket, "").await?, ["n"], "the keys after an increment by 0");
    for number in EDGES {
        bucket.set("m", number.to_string()).await?;
        ensure_eq!(bucket.increment("m", 0).await?, number, "{number} plus 0");
        ensure_stored(&bucket, "m", Some(number.to_string().as_bytes())).await?;
    }
    Ok(())
}

/// ATM-1: deltas of both signs, through zero and back.
pub(super) async fn deltas_of_both_signs(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let steps = [(-1, -1), (-1, -2), (2, 0), (0, 0), (10, 10), (-1, 9), (-10, -1), (1, 0), (-100, -100), (99, -1)];
    for (delta, expected) in steps {
        ensure_eq!(bucket.increment("n", delta).await?, expected, "the counter after adding {delta}");
        ensure_stored(&bucket, "n", Some(expected.to_string().as_bytes())).await?;
    }
    Ok(())
}

/// ATM-1: 300 random deltas of every magnitude, each result as arithmetic has it.
pub(super) async fn random_deltas(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut rng = cx.rng();
    let (mut expected, mut falls) = (0_i64, 0);
    for step in 0..300 {
        let delta = rng.random::<i64>() >> rng.random_range(1..64);
        let Some(next) = expected.checked_add(delta) else { continue };
        falls += usize::from(next < expected);
        expected = next;
        ensure_eq!(bucket.increment("n", delta).await?, expected, "step {step}, adding {delta}");
        if step % 10 == 0 {
            ensure_stored(&bucket, "n", Some(expected.to_string().as_bytes())).await?;
        }
    }
    ensure!(falls > 50, "expected: the counter falls at times; found: {falls} of 300 steps");
    ensure_stored(&bucket, "n", Some(expected.to_string().as_bytes())).await
}

/// ATM-1: both ends of `i64` are results and deltas like others.
pub(super) async fn extremes_are_reached(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let sums: [(Option<i64>, i64, i64); 8] = [
        (None, i64::MAX, i64::MAX),
        (None, i64::MIN, i64::MIN),
        (Some(0), i64::MIN, i64::MIN),
        (Some(i64::MAX - 1), 1, i64::MAX),
        (Some(i64::MIN + 1), -1, i64::MIN),
        (Some(i64::MAX), i64::MIN, -1),
        (Some(i64::MIN), i64::MAX, -1),
        (Some(-1), i64::MAX, i64::MAX - 1),
    ];
    for (at, (start, delta, expected)) in sums.into_iter().enumerate() {
        let key = format!("n{at}");
        if let Some(start) = start {
            bucket.set(&key, start.to_string()).await?;
        }
        ensure_eq!(bucket.increment(&key, delta).await?, expected, "{start:?} plus {delta}");
        ensure_stored(&bucket, &key, Some(expected.to_string().as_bytes())).await?;
    }
    Ok(())
}

/// ATM-2: `get`, `get_many` and a cas handle show a counter as canonical decimal text.
pub(super) async fn shown_as_decimal_text(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for number in EDGES {
        bucket.delete("n").await?;
        bucket.increment("n", number).await?;
        let text = number.to_string();
        ensure_stored(&bucket, "n", Some(text.as_bytes())).await?;
        let many = bucket.get_many(&["n"]).await?;
        ensure_eq!(many.into_iter().flatten().map(|value| value.to_vec()).collect::<Vec<_>>(), [text.as_bytes()]);
        let handle = bucket.cas("n").await?;
        super::stored::ensure_value("the handle's current", handle.current(), Some(text.as_bytes()))?;
    }
    Ok(())
}

/// ATM-2: `set` of canonical text makes a counter.
pub(super) async fn set_makes_a_counter(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for number in EDGES {
        let delta = if number > 0 { -1 } else { 1 };
        bucket.set("n", number.to_string()).await?;
        ensure_eq!(bucket.increment("n", delta).await?, number + delta, "{number} plus {delta}");
        ensure_stored(&bucket, "n", Some((number + delta).to_string().as_bytes())).await?;
    }
    // A longer text gives way to a shorter one, whole.
    bucket.set("n", "1000").await?;
    ensure_eq!(bucket.increment("n", -1).await?, 999);
    ensure_stored(&bucket, "n", Some(b"999")).await
}

/// ATM-2: text that came by any other write is a counter as well, and a counter is a value to every other write.
pub(super) async fn any_write_makes_a_counter(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_many([("n", "41"), ("m", "-1")]).await?;
    count_on(&bucket, "n", 42).await?;
    count_on(&bucket, "m", 0).await?;
    bucket.set_with_ttl("n", "99", Duration::from_secs(600)).await?;
    count_on(&bucket, "n", 100).await?;
    ensure_eq!(bucket.compare_and_swap("n", Some(b"100"), Some("-10".into())).await?, Swap::Swapped);
    count_on(&bucket, "n", -9).await?;
    match bucket.cas("n").await?.swap("7").await? {
        CasSwap::Swapped => count_on(&bucket, "n", 8).await,
        CasSwap::Lost(_) => Err(Stop::failed("expected: an undisturbed swap succeeds; found: it lost")),
    }
}

async fn count_on(bucket: &Bucket, key: &str, expected: i64) -> Outcome {
    ensure_eq!(bucket.increment(key, 1).await?, expected, "{key:?} incremented");
    ensure_stored(bucket, key, Some(expected.to_string().as_bytes())).await
}
