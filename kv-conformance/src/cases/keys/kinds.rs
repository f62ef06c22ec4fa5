use std::collections::BTreeMap;

use bytes::Bytes;
use kv_core::{Bucket, CasSwap, Swap};

use super::super::store::entries::{delete_each, ensure_holds, ensure_lists, set_each};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Each key holds a value of its own, and deleting some leaves the others: no two of them are one to the store.
pub(super) async fn holds_apart(bucket: &Bucket, keys: impl IntoIterator<Item = impl Into<String>>) -> Outcome {
    let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
    let entries: Vec<(String, Bytes)> =
        keys.into_iter().enumerate().map(|(at, key)| (key, format!("value {at}").into())).collect();
    let mut expected: BTreeMap<String, Bytes> = entries.iter().cloned().collect();
    ensure_eq!(expected.len(), entries.len(), "the keys of this case are distinct: how many there are");
    ensure!(!entries.is_empty(), "expected: keys to try; found: none");
    set_each(bucket, &entries).await?;
    ensure_holds(bucket, &expected).await?;
    let gone: Vec<String> = entries.iter().step_by(2).map(|(key, _)| key.clone()).collect();
    delete_each(bucket, &gone).await?;
    for key in &gone {
        expected.remove(key);
    }
    ensure_holds(bucket, &expected).await?;
    for found in bucket.get_many(&gone).await? {
        ensure_eq!(found, None, "a deleted key");
    }
    // The batch calls map keys by code of their own.
    bucket.set_many(entries.iter().map(|(key, value)| (key, value.clone()))).await?;
    ensure_holds(bucket, &entries.iter().cloned().collect()).await?;
    bucket.delete_many(&gone).await?;
    ensure_holds(bucket, &expected).await?;
    bucket.delete_many(&expected.keys().collect::<Vec<_>>()).await?;
    ensure_lists(bucket, []).await
}

/// Puts each part at the beginning, in the middle and at the end of a key, and alone.
pub(super) fn at_each_place<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    parts
        .into_iter()
        .flat_map(|part| [part.to_owned(), format!("{part}k"), format!("k{part}k"), format!("k{part}")])
        .collect()
}

/// NAM-2: the empty key is legal and like any other, for every call.
pub(super) async fn the_empty_key(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("other", "1").await?;
    ensure_eq!(bucket.get("").await?, None);
    bucket.delete("").await?;
    bucket.set("", "v").await?;
    let mut expected = BTreeMap::from([("".to_owned(), Bytes::from("v")), ("other".to_owned(), Bytes::from("1"))]);
    ensure_holds(&bucket, &expected).await?;
    bucket.set_many([("", "w"), ("third", "3")]).await?;
    expected.insert(String::new(), "w".into());
    expected.insert("third".to_owned(), "3".into());
    ensure_holds(&bucket, &expected).await?;
    if cx.declared().atomic {
        ensure_eq!(bucket.compare_and_swap("", Some(b"w"), Some("41".into())).await?, Swap::Swapped);
        ensure_eq!(bucket.increment("", 1).await?, 42, "a counter under the empty key");
        let handle = bucket.cas("").await?;
        ensure!(matches!(handle.swap("x").await?, CasSwap::Swapped), "expected: the swap succeeds; found: it lost");
        expected.insert(String::new(), "x".into());
    }
    if cx.declared().cache {
        ensure_eq!(bucket.ttl("").await?, kv_core::Ttl::Forever);
    }
    ensure_holds(&cx.reopen().await?.open_bucket("b").await?, &expected).await?;
    let bucket = cx.bucket("b").await?;
    bucket.delete("").await?;
    expected.remove("");
    ensure_holds(&bucket, &expected).await?;
    bucket.set("", "").await?;
    bucket.delete_many(&["", ""]).await?;
    ensure_holds(&bucket, &expected).await
}

/// NAM-1: each of the 128 ASCII codes is ordinary, alone and at each place of a key.
pub(super) async fn every_ascii_code(cx: &Context) -> Outcome {
    let codes: Vec<String> = (0..128_u8).map(|code| char::from(code).to_string()).collect();
    let keys = at_each_place(codes.iter().map(String::as_str).filter(|code| *code != "k"));
    ensure_eq!(keys.len(), 127 * 4, "keys made of ASCII codes");
    holds_apart(&cx.bucket("b").await?, keys.into_iter().chain(["k".to_owned(), "kk".to_owned(), "kkk".to_owned()]))
        .await
}

