use bytes::Bytes;
use kv_core::{Bucket, Effect, Error, Limits};

use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// Fails unless the refusal names the limit's value and says that nothing was done.
#[track_caller]
fn ensure_names(error: &Error, limit: usize) -> Outcome {
    ensure!(error.to_string().contains(&limit.to_string()), "expected: the limit {limit} is named; found: {error}");
    ensure_eq!(error.effect(), Effect::None, "the effect of a refused call");
    Ok(())
}

async fn keys_of(bucket: &Bucket) -> Result<Vec<String>, Stop> {
    let mut keys = bucket.keys("", None, 100).await?.keys;
    keys.sort();
    Ok(keys)
}

/// LIM-2: one entry over a limit, wherever it stands, and the whole batch is refused and changes nothing.
pub(super) async fn one_invalid_entry(cx: &Context) -> Outcome {
    const KEY: usize = 40;
    const VALUE: usize = 1_000;
    let lowered = Limits { key_bytes: KEY, value_bytes: VALUE, ..Limits::default() };
    let bucket = cx.store().with_limits(lowered)?.open_bucket("b").await?;
    bucket.set_many([("kept", "old"), ("doomed", "old")]).await?;
    let (long_key, long_value) = ("k".repeat(KEY + 1), "v".repeat(VALUE + 1));
    for at in 0..3 {
        for (bad, limit) in [((long_key.as_str(), "v"), KEY), (("bad", long_value.as_str()), VALUE)] {
            let mut entries = vec![("kept", "new"), ("created", "new")];
            entries.insert(at, bad);
            ensure_names(&ensure_kind!(bucket.set_many(entries).await, LimitExceeded), limit)?;
        }
        let mut keys = vec!["kept", "doomed"];
        keys.insert(at, &long_key);
        ensure_names(&ensure_kind!(bucket.delete_many(&keys).await, LimitExceeded), KEY)?;
        ensure_names(&ensure_kind!(bucket.get_many(&keys).await, LimitExceeded), KEY)?;
        ensure_eq!(keys_of(&bucket).await?, ["doomed", "kept"], "keys after a refused batch");
        ensure_eq!(bucket.get("kept").await?.as_deref(), Some(&b"old"[..]), "a value after a refused batch");
    }
    // With the contract's own limits too: the provider has to take what is just within.
    let bucket = cx.bucket("full size").await?;
    let longest = "k".repeat(Limits::default().key_bytes);
    let over = format!("{longest}k");
    ensure_kind!(bucket.set_many([("a", "1"), (over.as_str(), "2")]).await, LimitExceeded);
    ensure_eq!(keys_of(&bucket).await?.len(), 0, "keys after a refused batch");
    bucket.set_many([("a", "1"), (longest.as_str(), "2")]).await?;
    let found = bucket.get_many(&[longest.as_str(), "a"]).await?;
    ensure_eq!(found.first().and_then(Option::as_deref), Some(&b"2"[..]), "the value of the longest key");
    bucket.delete_many(&[longest.as_str()]).await?;
    ensure_eq!(keys_of(&bucket).await?, ["a"], "keys after the longest was deleted");
    Ok(())
}

/// LIM-1, LIM-2: lowered limits of a batch's entries and bytes hold to the one.
pub(super) async fn small_limits_exactly(cx: &Context) -> Outcome {
    let lowered = Limits { batch_entries: 4, batch_bytes: 40, ..Limits::default() };
    let bucket = cx.store().with_limits(lowered)?.open_bucket("b").await?;
    let entries = |count: usize| (0..count).map(|n| (format!("{n}"), "v"));
    ensure_names(&ensure_kind!(bucket.set_many(entries(5)).await, LimitExceeded), 4)?;
    // A repeated key counts each time that it stands there.
    ensure_names(&ensure_kind!(bucket.set_many([("a", "v"); 5]).await, LimitExceeded), 4)?;
    ensure_eq!(keys_of(&bucket).await?.len(), 0, "keys after refused batches");
    bucket.set_many(entries(4)).await?;
    ensure_eq!(keys_of(&bucket).await?.len(), 4, "keys of a batch of exactly the limit");
    ensure_names(&ensure_kind!(bucket.get_many(&["0", "1", "2", "3", "x"]).await, LimitExceeded), 4)?;
    ensure_eq!(bucket.get_many(&["0", "1", "2", "3"]).await?.iter().flatten().count(), 4);
    ensure_names(&ensure_kind!(bucket.delete_many(&["0", "1", "2", "3", "x"]).await, LimitExceeded), 4)?;
    ensure_eq!(keys_of(&bucket).await?.len(), 4, "keys after a refused delete");
    bucket.delete_many(&["0", "1", "2", "3"]).await?;
    ensure_eq!(keys_of(&bucket).await?.len(), 0, "keys after a delete of exactly the limit");

    // Keys and values together: 2 + 18 + 2 + 18.
    let value = "v".repeat(18);
    bucket.set_many([("aa", value.as_str()), ("bb", value.as_str())]).await?;
    let over = format!("{value}v");
    let refused = bucket.set_many([("cc", value.as_str()), ("dd", over.as_str())]).await;
    ensure_names(&ensure_kind!(refused, LimitExceeded), 40)?;
    ensure_eq!(keys_of(&bucket).await?, ["aa", "bb"], "keys after a batch of one byte too much");
    let key = "k".repeat(20);
    ensure_eq!(bucket.get_many(&[key.as_str(), key.as_str()]).await?.len(), 2);
    let long = format!("{key}k");
    ensure_names(&ensure_kind!(bucket.get_many(&[key.as_str(), long.as_str()]).await, LimitExceeded), 40)?;
    Ok(())
}

