use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use kv_core::{Effect, Error, ErrorKind, GetOrSet};
use rand::RngExt;

use super::super::store::entries::{ensure_bytes, ensure_holds, joined, listed, noise, set_each};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// RW-2, LIM-1: values around every power of two up to 1 MiB, and around 64 KiB byte for byte.
pub(super) async fn sizes_around_thresholds(cx: &Context) -> Outcome {
    let mut sizes: Vec<usize> = (0..=20).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]).collect();
    sizes.extend([65_530, 65_531, 65_532, 65_533, 65_534, 100, 1_000, 16_000, 100_000, 200_000, 1 << 20]);
    sizes.sort_unstable();
    sizes.dedup();
    let expected: BTreeMap<String, Bytes> =
        sizes.iter().map(|len| (format!("{len:08}"), noise(*len as u64, *len))).collect();
    ensure!(expected.len() > 60, "expected: over 60 sizes; found: {}", expected.len());
    let bucket = cx.bucket("b").await?;
    set_each(&bucket, &expected.iter().collect::<Vec<_>>().iter().map(|(k, v)| (*k, (*v).clone())).collect::<Vec<_>>())
        .await?;
    ensure_holds(&bucket, &expected).await?;
    ensure_holds(&cx.reopen().await?.open_bucket("b").await?, &expected).await
}

/// LIM-1, DUR-1: a value of 16 MiB, over others and under others, and after reopening.
pub(super) async fn sixteen_mebibytes(cx: &Context) -> Outcome {
    let value = noise(16, 16 << 20);
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "small").await?;
    bucket.set("k", value.clone()).await?;
    bucket.set("l", "beside").await?;
    ensure_bytes("16 MiB", bucket.get("k").await?.as_ref(), &value)?;
    ensure!(bucket.exists("k").await?, "expected: the large value exists; found: it does not");
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    ensure_bytes("16 MiB after reopening", bucket.get("k").await?.as_ref(), &value)?;
    ensure_eq!(listed(&bucket, "").await?, ["k", "l"].map(String::from).to_vec());
    bucket.set("k", "small").await?;
    ensure_bytes("a small value over 16 MiB", bucket.get("k").await?.as_ref(), b"small")?;
    bucket.delete("k").await?;
    ensure_eq!(bucket.get("k").await?, None);
    ensure_bytes("the value beside", bucket.get("l").await?.as_ref(), b"beside")
}

/// LIM-1: a value of exactly 64 MiB is stored, read, and survives reopening.
pub(super) async fn at_the_value_limit(cx: &Context) -> Outcome {
    let most = cx.store().limits().value_bytes;
    ensure_eq!(most, 64 << 20, "the limit of a value's bytes");
    let value = noise(64, most);
    let bucket = cx.bucket("b").await?;
    bucket.set("k", value.clone()).await?;
    ensure_bytes("64 MiB", bucket.get("k").await?.as_ref(), &value)?;
    bucket.set("beside", "v").await?;
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    ensure_bytes("64 MiB after reopening", bucket.get("k").await?.as_ref(), &value)?;
    ensure_bytes("the value beside", bucket.get("beside").await?.as_ref(), b"v")?;
    ensure_eq!(listed(&bucket, "").await?, ["beside", "k"].map(String::from).to_vec());
    bucket.delete("k").await?;
    ensure_eq!(bucket.get("k").await?, None, "64 MiB after its deletion");
    Ok(())
}

/// LIM-2: a value one byte over the limit is refused by every write, which names the limit and changes nothing.
pub(super) async fn over_the_value_limit(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "old").await?;
    bucket.set("l", "old").await?;
    let most = cx.store().limits().value_bytes;
    let over = Bytes::from(vec![7; most + 1]);
    let mut refused: Vec<(&str, Option<Error>)> = vec![
        ("set", bucket.set("k", over.clone()).await.err()),
        ("set of an absent key", bucket.set("new", over.clone()).await.err()),
        (
            "set_many",
            bucket.set_many([("l", Bytes::from("new")), ("new", "new".into()), ("k", over.clone())]).await.err(),
        ),
    ];
    if cx.declared().atomic {
        let new = Some(over.clone().into());
        refused.push(("compare_and_swap", bucket.compare_and_swap("k", Some(b"old"), new).await.err()));
        let expected = bucket.compare_and_swap("k", Some(&over), Some("new".into())).await;
        refused.push(("compare_and_swap that expects it", expected.err()));
        refused.push(("swap", bucket.cas("k").await?.swap(over.clone()).await.err()));
    }
    if cx.declared().cache {
        refused.push(("set_with_ttl", bucket.set_with_ttl("k", over.clone(), Duration::from_secs(600)).await.err()));
        let GetOrSet::Vacant(vacancy) = bucket.get_or_set("vacant").await? else {
            return Err(Stop::failed("expected: an absent key is vacant; found: occupied"));
        };
        refused.push(("fill", vacancy.fill(over.clone(), None).await.err()));
    }
    for (call, error) in refused {
        let Some(error) = error else {
            return Err(Stop::failed(format_args!("{call} of {} bytes: expected an error, found success", over.len())));
        };
        ensure_eq!(error.kind(), ErrorKind::LimitExceeded, "the kind of {call} over the value limit");
        ensure_eq!(error.effect(), Effect::None, "the effect of {call} over the value limit");
        let text = error.to_string();
        ensure!(
            text.contains("value") && text.contains(&most.to_string()),
            "expected: {call} names the limit of a value, {most}; found: {text}"
        );
    }
    let expected = ["k", "l"].map(|key| (key.to_owned(), Bytes::from_static(b"old"))).into();
    ensure_holds(&bucket, &expected).await
}

