use kv_core::{DEFAULT_PAGE_KEYS, Limits, PAGE_BYTES};
use rand::RngExt;

use super::{Listed, first_page, list, numbered, store, texts};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome};

/// LST-1: a bucket without entries, never written or emptied again, has one page without keys and no cursor.
pub(super) async fn nothing_to_list(cx: &Context) -> Outcome {
    let bucket = cx.bucket("empty").await?;
    let full = cx.bucket("full").await?;
    full.set("k", "v").await?;
    for round in ["never written", "emptied by delete", "dropped"] {
        let page = bucket.keys("", None, 10).await?;
        ensure!(
            page.keys.is_empty() && page.cursor.is_none(),
            "a bucket {round}: expected: no keys and no cursor; found: {page:?}"
        );
        bucket.set("k", "v").await?;
        list(&bucket, "", 10).await?.ensure_exactly(["k"], "one entry")?;
        match round {
            "never written" => bucket.delete("k").await?,
            _ => cx.store().drop_bucket("empty").await?,
        }
    }
    list(&full, "", 10).await?.ensure_exactly(["k"], "the neighbour")?;
    Ok(())
}

/// LST-1: known sets in pages of 1, 5, 6, 100 and 10,000: every key exactly once, no page over its size, an end.
pub(super) async fn pages_of_every_size(cx: &Context) -> Outcome {
    for count in [1, 4, 5, 6, 7, 30, 100, 101, 200] {
        let bucket = cx.bucket(&format!("{count} keys")).await?;
        let keys = numbered("key/", count);
        store(&bucket, &keys).await?;
        for limit in [1, 5, 6, 100, 10_000] {
            let listed = list(&bucket, "", limit).await?;
            listed.ensure_exactly(texts(&keys), &format!("{count} keys in pages of {limit}"))?;
            ensure!(
                listed.pages >= count.div_ceil(limit),
                "expected: at least {} pages of {limit}; found: {}",
                count.div_ceil(limit),
                listed.pages
            );
        }
    }
    Ok(())
}

