use std::collections::BTreeMap;

use bytes::Bytes;
use kv_core::Bucket;

use super::super::store::entries::{ensure_bytes, ensure_holds, noise, set_each};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome};

/// Each value comes back as it went in: by `set`, by batch, and after reopening.
async fn keeps(cx: &Context, values: impl IntoIterator<Item = impl Into<Bytes>>) -> Outcome {
    let expected: BTreeMap<String, Bytes> =
        values.into_iter().enumerate().map(|(at, value)| (format!("{at:04}"), value.into())).collect();
    ensure!(!expected.is_empty(), "expected: values to try; found: none");
    let entries: Vec<(&String, Bytes)> = expected.iter().map(|(key, value)| (key, value.clone())).collect();
    let (single, batch) = (cx.bucket("single").await?, cx.bucket("batch").await?);
    set_each(&single, &entries).await?;
    batch.set_many(entries).await?;
    for bucket in [&single, &batch] {
        ensure_holds(bucket, &expected).await?;
    }
    if cx.declared().atomic {
        swaps_keep(&cx.bucket("swapped").await?, &expected).await?;
    }
    let store = cx.reopen().await?;
    for name in ["single", "batch"] {
        ensure_holds(&store.open_bucket(name).await?, &expected).await?;
    }
    Ok(())
}

/// The same by `compare_and_swap`, which also has to compare the bytes as they are.
async fn swaps_keep(bucket: &Bucket, expected: &BTreeMap<String, Bytes>) -> Outcome {
    let mut before: Option<Bytes> = None;
    for value in expected.values().take(64) {
        let swapped = bucket.compare_and_swap("k", before.as_deref(), Some(value.clone().into())).await?;
        ensure_eq!(swapped, kv_core::Swap::Swapped, "a swap that expects the value just stored");
        ensure_bytes("the swapped value", bucket.get("k").await?.as_ref(), value)?;
        before = Some(value.clone());
    }
    Ok(())
}

/// RW-2: every byte is kept: each of the 256 alone, all together, at the first, middle and last place.
pub(super) async fn every_byte(cx: &Context) -> Outcome {
    let alone = (0..=255_u8).map(|byte| vec![byte]);
    let placed =
        (0..=255_u8).flat_map(|byte| [vec![byte, b'x'], vec![b'x', byte, b'x'], vec![b'x', byte], vec![byte; 9]]);
    let all: Vec<u8> = (0..=255).collect();
    let backward: Vec<u8> = (0..=255).rev().collect();
    keeps(cx, alone.chain(placed).chain([all.clone(), backward, all.repeat(300)])).await
}

/// RW-2: NUL is a byte like any other at each place of a value, and runs of it keep their length.
pub(super) async fn nul_in_values(cx: &Context) -> Outcome {
    let runs = [1, 2, 3, 4, 7, 8, 16, 255, 256, 4_096, 65_536, 100_000].map(|len| vec![0; len]);
    let placed = (0..9).map(|at| {
        let mut value = b"xxxxxxxxx".to_vec();
        value.splice(at..at, [0]);
        value
    });
    keeps(cx, placed.chain(runs).chain([b"x\0\0\0".to_vec(), b"\0\0\0x".to_vec()])).await
}

/// RW-2: bytes that are no UTF-8 are kept: cut, overlong, surrogates, stray, beyond the code space.
pub(super) async fn invalid_utf8(cx: &Context) -> Outcome {
    let values: [&[u8]; 18] = [
        b"\xff",
        b"\xfe",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xef\xbb",
        b"\xc3",
        b"\xc3(",
        b"\x80",
        b"\xbf\xbf",
        b"\xc0\x80",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"ok\xffok",
        b"\xf0\x9f\x98",
    ];
    // A valid character cut at each byte, behind much valid text.
    let cut = (1..4).map(|len| [&b"text ".repeat(20), "😀".as_bytes().get(..len).unwrap_or_default()].concat());
    keeps(cx, values.into_iter().map(<[u8]>::to_vec).chain(cut)).await
}

