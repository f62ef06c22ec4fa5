use kv_core::{Bucket, ErrorKind};

use super::{first_page, list_from, numbered, store, texts};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Keys of a page of these listings.
const PAGE: usize = 7;

/// Fails unless the cursor is refused as `InvalidArgument`.
#[track_caller]
fn ensure_refused(found: kv_core::Result<kv_core::Page>, what: &str) -> Outcome {
    match found {
        Err(error) if error.kind() == ErrorKind::InvalidArgument => Ok(()),
        Err(error) => Err(Stop::failed(format_args!(
            "{what}: expected InvalidArgument; found {}: {}",
            error.kind(),
            error.trace()
        ))),
        Ok(page) => Err(Stop::failed(format_args!("{what}: expected InvalidArgument; found {} keys", page.keys.len()))),
    }
}

async fn bucket_of(cx: &Context, name: &str, keys: &[String]) -> Result<Bucket, Stop> {
    let bucket = cx.bucket(name).await?;
    store(&bucket, keys).await?;
    Ok(bucket)
}

/// LST-2: made-up cursors of every form are `InvalidArgument`, in a full bucket and in an empty one.
pub(super) async fn cursor_of_rubbish(cx: &Context) -> Outcome {
    let keys = numbered("k", 50);
    let full = bucket_of(cx, "full", &keys).await?;
    let empty = cx.bucket("empty").await?;
    let huge = "f".repeat(1 << 20);
    let long = "1-0123456789abcdef-".to_owned() + &"6b".repeat(100_000);
    let rubbish = [
        "",
        " ",
        "0",
        "1",
        "7",
        "-1",
        "+1",
        "00",
        "50",
        "9999",
        "18446744073709551615",
        "18446744073709551616",
        "1e9",
        "0x10",
        "NaN",
        "null",
        "true",
        "k00006",
        "k",
        "full",
        "full:k00006",
        "full/k00006",
        "full\0k00006",
        "\0",
        "\n",
        "%00",
        "%",
        "*",
        "é",
        "\u{10ffff}",
        "\u{feff}1",
        "{}",
        "[]",
        "{\"after\":\"k00006\"}",
        "AAAA",
        "AA==",
        "a2V5",
        "6b3030303036",
        "1-",
        "1--",
        "-",
        "--",
        "1-0-",
        "1-0000000000000000-",
        "1-0000000000000000-6b3030303036",
        "v1:k00006",
        "../../etc",
        "' or 1=1",
        "\u{202e}k",
        "ff",
        "fff",
        "\u{ff}\u{fe}",
        &huge,
        &long,
    ];
    for cursor in rubbish {
        for bucket in [&full, &empty] {
            let shown = cursor.get(..cursor.len().min(30)).unwrap_or("…");
            ensure_refused(bucket.keys("", Some(cursor), PAGE).await, &format!("the cursor {shown:?}"))?;
        }
    }
    let (listed, cursor) = first_page(&full, "", PAGE).await?;
    let rest = list_from(&full, "", Some(cursor), PAGE).await?;
    ensure_eq!(listed.times.len() + rest.times.len(), keys.len(), "keys listed by true cursors");
    Ok(())
}

/// LST-2: a true cursor cut anywhere, with any byte changed, doubled or added to is `InvalidArgument`.
pub(super) async fn cursor_damaged(cx: &Context) -> Outcome {
    let bucket = bucket_of(cx, "b", &numbered("k", 50)).await?;
    let (_, cursor) = first_page(&bucket, "", PAGE).await?;
    for end in (0..cursor.len()).filter(|end| cursor.is_char_boundary(*end)) {
        let cut = cursor.get(..end).unwrap_or_default();
        ensure_refused(bucket.keys("", Some(cut), PAGE).await, &format!("the cursor cut after {end} bytes"))?;
        let tail = cursor.get(end..).filter(|_| end > 0);
        if let Some(tail) = tail {
            ensure_refused(bucket.keys("", Some(tail), PAGE).await, &format!("the cursor without {end} bytes"))?;
        }
    }
    let mut tried = 0_usize;
    for at in 0..cursor.len() {
        for bit in 0..7 {
            let mut bytes = cursor.clone().into_bytes();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            tried += 1;
            ensure_refused(bucket.keys("", Some(&changed), PAGE).await, &format!("bit {bit} of byte {at} changed"))?;
        }
    }
    ensure!(tried >= cursor.len(), "expected: every byte can be changed; found: {tried} changes");
    for changed in [
        format!("{cursor}{cursor}"),
        format!("{cursor}0"),
        format!("{cursor}\0"),
        format!(" {cursor}"),
        format!("0{cursor}"),
    ] {
        ensure_refused(bucket.keys("", Some(&changed), PAGE).await, "a cursor with something added")?;
    }
    bucket.keys("", Some(&cursor), PAGE).await?;
    Ok(())
}

