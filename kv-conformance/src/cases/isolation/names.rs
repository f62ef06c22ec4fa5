use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::future::try_join_all;
use kv_core::Effect;

use super::super::store::entries::{buckets, ensure_bytes, ensure_holds, ensure_same, listed};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome};

/// Each name is a bucket of its own, listed byte for byte, before and after reopening and as the others go.
async fn names_apart(cx: &Context, names: impl IntoIterator<Item = impl Into<String>>) -> Outcome {
    let given: Vec<String> = names.into_iter().map(Into::into).collect();
    let mut names: BTreeSet<String> = given.iter().cloned().collect();
    ensure_eq!(names.len(), given.len(), "the names of this case are distinct: how many there are");
    ensure!(!names.is_empty(), "expected: names to try; found: none");
    let store = cx.store();
    for some in given.chunks(64) {
        try_join_all(some.iter().map(|name| async {
            let bucket = store.open_bucket(name).await?;
            bucket.set_many([("whose", name.as_str()), (name.as_str(), "named after it")]).await
        }))
        .await?;
    }
    ensure_named(cx, &names).await?;
    cx.reopen().await?;
    ensure_named(cx, &names).await?;
    let store = cx.store();
    for gone in given.iter().step_by(2) {
        store.drop_bucket(gone).await?;
        names.remove(gone);
    }
    ensure_named(cx, &names).await?;
    for gone in given.iter().step_by(2) {
        let bucket = store.open_bucket(gone).await?;
        ensure_eq!(listed(&bucket, "").await?, Vec::<String>::new(), "the keys of the dropped {gone:?}");
    }
    try_join_all(given.iter().map(|name| store.drop_bucket(name))).await?;
    ensure_eq!(buckets(&store).await?, Vec::<String>::new(), "the buckets once all were dropped");
    Ok(())
}

async fn ensure_named(cx: &Context, names: &BTreeSet<String>) -> Outcome {
    let found = buckets(&cx.store()).await?;
    ensure_same("the buckets' names", &found, &names.iter().collect::<Vec<_>>())?;
    for name in names {
        let bucket = cx.bucket(name).await?;
        ensure_eq!(bucket.name(), name);
        let expected: BTreeMap<String, Bytes> = [
            ("whose".to_owned(), Bytes::copy_from_slice(name.as_bytes())),
            (name.clone(), Bytes::from_static(b"named after it")),
        ]
        .into();
        ensure_holds(&bucket, &expected).await?;
    }
    Ok(())
}

/// NAM-1: every string is a bucket's name, byte for byte: ASCII codes, separators, paths, normal forms, extremes.
pub(super) async fn names_of_every_kind(cx: &Context) -> Outcome {
    let codes = (0..128_u8).map(|code| char::from(code).to_string());
    let more = [
        "aa",
        "a\0",
        "\0a",
        "a\0b",
        "a ",
        " a",
        "a\n",
        "a:b",
        "a/b",
        "a//b",
        "../a",
        "a/..",
        "..",
        "a.b",
        "a\\b",
        "%2F",
        "%00",
        "{a}",
        "{a}b",
        "é",
        "e\u{301}",
        "Å",
        "\u{212b}",
        "ß",
        "ss",
        "SS",
        "ﬁ",
        "fi",
        "İ",
        "ı",
        "01",
        "1.0",
        "-1",
        "con",
        "NUL",
        "\u{feff}",
        "\u{feff}a",
        "\u{10ffff}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{ffff}",
        "\u{7ff}",
        "👩\u{200d}👧",
        "שלום",
        "\u{202e}a",
    ];
    names_apart(cx, codes.chain(more.map(String::from))).await
}