/// RW-2: sixteen values of 2 MiB written at once and read at once through one handle; each is its own.
pub(super) async fn sixteen_large_at_once(cx: &Context) -> Outcome {
    const AT_ONCE: usize = 16;
    const LEN: usize = 2 << 20;
    let values: Arc<[Bytes]> = (0..AT_ONCE).map(|at| noise(at as u64, LEN)).collect();
    let bucket = cx.bucket("b").await?;
    // In the second round each key gets the value that was its neighbour's.
    for round in 0..2 {
        let writers = (0..AT_ONCE).zip(values.iter().cycle().skip(round)).map(|(at, value)| {
            let (bucket, value) = (bucket.clone(), value.clone());
            tokio::spawn(async move { Ok(bucket.set(&format!("{at}"), value).await?) })
        });
        for writer in writers.collect::<Vec<_>>() {
            joined(writer).await?;
        }
        let readers = (0..AT_ONCE).zip(values.iter().cycle().skip(round)).map(|(at, value)| {
            let (bucket, value) = (bucket.clone(), value.clone());
            tokio::spawn(async move {
                let found = bucket.get(&format!("{at}")).await?;
                ensure_bytes(&format!("value {at} of round {round}"), found.as_ref(), &value)
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            joined(reader).await?;
        }
    }
    ensure_eq!(listed(&bucket, "").await?.len(), AT_ONCE, "keys written");
    Ok(())
}

/// RW-2: large and small values by turns, each read at once by several, keep to their keys.
pub(super) async fn large_and_small_by_turns(cx: &Context) -> Outcome {
    const TURNS: u64 = 12;
    let bucket = cx.bucket("b").await?;
    for turn in 0..TURNS {
        let large = noise(turn, 300_000 + usize::try_from(turn).unwrap_or_default());
        let small = format!("small {turn}");
        tokio::try_join!(bucket.set("large", large.clone()), bucket.set("small", small.clone()))?;
        let keys = ["small", "large", "small", "absent", "large", "small"];
        let found = try_join_all(keys.iter().map(|key| bucket.get(key))).await?;
        ensure_eq!(found.len(), keys.len());
        for (key, found) in keys.iter().zip(&found) {
            match *key {
                "small" => ensure_bytes("the small value", found.as_ref(), small.as_bytes())?,
                "large" => ensure_bytes("the large value", found.as_ref(), &large)?,
                _ => ensure_eq!(*found, None, "the absent key between large and small values"),
            }
        }
        // And on one key: what was large is small now, and the other way round.
        bucket.set("either", if turn % 2 == 0 { large.clone() } else { small.clone().into() }).await?;
        let either = bucket.get("either").await?;
        ensure_bytes(
            "a key that is large and small by turns",
            either.as_ref(),
            if turn % 2 == 0 { &large } else { small.as_bytes() },
        )?;
    }
    Ok(())
}

/// RW-2, DUR-1: 400 random values of random sizes, some rewritten, are there after reopening.
pub(super) async fn random_values_after_reopening(cx: &Context) -> Outcome {
    const KEYS: usize = 400;
    let mut rng = cx.rng();
    let mut expected: BTreeMap<String, Bytes> = BTreeMap::new();
    for _ in 0..3 {
        let bucket = cx.bucket("b").await?;
        let entries: BTreeMap<String, Bytes> = (0..KEYS)
            .map(|_| {
                // Sizes spread over all magnitudes up to 128 KiB, small ones as likely as large ones.
                let most = 1_usize << rng.random_range(0..18);
                (format!("{}", rng.random_range(0..KEYS)), noise(rng.random(), rng.random_range(0..most)))
            })
            .collect();
        set_each(&bucket, &entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()).await?;
        expected.extend(entries);
        ensure_holds(&bucket, &expected).await?;
        cx.reopen().await?;
    }
    ensure!(expected.len() > KEYS / 2, "expected: over {} keys; found: {}", KEYS / 2, expected.len());
    ensure_holds(&cx.bucket("b").await?, &expected).await
}
