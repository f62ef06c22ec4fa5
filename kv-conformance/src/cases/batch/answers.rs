use kv_core::{Bucket, IncomingValue, Limits};
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::check::{ensure, ensure_eq, ensure_kind, show};
use crate::{Context, Outcome, Stop};

/// What a batch answered, as text.
fn texts(found: &[Option<IncomingValue>]) -> Vec<Option<String>> {
    found.iter().map(|found| found.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())).collect()
}

/// Fails unless reading these keys in one batch gives these values in this order.
async fn ensure_reads(bucket: &Bucket, keys: &[&str], expected: &[Option<&str>]) -> Outcome {
    let found = bucket.get_many(keys).await?;
    let expected: Vec<_> = expected.iter().map(|value| value.map(str::to_owned)).collect();
    ensure_eq!(texts(&found), expected, "the values of {keys:?}");
    Ok(())
}

/// BAT-1: as many results as keys, in the order asked, repeated keys repeated, absent ones `None`.
pub(super) async fn get_many_is_positional(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_many([("a", "1"), ("b", "2"), ("c", "3"), ("", "empty"), ("a\0b", "nul"), ("é", "4")]).await?;
    let (one, two, three) = (Some("1"), Some("2"), Some("3"));
    ensure_reads(&bucket, &["a", "b", "c"], &[one, two, three]).await?;
    ensure_reads(&bucket, &["c", "b", "a"], &[three, two, one]).await?;
    ensure_reads(&bucket, &["b", "a", "b", "b", "a"], &[two, one, two, two, one]).await?;
    ensure_reads(&bucket, &["x", "a", "y", "x", "c", "z"], &[None, one, None, None, three, None]).await?;
    ensure_reads(&bucket, &["a"], &[one]).await?;
    ensure_reads(&bucket, &["x"], &[None]).await?;
    ensure_reads(&bucket, &["x", "x", "x"], &[None, None, None]).await?;
    ensure_reads(
        &bucket,
        &["é", "", "a\0b", "e", "a\0", ""],
        &[Some("4"), Some("empty"), Some("nul"), None, None, Some("empty")],
    )
    .await?;
    ensure_reads(&cx.bucket("c").await?, &["a", "b"], &[None, None]).await
}

/// BAT-1, RW-4: random batches say of each key what `get` and `exists` say.
pub(super) async fn get_many_agrees_with_get(cx: &Context) -> Outcome {
    let mut rng = cx.rng();
    let bucket = cx.bucket("b").await?;
    let keys: Vec<String> = (0..40).map(|n| format!("key {n}")).collect();
    for round in 0..25 {
        let entries: Vec<_> =
            keys.iter().filter(|_| rng.random_bool(0.3)).map(|key| (key, format!("{round}"))).collect();
        bucket.set_many(entries).await?;
        let doomed: Vec<_> = keys.iter().filter(|_| rng.random_bool(0.2)).collect();
        bucket.delete_many(&doomed).await?;
        let asked: Vec<&String> = (0..60).filter_map(|_| keys.get(rng.random_range(0..keys.len()))).collect();
        let found = bucket.get_many(&asked).await?;
        ensure_eq!(found.len(), asked.len(), "answers");
        for (key, found) in asked.iter().zip(found) {
            let one = bucket.get(key).await?;
            ensure_eq!(found.as_deref().map(show), one.as_deref().map(show), "{key:?} in a batch and alone");
            ensure_eq!(bucket.exists(key).await?, one.is_some(), "whether {key:?} exists");
        }
    }
    Ok(())
}

