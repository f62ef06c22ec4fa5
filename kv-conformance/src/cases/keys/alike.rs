use super::super::store::entries::ensure_bytes;
use super::kinds::{at_each_place, holds_apart};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome};

/// NAM-1: letters that look alike, differ in case or have several normal forms stay different keys.
pub(super) async fn normal_forms_and_case(cx: &Context) -> Outcome {
    let keys = [
        // NFC beside NFD, and two orders of the same marks.
        "é",
        "e\u{301}",
        "e",
        "Å",
        "A\u{30a}",
        "\u{212b}",
        "q\u{307}\u{323}",
        "q\u{323}\u{307}",
        "ñ",
        "n\u{303}",
        "각",
        "\u{1100}\u{1161}\u{11a8}",
        "\u{2126}",
        "Ω",
        "ｶﾞ",
        "ガ",
        "カ\u{3099}",
        // Compatibility forms.
        "ﬁ",
        "fi",
        "①",
        "1",
        "Ａ",
        "A",
        "ｱ",
        "ア",
        "²",
        "2",
        "㎏",
        "kg",
        "…",
        "...",
        // Case, with the pairs that go wrong.
        "a",
        "K",
        "k",
        "\u{212a}",
        "ß",
        "ss",
        "SS",
        "ẞ",
        "I",
        "i",
        "İ",
        "ı",
        "i\u{307}",
        "σ",
        "ς",
        "Σ",
        "µ",
        "μ",
        "ǆ",
        "ǅ",
        "Ǆ",
        // Look-alikes of other scripts, joiners and variants.
        "а",
        "Α",
        "o",
        "о",
        "ο",
        "\u{200d}",
        "a\u{200d}",
        "a\u{200c}",
        "a\u{ad}",
        "☎",
        "☎\u{fe0e}",
        "☎\u{fe0f}",
    ];
    holds_apart(&cx.bucket("b").await?, keys).await
}

/// NAM-1: byte order marks, the ends of the code space, emoji and right-to-left text are ordinary.
pub(super) async fn byte_order_marks_and_extremes(cx: &Context) -> Outcome {
    let parts = [
        "\u{feff}",
        "\u{feff}\u{feff}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fffd}",
        "\u{10ffff}",
        "\u{10fffe}",
        "\u{10000}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{7f}",
        "\u{80}",
        "\u{7ff}",
        "\u{800}",
        "\u{ff}",
        "\u{100}",
        "\u{1f600}",
        "👩\u{200d}👩\u{200d}👧",
        "👩",
        "🇩🇪",
        "🇩",
        "👍",
        "👍🏽",
        "\u{202e}",
        "\u{200f}",
        "\u{2066}",
        "שלום",
        "سلام",
        "\u{e0001}",
        "\u{f0000}",
        "𝕏",
        "\u{fdd0}",
        "\u{1}",
        "\u{1b}[31m",
    ];
    holds_apart(&cx.bucket("b").await?, at_each_place(parts).into_iter().chain(["k".to_owned(), "kk".to_owned()])).await
}

/// NAM-1: keys that are numbers to somebody else are text here: `1` is not `01` and not `1.0`.
pub(super) async fn number_look_alikes(cx: &Context) -> Outcome {
    let keys = [
        "0",
        "00",
        "-0",
        "+0",
        "0.0",
        "0x0",
        "1",
        "01",
        "+1",
        "1.",
        "1.0",
        "1.00",
        " 1",
        "1 ",
        "1e0",
        "1E0",
        "10e-1",
        "0b1",
        "0x1",
        "1_000",
        "1000",
        "1,000",
        "1e3",
        "10",
        "9",
        "-1",
        "-01",
        "١",
        "१",
        "１",
        "Ⅰ",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "0.1",
        ".1",
        "0.10",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "-inf",
        "true",
        "TRUE",
        "false",
        "null",
        "nil",
        "None",
        "undefined",
        "(nil)",
    ];
    holds_apart(&cx.bucket("b").await?, keys).await
}

/// NAM-1, NAM-3: keys that look like a store's own names and markers meet none of them.
pub(super) async fn internal_names(cx: &Context) -> Outcome {
    let keys = [
        "__sled__default",
        "__",
        "_",
        ".meta",
        "meta",
        "metadata",
        "version",
        "format",
        "schema",
        "db",
        "conf",
        "data",
        "index",
        "ttl",
        "expire",
        "expires",
        "deadline",
        "lock",
        "LOCK",
        "CURRENT",
        "MANIFEST-000001",
        "default",
        "system",
        "bucket",
        "buckets",
        "bucket:b",
        "b",
        "b:",
        ":b",
        "b:k",
        "kv",
        "kv:",
        "kv:b:k",
        "keys",
        "z",
        "v",
        "k",
        "n",
        "id",
        "next_id",
        "gen",
        "generation",
        "tombstone",
        "deleted",
        "size",
        "count",
        "\0",
        "\0meta",
        "\x01",
        "\x7f",
        "\u{ff}",
        "\u{10ffff}",
        "0",
        "1",
        "token",
        "epoch",
        "lane",
        "worker",
        "journal",
        "cursor",
        "watch",
        "events",
        "stream",
        "prototype",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "toString",
        "rowid",
        "_id",
        "\u{2}b",
        "\u{1}\0\0\0b",
        "b\0k",
    ];
    let bucket = cx.bucket("b").await?;
    // A neighbour with an entry of each kind that has a marker of its own.
    let beside = cx.bucket("k").await?;
    beside.set("b", "beside").await?;
    if cx.declared().cache {
        beside.set_with_ttl("deadline", "beside", std::time::Duration::from_secs(600)).await?;
    }
    if cx.declared().atomic {
        beside.increment("count", 7).await?;
    }
    holds_apart(&bucket, keys).await?;
    ensure_bytes("the neighbour's entry", beside.get("b").await?.as_ref(), b"beside")?;
    if cx.declared().cache {
        ensure!(
            matches!(beside.ttl("deadline").await?, kv_core::Ttl::Left(_)),
            "expected: the neighbour's deadline stays; found: it went"
        );
    }
    if cx.declared().atomic {
        ensure_eq!(beside.increment("count", 1).await?, 8, "the neighbour's counter");
    }
    Ok(())
}