/// LST-1: the size may change from page to page of one listing.
pub(super) async fn page_sizes_by_turns(cx: &Context) -> Outcome {
    let mut rng = cx.rng();
    let bucket = cx.bucket("b").await?;
    let keys = numbered("k", 500);
    store(&bucket, &keys).await?;
    for _ in 0..8 {
        let mut listed = Listed::default();
        let mut cursor: Option<String> = None;
        loop {
            let limit = rng.random_range(1..60);
            let page = bucket.keys("", cursor.as_deref(), limit).await?;
            listed.take(&page, limit)?;
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        listed.ensure_exactly(texts(&keys), "500 keys in pages of changing sizes")?;
    }
    Ok(())
}

/// LST-1: where no number is named a page holds at most 1,000 keys.
pub(super) async fn default_page(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let keys = numbered("k", 2 * DEFAULT_PAGE_KEYS + 1);
    store(&bucket, &keys).await?;
    let mut listed = Listed::default();
    let mut cursor: Option<String> = None;
    loop {
        let page = bucket.keys("", cursor.as_deref(), None).await?;
        listed.take(&page, DEFAULT_PAGE_KEYS)?;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    ensure!(listed.pages >= 3, "expected: 2,001 keys take at least 3 pages; found: {}", listed.pages);
    listed.ensure_exactly(texts(&keys), "2,001 keys in default pages")
}

/// LST-1, LIM-2: a page of 0 is `InvalidArgument`, one over 10,000 or over a lowered limit is `LimitExceeded`.
pub(super) async fn page_limits(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let keys = numbered("k", 12);
    store(&bucket, &keys).await?;
    ensure_kind!(bucket.keys("", None, 0).await, InvalidArgument);
    let (_, cursor) = first_page(&bucket, "", 5).await?;
    ensure_kind!(bucket.keys("", Some(&cursor), 0).await, InvalidArgument);
    let over = ensure_kind!(bucket.keys("", None, 10_001).await, LimitExceeded);
    ensure!(over.to_string().contains("10000"), "expected: the limit's value is named; found: {over}");
    ensure_kind!(bucket.keys("", None, usize::MAX).await, LimitExceeded);
    list(&bucket, "", 10_000).await?.ensure_exactly(texts(&keys), "a page of the largest size")?;

    let low = cx.store().with_limits(Limits { page_keys: 7, ..Limits::default() })?;
    let low = low.open_bucket("b").await?;
    ensure_kind!(low.keys("", None, 8).await, LimitExceeded);
    list(&low, "", 7).await?.ensure_exactly(texts(&keys), "a page of the lowered limit")?;
    let page = low.keys("", None, None).await?;
    ensure!(page.keys.len() <= 7, "expected: a default page within the lowered limit; found: {}", page.keys.len());

    let prefix = "p".repeat(Limits::default().key_bytes + 1);
    ensure_kind!(bucket.keys(&prefix, None, 5).await, LimitExceeded);
    ensure_eq!(bucket.keys(&prefix[1..], None, 5).await?.keys.len(), 0, "keys under the longest prefix");
    Ok(())
}

/// LST-1: long keys end a page at 1 MiB, and none is lost or repeated at the cut.
pub(super) async fn page_ends_at_its_bytes(cx: &Context) -> Outcome {
    const COUNT: usize = 80;
    let bucket = cx.bucket("long").await?;
    let longest = Limits::default().key_bytes;
    // Some a little shorter, so that the cut falls at every place.
    let keys: Vec<String> = (0..COUNT).map(|n| format!("{n:03}{}", "x".repeat(longest - 3 - n % 7))).collect();
    bucket.set_many(keys.iter().map(|key| (key, "v"))).await?;
    let mut listed = Listed::default();
    let mut cursor: Option<String> = None;
    loop {
        let page = bucket.keys("", cursor.as_deref(), 1_000).await?;
        let bytes: usize = page.keys.iter().map(String::len).sum();
        ensure!(
            bytes <= PAGE_BYTES + longest,
            "expected: a page ends once its keys come to 1 MiB; found: one of {bytes} bytes"
        );
        listed.take(&page, 1_000)?;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    ensure!(listed.pages >= 3, "expected: 2.5 MiB of keys take at least 3 pages; found: {}", listed.pages);
    listed.ensure_exactly(texts(&keys), "keys of 32 KiB")
}

/// LST-1, NAM-1: whatever the prefix is, the whole of a key, the last of all characters or like a pattern, it means
/// the keys that begin with it.
pub(super) async fn prefixes_of_every_kind(cx: &Context) -> Outcome {
    const KEYS: &[&str] = &[
        "",
        "\0",
        "\0\0",
        "\0a",
        "\n",
        " ",
        "  ",
        "*",
        "**",
        "?",
        "a",
        "a\0",
        "a\0b",
        "a ",
        "a*",
        "a?",
        "a[b]",
        "a\\",
        "a/",
        "a/b",
        "a/b/c",
        "a:",
        "a:b",
        "aa",
        "ab",
        "abc",
        "abcd",
        "abd",
        "ac",
        "A",
        "AB",
        "b",
        "ba",
        "[a]",
        "[ab]",
        "%",
        "%61",
        "%2F",
        "{a}",
        "_",
        "\x7f",
        "\u{80}",
        "\u{e9}",
        "e\u{301}",
        "\u{7ff}",
        "\u{800}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{ffff}",
        "\u{ffff}a",
        "\u{10000}",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
        "\u{10ffff}a",
        "a\u{10ffff}",
        "a\u{10ffff}\u{10ffff}",
        "a\u{10ffff}b",
        "ab\u{ff}",
        "\u{1f600}",
        "\u{1f600}x",
        "\u{1f601}",
    ];
    const ABSENT: &[&str] = &["zz", "abcde", "a/b/c/d", "\u{10fffe}", "\u{1f602}", "a*b", "[", "%6", "\u{e8}", "aB"];
    let bucket = cx.bucket("b").await?;
    store(&bucket, KEYS).await?;
    // The same keys next door must not show.
    store(&cx.bucket("b2").await?, &["a", "abcx", "\u{10ffff}z"]).await?;
    let whole = KEYS.iter().chain(ABSENT).copied();
    let parts = KEYS.iter().flat_map(|key| key.char_indices().filter_map(|(end, _)| key.get(..end)));
    for prefix in whole.chain(parts) {
        let expected = KEYS.iter().copied().filter(|key| key.starts_with(prefix));
        for limit in [1, 3, 100] {
            let listed = list(&bucket, prefix, limit).await?;
            listed.ensure_exactly(expected.clone(), &format!("prefix {prefix:?} in pages of {limit}"))?;
        }
    }
    Ok(())
}

/// LST-1: random keys over a small alphabet, every prefix of up to three characters, random page sizes.
pub(super) async fn random_keys_and_prefixes(cx: &Context) -> Outcome {
    const ALPHABET: [char; 6] = ['a', 'b', '\0', '\u{7f}', '\u{d7ff}', '\u{10ffff}'];
    let mut rng = cx.rng();
    let mut text = |most: usize| -> String {
        let length = rng.random_range(0..=most);
        (0..length).filter_map(|_| ALPHABET.get(rng.random_range(0..ALPHABET.len()))).collect()
    };
    let mut keys: Vec<String> = (0..1_000).map(|_| text(7)).collect();
    let prefixes: Vec<String> = (0..60).map(|_| text(3)).collect();
    keys.sort();
    keys.dedup();
    let bucket = cx.bucket("b").await?;
    store(&bucket, &keys).await?;
    for (n, prefix) in prefixes.iter().enumerate() {
        let expected = texts(&keys).filter(|key| key.starts_with(&**prefix));
        let listed = list(&bucket, prefix, 7 + n * 5).await?;
        listed.ensure_exactly(expected, &format!("prefix {prefix:?}"))?;
    }
    Ok(())
}