/// LIM-1: a batch of 65,536 entries is taken whole; one more is refused and changes nothing.
pub(super) async fn largest_batches(cx: &Context) -> Outcome {
    let most = Limits::default().batch_entries;
    let bucket = cx.bucket("b").await?;
    let key = |n: usize| format!("{n:x}");
    let over = bucket.set_many((0..=most).map(|n| (key(n), "v"))).await;
    ensure_names(&ensure_kind!(over, LimitExceeded), most)?;
    ensure_eq!(keys_of(&bucket).await?.len(), 0, "keys after a refused batch");
    bucket.set_many((0..most).map(|n| (key(n), key(n)))).await?;
    let mut keys: Vec<String> = (0..most).rev().map(key).collect();
    let found = bucket.get_many(&keys).await?;
    ensure_eq!(found.len(), most, "answers");
    let wrong = keys.iter().zip(&found).find(|(key, found)| found.as_deref() != Some(key.as_bytes()));
    ensure!(wrong.is_none(), "expected: each key's own value; found: {wrong:?}");
    keys.push("one more".to_owned());
    ensure_names(&ensure_kind!(bucket.get_many(&keys).await, LimitExceeded), most)?;
    ensure_names(&ensure_kind!(bucket.delete_many(&keys).await, LimitExceeded), most)?;
    ensure!(bucket.exists(&key(0)).await?, "expected: a refused delete deletes nothing; found: a key is gone");
    keys.pop();
    bucket.delete_many(&keys).await?;
    ensure_eq!(keys_of(&bucket).await?.len(), 0, "keys after all were deleted");
    Ok(())
}

/// LIM-1, BAT-1: a batch of exactly 64 MiB, keys and values together, is taken whole; one byte more is refused.
pub(super) async fn sixty_four_mib(cx: &Context) -> Outcome {
    const ENTRIES: usize = 64;
    const KEY_BYTES: usize = 4;
    let each = Limits::default().batch_bytes / ENTRIES;
    let fill = |n: usize| u8::try_from(n).unwrap_or_default();
    let bucket = cx.bucket("b").await?;
    let mut entries: Vec<(String, Bytes)> =
        (0..ENTRIES).map(|n| (format!("{n:04}"), Bytes::from(vec![fill(n); each - KEY_BYTES]))).collect();
    bucket.set_many(entries.iter().cloned()).await?;
    let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    for (n, found) in bucket.get_many(&keys).await?.into_iter().enumerate() {
        let found = found.unwrap_or_default();
        let strange = found.iter().position(|byte| *byte != fill(n));
        ensure!(
            found.len() == each - KEY_BYTES && strange.is_none(),
            "expected: entry {n} holds {} bytes of its own; found: {} bytes, strange from {strange:?}",
            each - KEY_BYTES,
            found.len()
        );
    }
    if let Some((key, _)) = entries.last_mut() {
        key.push('+');
    }
    let over = bucket.set_many(entries).await;
    ensure_names(&ensure_kind!(over, LimitExceeded), Limits::default().batch_bytes)?;
    ensure_eq!(keys_of(&bucket).await?.len(), ENTRIES, "keys after a refused batch");
    bucket.delete_many(&keys).await?;
    ensure_eq!(keys_of(&bucket).await?.len(), 0, "keys after all were deleted");
    Ok(())
}

/// LIM-2: a reply over its limit is refused in the contract's words, one of exactly the limit is given.
pub(super) async fn reply_at_its_limit(cx: &Context) -> Outcome {
    let full = cx.bucket("b").await?;
    let sizes = [0, 100, 250, 150];
    full.set_many(sizes.map(|size| (format!("{size}"), vec![b'v'; size]))).await?;
    let low = |reply_bytes| cx.store().with_limits(Limits { reply_bytes, ..Limits::default() });
    let asked = ["250", "0", "absent", "100", "150"];
    for limit in [500, 501, 5_000] {
        let found = low(limit)?.open_bucket("b").await?.get_many(&asked).await?;
        let found: Vec<_> = found.iter().map(|found| found.as_deref().map(<[u8]>::len)).collect();
        ensure_eq!(found, [Some(250), Some(0), None, Some(100), Some(150)], "sizes within the limit {limit}");
    }
    for (limit, asked) in [
        (499, &asked[..]),
        (249, &asked),
        (0, &asked),
        (400, &["250", "100", "100"]),
        (749, &["250", "250", "250"]),
        (99, &["absent", "100"]),
    ] {
        let found = low(limit)?.open_bucket("b").await?.get_many(asked).await;
        let error = ensure_kind!(found, LimitExceeded);
        ensure_eq!(error.to_string(), format!("query result exceeds limit of {limit} bytes"));
        ensure_eq!(error.effect(), Effect::None, "the effect of a refused read");
    }
    let low = low(149)?.open_bucket("b").await?;
    ensure_eq!(low.get("100").await?.map(|found| found.len()), Some(100));
    let error = ensure_kind!(low.get("150").await, LimitExceeded);
    ensure_eq!(error.to_string(), "query result exceeds limit of 149 bytes");
    ensure_eq!(full.get_many(&asked).await?.len(), asked.len(), "answers under the contract's own limit");
    // Long batches take another way in some providers: each value once too often.
    let many = vec!["100"; 2_000];
    let lowered = Limits { reply_bytes: 199_999, ..Limits::default() };
    let low = cx.store().with_limits(lowered)?.open_bucket("b").await?;
    ensure_kind!(low.get_many(&many).await, LimitExceeded);
    ensure_eq!(full.get_many(&many).await?.iter().flatten().count(), many.len());
    Ok(())
}