/// BAT-1, LIM-2: reads around the sizes at which providers cut them into slices: each answer in its place, and the
/// reply's limit counted over all slices.
pub(super) async fn longer_and_longer_reads(cx: &Context) -> Outcome {
    const VALUE_BYTES: usize = 10;
    let bucket = cx.bucket("b").await?;
    let mut asked: Vec<String> = (0..1_025).map(|n| format!("key {n}")).collect();
    asked.shuffle(&mut cx.rng());
    let is_there = |key: &str| !key.ends_with('7');
    let value = |key: &str| format!("{key:VALUE_BYTES$}");
    let stored = asked.iter().filter(|key| is_there(key)).map(|key| (key, value(key)));
    bucket.set_many(stored.collect::<Vec<_>>()).await?;
    for count in [1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130, 255, 256, 257, 511, 512, 513, 1_023, 1_024, 1_025] {
        let asked = asked.get(..count).unwrap_or_default();
        let expected: Vec<_> = asked.iter().map(|key| is_there(key).then(|| value(key))).collect();
        let bytes = expected.iter().flatten().count() * VALUE_BYTES;
        let low = |reply_bytes| cx.store().with_limits(Limits { reply_bytes, ..Limits::default() });
        let found = low(bytes)?.open_bucket("b").await?.get_many(asked).await?;
        ensure_eq!(texts(&found), expected, "the values of {count} keys");
        if let Some(too_low) = bytes.checked_sub(1) {
            ensure_kind!(low(too_low)?.open_bucket("b").await?.get_many(asked).await, LimitExceeded);
        }
    }
    Ok(())
}

/// BAT-1, RW-1: empty values, small ones and large ones in one batch, each itself; the empty one is a value.
pub(super) async fn mixed_sizes(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let sizes = [0, 1, 0, 65_535, 65_536, 65_537, 2, 300_000, 0, 1 << 20, 100];
    let entry = |n: usize, size: usize| (format!("{n}"), vec![u8::try_from(n).unwrap_or_default(); size]);
    bucket.set_many(sizes.iter().enumerate().map(|(n, size)| entry(n, *size))).await?;
    let mut asked: Vec<String> = (0..sizes.len()).map(|n| n.to_string()).collect();
    asked.push("absent".to_owned());
    asked.extend((0..sizes.len()).rev().map(|n| n.to_string()));
    let found = bucket.get_many(&asked).await?;
    ensure_eq!(found.len(), asked.len(), "answers");
    for (key, found) in asked.iter().zip(found) {
        let Ok(n) = key.parse::<usize>() else {
            ensure_eq!(found, None, "an absent key between values");
            continue;
        };
        let (_, expected) = entry(n, sizes.get(n).copied().unwrap_or_default());
        ensure!(
            found.as_deref() == Some(&*expected),
            "expected: {} bytes under {key:?}; found: {:?}",
            expected.len(),
            found.as_deref().map(show)
        );
    }
    Ok(())
}

/// BAT-2: of a repeated key the last entry counts, wherever the others stand and whatever their sizes.
pub(super) async fn last_of_a_repeated_key(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_many([("a", "1"), ("a", "2")]).await?;
    ensure_reads(&bucket, &["a"], &[Some("2")]).await?;
    bucket.set_many([("a", "3"), ("b", "1"), ("a", "4"), ("c", "1"), ("b", "2"), ("a", "5")]).await?;
    ensure_reads(&bucket, &["a", "b", "c"], &[Some("5"), Some("2"), Some("1")]).await?;
    bucket.set_many([("a", "a long value"), ("a", "")]).await?;
    ensure_reads(&bucket, &["a"], &[Some("")]).await?;
    bucket.set_many([("a", "z"), ("a", "y"), ("a", "x")]).await?;
    ensure_reads(&bucket, &["a"], &[Some("x")]).await?;
    // Long batches take another way in some providers.
    bucket.set_many((0..3_000).map(|n| (format!("{}", n % 7), format!("{n}")))).await?;
    for n in 0..7 {
        let last = (0..3_000).rev().find(|found| found % 7 == n).map(|last| last.to_string());
        let found = bucket.get(&n.to_string()).await?;
        ensure_eq!(texts(&[found]), [last], "the last of many entries of one key");
    }
    ensure_eq!(bucket.keys("", None, 100).await?.keys.len(), 10, "keys after repeats");
    Ok(())
}

/// RW-2: entries of a batch replace whole values, longer and shorter ones, and touch no other key.
pub(super) async fn set_many_overwrites(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_many([("a", "a long old value"), ("b", "s"), ("ab", "neighbour"), ("c", "other")]).await?;
    bucket.set_many([("a", "new"), ("b", "a longer new value"), ("d", "created")]).await?;
    ensure_reads(
        &bucket,
        &["a", "b", "ab", "c", "d"],
        &[Some("new"), Some("a longer new value"), Some("neighbour"), Some("other"), Some("created")],
    )
    .await?;
    let again = cx.bucket("b").await?;
    ensure_eq!(again.get("a").await?.as_deref(), Some(&b"new"[..]), "through another handle");
    ensure_eq!(cx.bucket("c").await?.get("a").await?, None, "in another bucket");
    Ok(())
}

