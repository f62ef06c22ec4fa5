//! Comparing and swapping by value.

use kv_core::{Bucket, OutgoingValue, Swap};

use super::super::atomic::stored::{ensure_stored, ensure_value};
use super::super::store::entries::{buckets, listed, noise};
use crate::check::{ensure_eq, show};
use crate::{Context, Outcome, Stop};

/// The call swaps, and `new` is what is stored then.
async fn swaps(bucket: &Bucket, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Outcome {
    match bucket.compare_and_swap(key, expected, new.map(OutgoingValue::from)).await? {
        Swap::Swapped => ensure_stored(bucket, key, new).await,
        Swap::Found(found) => Err(Stop::failed(format_args!(
            "compare_and_swap of {key:?} from {}: expected that it swaps, found the answer Found({})",
            expected.map_or_else(|| "absence".to_owned(), show),
            found.map_or_else(|| "absence".to_owned(), |found| show(&found)),
        ))),
    }
}

/// The call reports `found` and changes nothing.
async fn finds(
    bucket: &Bucket,
    key: &str,
    expected: Option<&[u8]>,
    new: Option<&[u8]>,
    found: Option<&[u8]>,
) -> Outcome {
    match bucket.compare_and_swap(key, expected, new.map(OutgoingValue::from)).await? {
        Swap::Found(value) => {
            ensure_value(&format!("what compare_and_swap of {key:?} found"), value.as_ref(), found)?;
            ensure_stored(bucket, key, found).await
        }
        Swap::Swapped => Err(Stop::failed(format_args!(
            "compare_and_swap of {key:?} from {}: expected the answer Found, found that it swapped",
            expected.map_or_else(|| "absence".to_owned(), show),
        ))),
    }
}

/// CAS-1: the expected value is replaced, again and again, by longer, shorter and the same bytes.
pub(super) async fn expected_value_is_swapped(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "1").await?;
    for (old, new) in [("1", "2"), ("2", "a longer one"), ("a longer one", "s"), ("s", "s"), ("s", "")] {
        swaps(&bucket, "k", Some(old.as_bytes()), Some(new.as_bytes())).await?;
    }
    // A counter is compared as the text that it is.
    bucket.increment("n", 10).await?;
    swaps(&bucket, "n", Some(b"10"), Some(b"20")).await?;
    ensure_eq!(bucket.increment("n", 1).await?, 21);
    Ok(())
}

/// CAS-1: where the value is another, that one is reported and nothing is written.
pub(super) async fn found_value_is_told(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "there").await?;
    bucket.set("neighbour", "expected").await?;
    finds(&bucket, "k", Some(b"expected"), Some(b"new"), Some(b"there")).await?;
    finds(&bucket, "k", Some(b"expected"), None, Some(b"there")).await?;
    finds(&bucket, "k", None, Some(b"new"), Some(b"there")).await?;
    finds(&bucket, "k", None, None, Some(b"there")).await?;
    // Found is not only told where the new value would change something.
    finds(&bucket, "k", Some(b"expected"), Some(b"there"), Some(b"there")).await?;
    ensure_stored(&bucket, "neighbour", Some(b"expected")).await
}

/// CAS-1: `None` is absence: it creates where there is nothing, and a value that is not there is not found.
pub(super) async fn absence_is_expected(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    finds(&bucket, "k", Some(b"v"), Some(b"w"), None).await?;
    finds(&bucket, "k", Some(b"v"), None, None).await?;
    ensure_eq!(buckets(&cx.store()).await?, Vec::<String>::new(), "the buckets after swaps that failed");
    swaps(&bucket, "k", None, None).await?;
    ensure_eq!(listed(&bucket, "").await?, Vec::<String>::new(), "the keys after absence was swapped for absence");
    swaps(&bucket, "k", None, Some(b"v")).await?;
    finds(&bucket, "k", None, Some(b"w"), Some(b"v")).await?;
    ensure_eq!(listed(&bucket, "").await?, ["k"], "the keys after a creation");
    bucket.delete("k").await?;
    swaps(&bucket, "k", None, Some(b"again")).await
}

/// CAS-1: the empty value is a value and not absence, as what is expected and as what is new.
pub(super) async fn empty_is_not_absent(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    finds(&bucket, "k", Some(b""), Some(b"w"), None).await?;
    swaps(&bucket, "k", None, Some(b"")).await?;
    ensure_eq!(listed(&bucket, "").await?, ["k"], "the keys after an empty value was stored");
    finds(&bucket, "k", None, Some(b"w"), Some(b"")).await?;
    finds(&bucket, "k", None, None, Some(b"")).await?;
    swaps(&bucket, "k", Some(b""), Some(b"w")).await?;
    finds(&bucket, "k", Some(b""), None, Some(b"w")).await?;
    swaps(&bucket, "k", Some(b"w"), Some(b"")).await?;
    swaps(&bucket, "k", Some(b""), None).await
}

/// CAS-1: `None` as the new value removes the entry, and nothing but it.
pub(super) async fn new_none_removes(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_many([("k", "v"), ("kk", "v"), ("j", "v")]).await?;
    swaps(&bucket, "k", Some(b"v"), None).await?;
    ensure_eq!(listed(&bucket, "").await?, ["j", "kk"], "the keys after one was removed");
    finds(&bucket, "k", Some(b"v"), None, None).await?;
    swaps(&bucket, "kk", Some(b"v"), None).await?;
    swaps(&bucket, "j", Some(b"v"), None).await?;
    ensure_eq!(buckets(&cx.store()).await?, Vec::<String>::new(), "the buckets after the last entry was removed");
    Ok(())
}

/// CAS-1: bytes are compared, all of them: NULs, invalid UTF-8, prefixes, cases, one bit at the end of 100,000.
pub(super) async fn every_byte_is_compared(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let all: Vec<u8> = (0..=255).collect();
    let long = noise(7, 100_000).to_vec();
    let mut last_bit = long.clone();
    last_bit.last_mut().into_iter().for_each(|byte| *byte ^= 1);
    let pairs: [(&[u8], &[u8]); 10] = [
        (b"a\0b", b"a\0c"),
        (b"a", b"a\0"),
        (b"\0", b""),
        (b"\xff\xfe", b"\xff\xfd"),
        (b"\xc3\x28", "\u{fffd}(".as_bytes()),
        (b"Value", b"value"),
        (b"10", b"010"),
        (b"prefix", b"prefix of it"),
        (&all, all.get(..255).unwrap_or_default()),
        (&long, &last_bit),
    ];
    for (stored, like) in pairs {
        bucket.set("k", stored).await?;
        finds(&bucket, "k", Some(like), Some(b"new"), Some(stored)).await?;
        swaps(&bucket, "k", Some(stored), Some(like)).await?;
        finds(&bucket, "k", Some(stored), None, Some(like)).await?;
        swaps(&bucket, "k", Some(like), None).await?;
    }
    Ok(())
}
