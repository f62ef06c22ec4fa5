use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kv_core::{CasSwap, Ttl};

use super::super::store::entries::{buckets, ensure_bytes, ensure_holds, ensure_same, listed, listed_by};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome};

/// Entries of a bucket that tell whose they are.
async fn furnish(cx: &Context, name: &str, keys: &[&str]) -> Result<BTreeMap<String, Bytes>, crate::Stop> {
    let entries: BTreeMap<String, Bytes> =
        keys.iter().map(|key| ((*key).to_owned(), Bytes::from(format!("{key} of {name}")))).collect();
    let bucket = cx.bucket(name).await?;
    bucket.set_many(entries.iter().map(|(key, value)| (key, value.clone()))).await?;
    Ok(entries)
}

/// Drops each bucket in turn; the others keep what they hold.
async fn drop_in_turn(cx: &Context, names: &[&str], keys: &[&str]) -> Outcome {
    let mut expected = BTreeMap::new();
    for name in names {
        expected.insert((*name).to_owned(), furnish(cx, name, keys).await?);
    }
    ensure_eq!(expected.len(), names.len(), "the buckets of this case are distinct: how many there are");
    for name in names {
        cx.store().drop_bucket(name).await?;
        expected.remove(*name);
        let held: Vec<&String> = expected.keys().collect();
        ensure_same(&format!("the buckets once {name:?} was dropped"), &buckets(&cx.store()).await?, &held)?;
        ensure_eq!(
            listed(&cx.bucket(name).await?, "").await?,
            Vec::<String>::new(),
            "the keys of the dropped {name:?}"
        );
        for (other, entries) in &expected {
            ensure_holds(&cx.bucket(other).await?, entries).await?;
        }
    }
    Ok(())
}

/// NAM-3, BKT-3: a bucket whose name is a pattern is a plain one: it lists and drops nothing of those it matches.
pub(super) async fn glob_names_are_plain(cx: &Context) -> Outcome {
    const NAMES: [&str; 20] = [
        "*", "?", "a*", "[ab]", "[^x]", "\\*", "{a,b}", "a?", "**", "*:*", "%", "_", "^", ".*", "a", "b", "ab", "abc",
        "x", "a:b",
    ];
    const KEYS: [&str; 8] = ["*", "?", "a", "b:c", "[ab]", "\\*", "", "k"];
    drop_in_turn(cx, &NAMES, &KEYS).await
}

/// BKT-3, NAM-3: dropping a bucket leaves those alone whose names begin with its own, or differ by little.
pub(super) async fn drop_keeps_neighbours(cx: &Context) -> Outcome {
    const NAMES: [&str; 24] = [
        "a",
        "",
        "aa",
        "ab",
        "abc",
        "a:",
        "a:b",
        "a/",
        "a/b",
        "a\0",
        "a\0b",
        "\0",
        "a ",
        "A",
        "a.",
        "a-",
        "a\u{1}",
        "a\u{10ffff}",
        "b",
        "1",
        "10",
        "100",
        "0",
        "a\\",
    ];
    const KEYS: [&str; 9] = ["", "a", "b", "b:c", ":b", "k", "a:", "\0", "0"];
    drop_in_turn(cx, &NAMES, &KEYS).await
}

/// NAM-3, LST-1: a listing of one bucket shows its keys alone, in pages of any size, with full neighbours around it.
pub(super) async fn listing_shows_its_own(cx: &Context) -> Outcome {
    const NAMES: [&str; 6] = ["m", "l", "n", "ma", "m\0", ""];
    const KEYS: usize = 300;
    for name in NAMES {
        let bucket = cx.bucket(name).await?;
        bucket.set_many((0..KEYS).map(|at| (format!("{at:03} of {name}"), ""))).await?;
    }
    for name in NAMES {
        let bucket = cx.bucket(name).await?;
        let expected: Vec<String> = (0..KEYS).map(|at| format!("{at:03} of {name}")).collect();
        for page in [None, Some(1), Some(7), Some(KEYS), Some(KEYS + 1)] {
            let found = listed_by(&bucket, "", page).await?;
            ensure_same(&format!("the keys of {name:?} in pages of {page:?}"), &found, &expected)?;
        }
        ensure_eq!(listed(&bucket, "29").await?.len(), 10, "keys of {name:?} with a prefix");
    }
    // An empty bucket between full ones lists nothing.
    for between in ["m\u{1}", "lz", "a", "z"] {
        ensure_eq!(listed(&cx.bucket(between).await?, "").await?, Vec::<String>::new(), "the keys of an empty bucket");
    }
    Ok(())
}