/// BAT-2, RW-3: deleting passes over absent and repeated keys and touches no other.
pub(super) async fn delete_passes_over(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let keys = ["a", "ab", "a:", "a/", "b", "", "c"];
    let refill = || bucket.set_many(keys.map(|key| (key, "v")));
    for doomed in [&["a"][..], &["a", "a", "a"], &["x", "a", "y", "a"], &["x", "y", "x"], &["", "", "b"], &["x"]] {
        refill().await?;
        bucket.delete_many(doomed).await?;
        let expected: Vec<_> = keys.iter().map(|key| (!doomed.contains(key)).then_some("v")).collect();
        ensure_reads(&bucket, &keys, &expected).await?;
    }
    bucket.delete_many(&keys).await?;
    bucket.delete_many(&keys).await?;
    ensure_eq!(bucket.keys("", None, 100).await?.keys.len(), 0, "keys after all were deleted twice");
    ensure!(!cx.store().buckets().await?.contains(&"b".to_owned()), "expected: an emptied bucket is not listed");
    Ok(())
}

/// BAT-3: an empty batch is `Ok` and changes nothing, and so is one that finds nothing to do; an empty one reaches no
/// backend, so it is `Ok` also where every other call fails.
pub(super) async fn empty_batches(cx: &Context) -> Outcome {
    const NONE: [&str; 0] = [];
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let empties = || async {
        ensure_eq!(bucket.get_many(&NONE).await?.len(), 0, "answers to no question");
        bucket.set_many::<&str, &str>([]).await?;
        bucket.delete_many(&NONE).await?;
        Ok::<(), Stop>(())
    };
    empties().await?;
    bucket.delete_many(&["absent"]).await?;
    bucket.delete_many(&["absent", "gone"]).await?;
    ensure_reads(&bucket, &["absent"], &[None]).await?;
    ensure_eq!(bucket.keys("", None, 10).await?.keys, ["k"]);
    let untouched = cx.bucket("never written").await?;
    untouched.delete_many(&["absent"]).await?;
    ensure_eq!(cx.store().buckets().await?, ["b"], "buckets");
    cx.store().close().await?;
    let closed = bucket.delete_many(&["k"]).await;
    ensure!(closed.is_err(), "expected: a closed store refuses a delete; found: success");
    empties().await
}

/// BAT-1, BAT-2: 10,000 entries in one batch, read back in another order, in part overwritten, and deleted.
pub(super) async fn ten_thousand(cx: &Context) -> Outcome {
    const COUNT: usize = 10_000;
    let bucket = cx.bucket("b").await?;
    let value = |n: usize| format!("value of {n}");
    let mut order: Vec<usize> = (0..COUNT).collect();
    bucket.set_many(order.iter().map(|n| (format!("k{n}"), value(*n)))).await?;
    order.shuffle(&mut cx.rng());
    let asked: Vec<String> = order.iter().map(|n| format!("k{n}")).collect();
    let found = bucket.get_many(&asked).await?;
    ensure_eq!(found.len(), COUNT, "answers");
    for (n, found) in order.iter().zip(&found) {
        ensure_eq!(found.as_deref(), Some(value(*n).as_bytes()), "the value of k{n}");
    }
    let (first, rest) = asked.split_at(COUNT / 2);
    bucket.delete_many(first).await?;
    let found = bucket.get_many(&asked).await?;
    let wrong = found.iter().enumerate().find(|(at, found)| found.is_some() != (*at >= first.len()));
    ensure!(wrong.is_none(), "expected: one half is deleted; found: entry {:?} is not so", wrong.map(|(at, _)| at));
    let page = bucket.keys("", None, 10_000).await?;
    ensure_eq!(page.keys.len(), rest.len(), "keys that are left");
    bucket.delete_many(&asked).await?;
    ensure_eq!(bucket.keys("", None, 10).await?.keys.len(), 0, "keys after all were deleted");
    Ok(())
}