/// NAM-2: the empty name is a bucket like any other.
pub(super) async fn the_empty_name(cx: &Context) -> Outcome {
    let (empty, other) = (cx.bucket("").await?, cx.bucket("other").await?);
    ensure_eq!(empty.name(), "");
    other.set("k", "other").await?;
    ensure_eq!(empty.get("k").await?, None);
    empty.set("k", "empty").await?;
    empty.set("", "both empty").await?;
    ensure_eq!(buckets(&cx.store()).await?, ["", "other"].map(String::from).to_vec());
    let store = cx.reopen().await?;
    let (empty, other) = (store.open_bucket("").await?, store.open_bucket("other").await?);
    let expected: BTreeMap<String, Bytes> =
        [("k".to_owned(), Bytes::from("empty")), (String::new(), Bytes::from("both empty"))].into();
    ensure_holds(&empty, &expected).await?;
    ensure_bytes("the other bucket's entry", other.get("k").await?.as_ref(), b"other")?;
    store.drop_bucket("").await?;
    ensure_eq!(buckets(&store).await?, vec!["other".to_owned()]);
    ensure_bytes("the other bucket's entry", other.get("k").await?.as_ref(), b"other")?;
    empty.set("again", "1").await?;
    store.drop_bucket("other").await?;
    ensure_eq!(listed(&empty, "").await?, vec!["again".to_owned()]);
    Ok(())
}

/// NAM-3: names that a store, an engine or a file system uses itself are free for buckets.
pub(super) async fn internal_bucket_names(cx: &Context) -> Outcome {
    names_apart(
        cx,
        [
            "__sled__default",
            "default",
            "_default",
            "__default__",
            "meta",
            "_meta",
            "__meta",
            "metadata",
            "system",
            "sys",
            "internal",
            "kv",
            "kv:",
            "buckets",
            "bucket",
            "index",
            "ttl",
            "deadlines",
            "expiry",
            "counters",
            "watch",
            "journal",
            "tokens",
            "lock",
            "LOCK",
            "CURRENT",
            "LOG",
            "MANIFEST",
            "db",
            "conf",
            "blobs",
            "snap",
            "data",
            "tmp",
            "lost+found",
            ".",
            "..",
            ".lock",
            "~",
            "0",
            "1",
            "00000001",
            "\0",
            "\0meta",
            "\u{1}",
            "\u{ff}",
            "null",
            "undefined",
            "none",
            "test",
            "local",
            "admin",
            "config",
            "information_schema",
            "sqlite_master",
            "__proto__",
            "constructor",
        ],
    )
    .await
}

/// LIM-1, LIM-2: a name of 255 bytes works, one of 256 is refused by opening and by dropping, bytes being counted.
pub(super) async fn bucket_name_limit(cx: &Context) -> Outcome {
    let store = cx.store();
    ensure_eq!(store.limits().bucket_name_bytes, 255, "the limit of a bucket name's bytes");
    let longest =
        ["n".repeat(255), format!("{}n", "é".repeat(127)), format!("{}nnn", "😀".repeat(63)), "\0".repeat(255)];
    for name in &longest {
        ensure_eq!(name.len(), 255);
        let bucket = store.open_bucket(name).await?;
        bucket.set(&"k".repeat(store.limits().key_bytes), "v").await?;
        ensure_eq!(listed(&bucket, "").await?.len(), 1, "keys of a bucket with the longest name and key");
    }
    for over in ["n".repeat(256), "é".repeat(128), "n".repeat(100_000)] {
        for error in [
            ensure_kind!(store.open_bucket(&over).await, LimitExceeded),
            ensure_kind!(store.drop_bucket(&over).await, LimitExceeded),
        ] {
            ensure_eq!(error.effect(), Effect::None);
            let text = error.to_string();
            ensure!(text.contains("255") && text.contains("name"), "expected: the limit and its value; found: {text}");
        }
    }
    let mut expected = longest.to_vec();
    expected.sort_unstable();
    ensure_same("the buckets", &buckets(&cx.reopen().await?).await?, &expected)?;
    Ok(())
}

/// LIM-1, NAM-1: names of 255 bytes that differ in their last byte only are different buckets.
pub(super) async fn longest_names_differ_in_the_last_byte(cx: &Context) -> Outcome {
    let stem = "n".repeat(254);
    let names = (0..20_u8).map(|last| format!("{stem}{}", char::from(b'a' + last)));
    names_apart(cx, names.chain([stem.clone(), format!("{stem}\0"), format!("m{}a", "n".repeat(253))])).await
}
