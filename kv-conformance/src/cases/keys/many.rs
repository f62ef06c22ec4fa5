use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand::RngExt;

use super::super::store::entries::{delete_each, ensure_holds, ensure_lists, ensure_same, listed, listed_by};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome};

/// NAM-1: every Unicode scalar value is ordinary: keys made of all 1,112,064, read and listed back byte for byte.
pub(super) async fn every_scalar_value(cx: &Context) -> Outcome {
    const SCALARS: usize = 1_112_064;
    const IN_A_KEY: usize = 128;
    const IN_A_BATCH: usize = 4_096;
    let scalars: Vec<char> = ('\0'..=char::MAX).collect();
    ensure_eq!(scalars.len(), SCALARS, "the number of scalar values");
    let expected: BTreeMap<String, Bytes> = scalars
        .chunks(IN_A_KEY)
        .enumerate()
        .map(|(at, some)| (some.iter().collect(), Bytes::from(format!("{at}"))))
        .collect();
    ensure_eq!(expected.len(), SCALARS.div_ceil(IN_A_KEY), "distinct keys made of all scalar values");
    let bucket = cx.bucket("b").await?;
    let entries: Vec<(&String, &Bytes)> = expected.iter().collect();
    for some in entries.chunks(IN_A_BATCH) {
        bucket.set_many(some.iter().map(|(key, value)| (key, (*value).clone()))).await?;
    }
    ensure_holds(&bucket, &expected).await
}

/// NAM-1: 10,000 random keys are listed back byte for byte, in pages of any size, and after reopening.
pub(super) async fn ten_thousand_random_keys(cx: &Context) -> Outcome {
    const KEYS: usize = 10_000;
    let mut rng = cx.rng();
    // Half from all scalar values, half from a few that a store could treat apart.
    let few: Vec<char> = "\0\u{1}\n :/\\*?[]{}%aA0.é\u{301}\u{ff}\u{10ffff}".chars().collect();
    let mut keys = BTreeSet::new();
    while keys.len() < KEYS {
        let len = rng.random_range(0..20);
        let of_few = rng.random_bool(0.5);
        let key: String = (0..len)
            .filter_map(|_| if of_few { few.get(rng.random_range(0..few.len())).copied() } else { Some(rng.random()) })
            .collect();
        keys.insert(key);
    }
    let expected: BTreeMap<String, Bytes> =
        keys.into_iter().enumerate().map(|(at, key)| (key, Bytes::from(format!("{at}")))).collect();
    let bucket = cx.bucket("b").await?;
    let entries: Vec<(&String, &Bytes)> = expected.iter().collect();
    for some in entries.chunks(1_000) {
        bucket.set_many(some.iter().map(|(key, value)| (key, (*value).clone()))).await?;
    }
    ensure_holds(&bucket, &expected).await?;
    let paged = listed_by(&bucket, "", Some(777)).await?;
    ensure_same("the keys over pages of 777", &paged, &expected.keys().collect::<Vec<_>>())?;
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    ensure_lists(&bucket, expected.keys()).await
}

/// NAM-1, LST-1: a listing's prefix selects by bytes and is never a pattern, a folder or a number.
pub(super) async fn prefixes_select_by_bytes(cx: &Context) -> Outcome {
    const PREFIXES: [&str; 34] = [
        "",
        "a",
        "A",
        "ab",
        "a*",
        "*",
        "?",
        "[",
        "[a]",
        "a:",
        "a/",
        "/",
        ":",
        "\0",
        "\0\0",
        "\u{1}",
        "\n",
        " ",
        "%",
        "%2F",
        "{a}",
        "\\",
        "é",
        "e\u{301}",
        "e",
        "\u{7f}",
        "\u{7ff}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
        "a\u{10ffff}",
        "absent",
    ];
    const TAILS: [&str; 9] = ["", "a", "*", "\0", "\u{10ffff}", ":", "/b", "é", "0"];
    let bucket = cx.bucket("b").await?;
    let beside = cx.bucket("a").await?;
    let keys: BTreeSet<String> = PREFIXES
        .iter()
        .filter(|prefix| **prefix != "absent")
        .flat_map(|prefix| TAILS.iter().map(move |tail| format!("{prefix}{tail}")))
        .collect();
    ensure!(keys.len() > 200, "expected: over 200 distinct keys; found: {}", keys.len());
    for of in [&bucket, &beside] {
        of.set_many(keys.iter().map(|key| (key, ""))).await?;
    }
    for prefix in PREFIXES {
        let expected: Vec<String> = keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
        let what = format!("the keys with the prefix {prefix:?}");
        ensure_same(&what, &listed(&bucket, prefix).await?, &expected)?;
        ensure_same(&format!("{what} in pages of 3"), &listed_by(&bucket, prefix, Some(3)).await?, &expected)?;
    }
    delete_each(&bucket, &keys.iter().filter(|key| key.starts_with('a')).collect::<Vec<_>>()).await?;
    ensure_eq!(listed(&bucket, "a").await?, Vec::<String>::new(), "the keys with a prefix whose keys were deleted");
    ensure_eq!(listed(&bucket, "*").await?.len(), keys.iter().filter(|key| key.starts_with('*')).count());
    Ok(())
}
