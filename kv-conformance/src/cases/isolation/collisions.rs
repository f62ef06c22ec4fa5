use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::future::try_join_all;
use rand::RngExt;

use super::super::store::entries::{buckets, ensure_bytes, ensure_holds, ensure_same, set_each};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome};

/// What a store could put between a bucket's name and a key, or before them.
const SEPARATORS: [&str; 26] = [
    ":",
    "::",
    "/",
    "\\",
    ".",
    "-",
    "_",
    "|",
    "#",
    "%",
    "%3A",
    "%2F",
    "\0",
    "\0\0",
    "\u{1}",
    "\u{2}",
    "\u{7f}",
    "\u{80}",
    "\u{ff}",
    "\u{10ffff}",
    "\n",
    "\t",
    " ",
    "{",
    "}",
    "=",
];

type Pair = (String, String);

/// Each pair holds its own value, each bucket lists its own keys, and each deletion takes one pair.
async fn pairs_apart(cx: &Context, pairs: &BTreeSet<Pair>) -> Outcome {
    let mut by_bucket: BTreeMap<&str, BTreeMap<String, Bytes>> = BTreeMap::new();
    for (at, (bucket, key)) in pairs.iter().enumerate() {
        by_bucket.entry(bucket).or_default().insert(key.clone(), format!("pair {at}").into());
    }
    for (name, entries) in &by_bucket {
        let entries: Vec<(&String, Bytes)> = entries.iter().map(|(key, value)| (key, value.clone())).collect();
        set_each(&cx.bucket(name).await?, &entries).await?;
    }
    ensure_apart(cx, &by_bucket).await?;
    cx.reopen().await?;
    ensure_apart(cx, &by_bucket).await?;
    // Every other pair goes, one at a time over all the buckets.
    for (name, key) in pairs.iter().step_by(2) {
        cx.bucket(name).await?.delete(key).await?;
        if let Some(entries) = by_bucket.get_mut(name.as_str()) {
            entries.remove(key);
        }
    }
    ensure_apart(cx, &by_bucket).await?;
    while let Some((name, _)) = by_bucket.pop_first() {
        cx.store().drop_bucket(name).await?;
        if by_bucket.len().is_multiple_of(8) {
            ensure_apart(cx, &by_bucket).await?;
        }
    }
    ensure_eq!(buckets(&cx.store()).await?, Vec::<String>::new(), "the buckets once all were dropped");
    Ok(())
}

async fn ensure_apart(cx: &Context, by_bucket: &BTreeMap<&str, BTreeMap<String, Bytes>>) -> Outcome {
    for (name, entries) in by_bucket {
        ensure_holds(&cx.bucket(name).await?, entries).await?;
    }
    let held: Vec<&str> = by_bucket.iter().filter(|(_, entries)| !entries.is_empty()).map(|(name, _)| *name).collect();
    ensure_same("the buckets", &buckets(&cx.store()).await?, &held)
}

fn pair(bucket: impl Into<String>, key: impl Into<String>) -> Pair {
    (bucket.into(), key.into())
}

/// NAM-3: pairs that meet if bucket and key are joined, with any separator or none, stay apart.
pub(super) async fn separator_collisions(cx: &Context) -> Outcome {
    let mut pairs: BTreeSet<Pair> = SEPARATORS
        .iter()
        .flat_map(|s| {
            [
                pair("a", format!("b{s}c")),
                pair(format!("a{s}b"), "c"),
                pair(format!("a{s}"), format!("{s}c")),
                pair("a", format!("{s}{s}c")),
                pair(format!("a{s}"), ""),
                pair("a", *s),
                pair("", format!("a{s}")),
                pair(*s, "a"),
            ]
        })
        .collect();
    // Joined without a separator, with lengths before, or with an escape for the separator.
    pairs.extend([
        pair("", "abc"),
        pair("a", "bc"),
        pair("ab", "c"),
        pair("abc", ""),
        pair("", ""),
        pair("1", "1a"),
        pair("11", "a"),
        pair("1a", "1"),
        pair("3:abc", "d"),
        pair("\u{1}a", "\u{1}b"),
        pair("a\\", ":c"),
        pair("a", "\\::c"),
        pair("a%3A", "c"),
        pair("\0\0\0\u{1}a", "b"),
        pair("a", "b\0"),
        pair("a\0b\0", "c"),
        pair("a", "b\0\0c"),
        pair("A", "bc"),
        pair("a ", "bc"),
    ]);
    ensure!(pairs.len() > 180, "expected: over 180 distinct pairs; found: {}", pairs.len());
    pairs_apart(cx, &pairs).await
}

/// NAM-3: 400 random pairs made of a few letters and separators, so that joined forms meet all the time.
pub(super) async fn random_pairs(cx: &Context) -> Outcome {
    const PAIRS: usize = 400;
    let mut rng = cx.rng();
    let letters: Vec<char> = "ab:/\0".chars().collect();
    let mut text = |most: usize| -> String {
        let len = rng.random_range(0..=most);
        (0..len).filter_map(|_| letters.get(rng.random_range(0..letters.len()))).collect()
    };
    let mut pairs = BTreeSet::new();
    while pairs.len() < PAIRS {
        pairs.insert(pair(text(2), text(4)));
    }
    let mut joined: Vec<String> = pairs.iter().map(|(bucket, key)| format!("{bucket}{key}")).collect();
    joined.sort_unstable();
    joined.dedup();
    ensure!(joined.len() < PAIRS, "expected: some pairs meet when joined; found: none, so the case tries nothing");
    pairs_apart(cx, &pairs).await
}

/// NAM-3, BKT-2: one key in 500 buckets has 500 values, before and after reopening in another order.
pub(super) async fn same_key_in_many_buckets(cx: &Context) -> Outcome {
    const BUCKETS: usize = 500;
    let store = cx.store();
    let names: Vec<String> = (0..BUCKETS).map(|at| format!("{at}")).collect();
    for some in names.chunks(64) {
        try_join_all(some.iter().map(|name| async { store.open_bucket(name).await?.set("k", name.as_str()).await }))
            .await?;
    }
    let store = cx.reopen().await?;
    for name in names.iter().rev() {
        let bucket = store.open_bucket(name).await?;
        ensure_bytes(&format!("k in bucket {name}"), bucket.get("k").await?.as_ref(), name.as_bytes())?;
    }
    let fresh = store.open_bucket("one more").await?;
    ensure_eq!(fresh.get("k").await?, None, "k in a bucket that never was");
    fresh.set("k", "fresh").await?;
    for name in &names {
        let bucket = store.open_bucket(name).await?;
        ensure_bytes(&format!("k in bucket {name}"), bucket.get("k").await?.as_ref(), name.as_bytes())?;
    }
    ensure_eq!(store.buckets().await?.len(), BUCKETS + 1, "the number of buckets");
    Ok(())
}