/// NAM-1: NUL is ordinary at every place of a key; nothing is cut there or padded with it.
pub(super) async fn nul_at_each_place(cx: &Context) -> Outcome {
    const LEN: usize = 12;
    let mut keys: Vec<String> = (0..=LEN).map(|len| "\0".repeat(len)).collect();
    keys.extend((0..=LEN).map(|at| format!("{}\0{}", "x".repeat(at), "x".repeat(LEN - at))));
    keys.extend((1..=LEN).map(|nuls| format!("x{}", "\0".repeat(nuls))));
    keys.extend(["x", "xx", "x\0\0x", "\0x\0", "\0\x01", "\x01\0", "\x01"].map(String::from));
    keys.sort_unstable();
    keys.dedup();
    ensure!(keys.len() > 40, "expected: over 40 distinct keys; found: {}", keys.len());
    holds_apart(&cx.bucket("b").await?, keys).await
}

/// NAM-1: spaces and line ends are neither trimmed nor turned into one another.
pub(super) async fn spaces_and_line_ends(cx: &Context) -> Outcome {
    let spaces = [
        " ", "  ", "\t", "\n", "\r", "\r\n", "\n\r", "\u{b}", "\u{c}", "\u{85}", "\u{a0}", "\u{1680}", "\u{2003}",
        "\u{2028}", "\u{2029}", "\u{200b}", "\u{3000}", "\u{180e}",
    ];
    holds_apart(&cx.bucket("b").await?, at_each_place(spaces).into_iter().chain(["k".to_owned(), "kk".to_owned()]))
        .await
}

/// NAM-1: what other systems take as a pattern or a hash tag is plain text in a key.
pub(super) async fn globs_and_hash_tags(cx: &Context) -> Outcome {
    let keys = [
        "*",
        "**",
        "?",
        "??",
        "a*",
        "*a",
        "a?",
        "?a",
        "a",
        "aa",
        "ab",
        "abc",
        "[ab]",
        "[a-c]",
        "[^a]",
        "[!a]",
        "[",
        "]",
        "[]",
        "\\",
        "\\*",
        "\\\\*",
        "a\\",
        "{a}",
        "{a}b",
        "{b}a",
        "{a}{b}",
        "{}",
        "{",
        "}",
        "a{",
        "}a",
        "{a",
        "a}",
        "{{a}}",
        "user:{1}:x",
        "user:{1}:y",
        "user:{2}:x",
        "%",
        "_",
        "a%",
        "a_",
        "$",
        "^a$",
        ".*",
        "a.",
        "(a|b)",
        "+",
        "#",
    ];
    holds_apart(&cx.bucket("b").await?, keys).await
}

/// NAM-1: paths are not cleaned, escapes not decoded, separators not split at.
pub(super) async fn paths_and_percent(cx: &Context) -> Outcome {
    let keys = [
        "/",
        "//",
        "/a",
        "a/",
        "a/b",
        "a//b",
        "a/./b",
        "a/../b",
        "../b",
        "..",
        ".",
        "./a",
        "a/.",
        "a/..",
        "b",
        "~",
        "~/a",
        "\\",
        "\\a",
        "C:\\a",
        "c:\\a",
        "C:/a",
        "a\\b",
        "%",
        "%%",
        "%2F",
        "%2f",
        "%252F",
        "%00",
        "%",
        "a%20b",
        "a b",
        "a+b",
        "%E9",
        "%C3%A9",
        "é",
        "&amp;",
        "&",
        "\\u0041",
        "A",
        "\\n",
        "\n",
        "con",
        "CON",
        "nul",
        "a:",
        "a:b",
        ":",
        "::",
        "file:///a",
        "?a=b",
        "#a",
        "a;b",
        "a,b",
        "a|b",
        "'",
        "\"",
        "''",
        "`",
        "$HOME",
        "${a}",
        "$(a)",
        "-",
        "--",
        "-a",
    ];
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    ensure!(keys.len() > 60, "expected: over 60 distinct keys; found: {}", keys.len());
    holds_apart(&cx.bucket("b").await?, keys).await
}

/// NAM-1, RW-3: keys that are prefixes of one another, 300 deep, stay apart; so do their deletions.
pub(super) async fn prefix_chains(cx: &Context) -> Outcome {
    const DEPTH: usize = 300;
    let bucket = cx.bucket("b").await?;
    let letters = (0..=DEPTH).map(|len| "a".repeat(len));
    let accents = (1..=30).map(|len| "é".repeat(len));
    holds_apart(&bucket, letters.chain(accents)).await?;
    let chain: Vec<(String, Bytes)> = (0..=20).map(|len| ("a".repeat(len), format!("{len}").into())).collect();
    let mut expected: BTreeMap<String, Bytes> = chain.iter().cloned().collect();
    set_each(&bucket, &chain).await?;
    for len in [0, 10, 1, 20, 5] {
        let key = "a".repeat(len);
        bucket.delete(&key).await?;
        let removed = expected.remove(&key);
        removed.ok_or_else(|| Stop::failed("expected: a link of the chain; found: none"))?;
        ensure_holds(&bucket, &expected).await?;
    }
    Ok(())
}