/// LST-2: a cursor of another bucket is `InvalidArgument`, whatever the two names have in common.
pub(super) async fn cursor_of_another_bucket(cx: &Context) -> Outcome {
    const NAMES: [&str; 8] = ["a", "b", "ab", "", "a:k", "A", "a\0", "a/"];
    let keys = numbered("k", 30);
    let mut cursors = Vec::new();
    for name in NAMES {
        let bucket = bucket_of(cx, name, &keys).await?;
        let (_, cursor) = first_page(&bucket, "", PAGE).await?;
        cursors.push((name, bucket, cursor));
    }
    for (own, bucket, cursor) in &cursors {
        bucket.keys("", Some(cursor), PAGE).await?;
        for (name, _, foreign) in cursors.iter().filter(|(name, ..)| name != own) {
            let what = format!("bucket {own:?} given a cursor of bucket {name:?}");
            ensure_refused(bucket.keys("", Some(foreign), PAGE).await, &what)?;
        }
    }
    let never_written = cx.bucket("never written").await?;
    for (_, _, foreign) in &cursors {
        ensure_refused(never_written.keys("", Some(foreign), PAGE).await, "an empty bucket given another's cursor")?;
    }
    Ok(())
}

/// LST-2: a cursor of a listing of another prefix shows no key outside the prefix now asked for.
pub(super) async fn cursor_of_another_prefix(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let groups: Vec<Vec<String>> = ["a", "b", "ba", "c"].iter().map(|prefix| numbered(prefix, 20)).collect();
    for keys in &groups {
        store(&bucket, keys).await?;
    }
    for from in ["", "a", "b", "ba", "c"] {
        let (_, cursor) = first_page(&bucket, from, PAGE).await?;
        for prefix in ["", "a", "b", "ba", "c", "d", "a0000"] {
            // Either answer keeps the promise; showing foreign keys, or going round for ever, does not.
            let page = match bucket.keys(prefix, Some(&cursor), PAGE).await {
                Ok(page) => page,
                Err(error) if error.kind() == ErrorKind::InvalidArgument => continue,
                Err(error) => return Err(error.into()),
            };
            let mut listed = match page.cursor {
                Some(next) => list_from(&bucket, prefix, Some(next), PAGE).await?,
                None => super::Listed::default(),
            };
            listed.take(&super::Page { keys: page.keys, cursor: None }, PAGE)?;
            for (key, times) in &listed.times {
                ensure!(
                    key.starts_with(prefix) && groups.iter().flatten().any(|known| known == key) && *times == 1,
                    "a listing of {from:?} continued with {prefix:?}: expected: keys that begin so, each once; found: {key:?}, {times} times"
                );
            }
        }
    }
    Ok(())
}

/// LST-2: a cursor may be used twice and gives the same rest both times.
pub(super) async fn cursor_used_twice(cx: &Context) -> Outcome {
    let keys = numbered("k", 60);
    let bucket = bucket_of(cx, "b", &keys).await?;
    let (first, cursor) = first_page(&bucket, "", PAGE).await?;
    let seen = |key: &&str| !first.times.contains_key(*key);
    for (turn, limit) in [("first", PAGE), ("second", PAGE), ("third, in larger pages", 100)] {
        let rest = list_from(&bucket, "", Some(cursor.clone()), limit).await?;
        rest.ensure_exactly(texts(&keys).filter(seen), &format!("the rest, from the cursor's {turn} use"))?;
        // A listing begun anew in between disturbs nothing.
        first_page(&bucket, "", 3).await?;
    }
    Ok(())
}

/// LST-2: a cursor works with another handle, beside other work, and after the store was closed and opened again.
pub(super) async fn cursor_after_restart(cx: &Context) -> Outcome {
    let keys = numbered("k", 100);
    let bucket = bucket_of(cx, "b", &keys).await?;
    let (first, cursor) = first_page(&bucket, "", PAGE).await?;
    let seen = |key: &&str| !first.times.contains_key(*key);
    let other = cx.bucket("b").await?;
    drop(bucket);
    let rest = list_from(&other, "", Some(cursor.clone()), PAGE).await?;
    rest.ensure_exactly(texts(&keys).filter(seen), "the rest, from another handle")?;
    for restart in 1..=2 {
        let store = cx.reopen().await?;
        // Buckets opened first in another order must not change what the cursor means.
        store.open_bucket(&format!("new {restart}")).await?.set("k", "v").await?;
        let bucket = store.open_bucket("b").await?;
        let rest = list_from(&bucket, "", Some(cursor.clone()), PAGE).await?;
        rest.ensure_exactly(texts(&keys).filter(seen), &format!("the rest, after restart {restart}"))?;
    }
    Ok(())
}

/// LST-2: a cursor stays valid when the keys around it are deleted, and when its bucket is dropped and filled anew.
pub(super) async fn cursor_outlives_its_keys(cx: &Context) -> Outcome {
    let keys = numbered("k", 60);
    let bucket = bucket_of(cx, "b", &keys).await?;
    let (first, cursor) = first_page(&bucket, "", PAGE).await?;
    let shown: Vec<&String> = first.times.keys().collect();
    bucket.delete_many(&shown).await?;
    let seen = |key: &&str| !first.times.contains_key(*key);
    let rest = list_from(&bucket, "", Some(cursor.clone()), PAGE).await?;
    rest.ensure_exactly(texts(&keys).filter(seen), "the rest, after the first page's keys were deleted")?;
    cx.store().drop_bucket("b").await?;
    let rest = list_from(&bucket, "", Some(cursor.clone()), PAGE).await?;
    rest.ensure_exactly([], "the rest, after the bucket was dropped")?;
    store(&bucket, &keys).await?;
    let rest = list_from(&bucket, "", Some(cursor), PAGE).await?;
    for key in rest.times.keys() {
        ensure!(keys.contains(key), "expected: keys of the bucket filled anew; found: {key:?}");
    }
    Ok(())
}