/// RW-2: spaces and line ends are neither trimmed nor translated.
pub(super) async fn spaces_and_line_ends(cx: &Context) -> Outcome {
    let values = [
        " ",
        "  ",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\t",
        " a",
        "a ",
        " a ",
        "a\n",
        "a\r\n",
        "\na",
        "a\nb\n",
        "a\r\nb\r\n",
        "\u{feff}a",
        "a\u{1a}",
        "\u{1a}",
        "a\0",
        "é",
        "e\u{301}",
        "\u{2028}",
    ];
    keeps(cx, values.map(String::from)).await
}

/// RW-2, RW-1: values that mean something to a protocol or a format, absence too, are plain bytes here.
pub(super) async fn protocol_look_alikes(cx: &Context) -> Outcome {
    let values = [
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "$0\r\n\r\n",
        "+OK\r\n",
        "-ERR unknown\r\n",
        ":1\r\n",
        "_\r\n",
        "$5\r\nhello\r\n",
        "OK",
        "QUEUED",
        "PONG",
        "+PONG\r\n",
        "-MOVED 1 127.0.0.1:1\r\n",
        "nil",
        "(nil)",
        "null",
        "NULL",
        "None",
        "undefined",
        "NaN",
        "{}",
        "[]",
        "\"\"",
        "\"a\"",
        "0",
        "00",
        "-0",
        "1",
        "01",
        "1.0",
        "+1",
        "true",
        "false",
        "deleted",
        "tombstone",
        "\0\0\0\0",
        "\0\0\0\0\0\0\0\0",
        "\u{1}",
        "\u{1}\0\0\0\0\0\0\0\0",
        "\u{2}",
        "\u{7f}",
        "%00",
        "%2F",
        "\\0",
        "\\n",
        "<a/>",
        "a=b&c=d",
        "eA==",
        "ZGF0YQ==",
        "data:,x",
        "--",
        "'; --",
        "HTTP/1.1 200 OK\r\n\r\n",
        "0\r\n\r\n",
        "END\r\n",
        "STORED\r\n",
        "VALUE k 0 1\r\n",
    ];
    // Headers of formats that a store may use for itself: length prefixes, deadlines, compression, checksums.
    let headers: [&[u8]; 12] = [
        b"\x01\x00",
        b"\x00\x01",
        b"\x1f\x8b\x08\x00",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"\xff\xff\xff\xff",
        b"\x80\x00\x00\x00",
        b"\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x00\x00\x01\x8f\x00\x00\x00\x00",
        b"\x01",
        b"\x00",
    ];
    let values = values.into_iter().map(|text| text.as_bytes().to_vec());
    keeps(cx, values.chain(headers.map(<[u8]>::to_vec))).await
}

/// RW-2: a value in hand does not change when its key is rewritten, deleted, or its bucket dropped.
pub(super) async fn held_value_stays(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for len in [5, 5_000, 300_000] {
        let (old, new) = (noise(1, len), noise(2, len));
        bucket.set("k", old.clone()).await?;
        let held = bucket.get("k").await?;
        let batch = bucket.get_many(&["k", "k"]).await?;
        bucket.set("k", new.clone()).await?;
        ensure_bytes("the value now", bucket.get("k").await?.as_ref(), &new)?;
        bucket.delete("k").await?;
        cx.store().drop_bucket("b").await?;
        ensure_bytes("the value read before", held.as_ref(), &old)?;
        ensure_eq!(batch.len(), 2);
        for value in &batch {
            ensure_bytes("a value of a batch read before", value.as_ref(), &old)?;
        }
    }
    Ok(())
}

/// RW-2: a value read can be written under another key and another bucket, and the two are independent.
pub(super) async fn values_move_between_keys(cx: &Context) -> Outcome {
    let (here, there) = (cx.bucket("here").await?, cx.bucket("there").await?);
    for len in [0, 1, 70_000] {
        let value = noise(3, len);
        here.set("k", value.clone()).await?;
        if let Some(read) = here.get("k").await? {
            there.set("copy", read.clone()).await?;
            here.set("copy", read.into_bytes()).await?;
        }
        here.set("k", "changed").await?;
        ensure_bytes("the copy in the same bucket", here.get("copy").await?.as_ref(), &value)?;
        ensure_bytes("the copy in another bucket", there.get("copy").await?.as_ref(), &value)?;
        here.delete("copy").await?;
        ensure_bytes("one copy once the other is deleted", there.get("copy").await?.as_ref(), &value)?;
    }
    Ok(())
}