/// NAM-3, LST-1: a prefix never reaches into a bucket whose name and key only look like it when joined.
pub(super) async fn prefixes_do_not_cross(cx: &Context) -> Outcome {
    furnish(cx, "a", &["b", "bb", "c"]).await?;
    furnish(cx, "ab", &["", "b", "c", "bc"]).await?;
    furnish(cx, "a:b", &["b", "c"]).await?;
    furnish(cx, "", &["a", "ab", "a:b", "abb"]).await?;
    let found = |name: &'static str, prefix: &'static str| async move { listed(&cx.bucket(name).await?, prefix).await };
    for (name, prefix, expected) in [
        ("a", "b", vec!["b", "bb"]),
        ("a", ":", vec![]),
        ("a", "", vec!["b", "bb", "c"]),
        ("ab", "b", vec!["b", "bc"]),
        ("ab", "", vec!["", "b", "bc", "c"]),
        ("a:b", "", vec!["b", "c"]),
        ("a:", "b", vec![]),
        ("", "a", vec!["a", "a:b", "ab", "abb"]),
        ("", "ab", vec!["ab", "abb"]),
        ("", "b", vec![]),
        ("b", "", vec![]),
    ] {
        ensure_eq!(found(name, prefix).await?, expected, "the keys of {name:?} with the prefix {prefix:?}");
    }
    Ok(())
}

/// NAM-3, BAT-2: batches write, read and delete in their own bucket alone.
pub(super) async fn batches_stay_in_their_bucket(cx: &Context) -> Outcome {
    const KEYS: [&str; 6] = ["", "k", "b:k", ":k", "\0k", "*"];
    let mut expected = BTreeMap::new();
    for name in ["a", "b", "a:b", "", "*"] {
        expected.insert(name, furnish(cx, name, &KEYS).await?);
    }
    let (a, b) = (cx.bucket("a").await?, cx.bucket("b").await?);
    a.delete_many(&KEYS).await?;
    expected.insert("a", BTreeMap::new());
    ensure_eq!(a.get_many(&KEYS).await?, vec![None; KEYS.len()], "get_many in the emptied bucket");
    for (name, entries) in &expected {
        ensure_holds(&cx.bucket(name).await?, entries).await?;
    }
    // Two batches on the same keys of two buckets at once.
    let (first, second) = tokio::join!(a.set_many(KEYS.map(|key| (key, "a"))), b.set_many(KEYS.map(|key| (key, "b"))));
    first?;
    second?;
    for (bucket, value) in [(&a, "a"), (&b, "b")] {
        let all: BTreeMap<String, Bytes> = KEYS.map(|key| (key.to_owned(), Bytes::from(value))).into();
        ensure_holds(bucket, &all).await?;
    }
    Ok(())
}

/// NAM-3, CAS-2: counters and handles on one key of several buckets do not disturb one another.
pub(super) async fn counters_and_handles_stay_apart(cx: &Context) -> Outcome {
    const NAMES: [&str; 6] = ["a", "b", "ab", "a:", "", "A"];
    for (at, name) in (1..).zip(NAMES) {
        let bucket = cx.bucket(name).await?;
        for count in 1..=3 {
            ensure_eq!(bucket.increment("n", at).await?, at * count, "the counter of {name:?}");
        }
    }
    let mut handles = Vec::new();
    for name in NAMES {
        handles.push((name, cx.bucket(name).await?.cas("n").await?));
    }
    for (at, (name, handle)) in handles.into_iter().enumerate() {
        // The swaps before this one wrote the same key in other buckets.
        let swapped = matches!(handle.swap(format!("{at}")).await?, CasSwap::Swapped);
        ensure!(swapped, "expected: the handle of {name:?} swaps; found: a write to another bucket made it fail");
    }
    for (at, name) in NAMES.into_iter().enumerate() {
        let found = cx.bucket(name).await?.get("n").await?;
        ensure_bytes(&format!("what was swapped in {name:?}"), found.as_ref(), format!("{at}").as_bytes())?;
    }
    Ok(())
}

/// NAM-3, TTL-2: a deadline in one bucket takes no entry of another, nor a new one under its own name.
pub(super) async fn deadlines_stay_apart(cx: &Context) -> Outcome {
    let (a, b, joined) = (cx.bucket("a").await?, cx.bucket("b").await?, cx.bucket("a:k").await?);
    a.set_with_ttl("k", "goes", Duration::from_millis(40)).await?;
    b.set("k", "stays").await?;
    joined.set("", "stays").await?;
    a.set("k2", "stays").await?;
    ensure_eq!(b.ttl("k").await?, Ttl::Forever, "the deadline of the same key in another bucket");
    let dropped = cx.bucket("dropped").await?;
    dropped.set_with_ttl("k", "goes", Duration::from_millis(40)).await?;
    cx.store().drop_bucket("dropped").await?;
    // The deadline went with its bucket: what stands under the key now is another entry.
    dropped.set("k", "stays").await?;
    let until = Instant::now() + Duration::from_secs(5);
    while a.exists("k").await? {
        ensure!(Instant::now() < until, "expected: the entry expires; found: it exists 5 s later");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A second entry with a later deadline: when it is gone, everything due before it has been dealt with.
    a.set_with_ttl("later", "goes", Duration::from_millis(60)).await?;
    while a.exists("later").await? {
        ensure!(Instant::now() < until, "expected: the entry expires; found: it exists 5 s later");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (what, bucket, key) in [("b", &b, "k"), ("a:k", &joined, ""), ("a", &a, "k2"), ("dropped", &dropped, "k")] {
        ensure_bytes(&format!("{key:?} in {what:?}"), bucket.get(key).await?.as_ref(), b"stays")?;
        ensure_eq!(bucket.ttl(key).await?, Ttl::Forever, "the deadline of {key:?} in {what:?}");
    }
    Ok(())
}
