use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kv_core::{Effect, Error, ErrorKind};

use super::super::store::entries::{ensure_bytes, ensure_holds, ensure_same, listed};
use super::kinds::holds_apart;
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// LIM-1: keys of every size up to the limit work, those around a store's own thresholds among them.
pub(super) async fn sizes_to_the_limit(cx: &Context) -> Outcome {
    const SIZES: [usize; 27] = [
        1, 2, 63, 64, 65, 127, 128, 129, 254, 255, 256, 257, 511, 512, 513, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097,
        8_192, 16_383, 16_384, 32_766, 32_767, 32_768,
    ];
    let most = cx.store().limits().key_bytes;
    ensure_eq!(most, 32_768, "the limit of a key's bytes");
    let bucket = cx.bucket("b").await?;
    holds_apart(&bucket, SIZES.map(|len| "k".repeat(len))).await?;
    // The same sizes in bytes, made of scalar values of four bytes and a rest.
    holds_apart(&bucket, SIZES.map(|len| format!("{}{}", "😀".repeat(len / 4), "x".repeat(len % 4)))).await?;
    let longest = "\0".repeat(most);
    bucket.set(&longest, "v").await?;
    if cx.declared().atomic {
        bucket.compare_and_swap(&longest, Some(b"v"), Some("7".into())).await?;
        ensure_eq!(bucket.increment(&longest, 1).await?, 8, "a counter under the longest key");
        ensure_eq!(bucket.cas(&longest).await?.current().map(AsRef::as_ref), Some(&b"8"[..]));
    }
    if cx.declared().cache {
        bucket.set_with_ttl(&longest, "w", Duration::from_secs(600)).await?;
        ensure!(
            matches!(bucket.ttl(&longest).await?, kv_core::Ttl::Left(_)),
            "expected: the longest key has a deadline; found: none"
        );
    }
    bucket.set(&longest, "last").await?;
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    ensure_holds(&bucket, &BTreeMap::from([(longest.clone(), Bytes::from_static(b"last"))])).await?;
    // The longest key, as a prefix, finds itself.
    ensure_eq!(listed(&bucket, &longest).await?.len(), 1, "keys that begin with the longest key");
    Ok(())
}

/// LIM-1, NAM-1: keys of 32 KiB that differ in their last byte only are different keys.
pub(super) async fn longest_keys_differ_in_the_last_byte(cx: &Context) -> Outcome {
    let stem = "k".repeat(cx.store().limits().key_bytes - 1);
    let keys: Vec<String> = (0..24_u8).map(|last| format!("{stem}{}", char::from(b'a' + last))).collect();
    // The stem itself, and one that differs in its first byte.
    let others = [stem.clone(), format!("j{}a", stem.get(1..).unwrap_or_default()), format!("{stem}\0")];
    holds_apart(&cx.bucket("b").await?, keys.into_iter().chain(others)).await
}

/// LIM-2: a key one byte over the limit is refused by every call, which names the limit and changes nothing.
pub(super) async fn one_byte_over_the_limit(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let most = cx.store().limits().key_bytes;
    let longest = "k".repeat(most);
    bucket.set(&longest, "v").await?;
    bucket.set("other", "v").await?;
    // Over the limit in bytes although not in characters, and far over it.
    let in_chars = "é".repeat(most / 2 + 1);
    for over in [format!("{longest}k"), in_chars, "k".repeat(10 * most)] {
        let mut refused: Vec<(&str, Option<Error>)> = vec![
            ("get", bucket.get(&over).await.err()),
            ("set", bucket.set(&over, "new").await.err()),
            ("delete", bucket.delete(&over).await.err()),
            ("exists", bucket.exists(&over).await.err()),
            ("get_many", bucket.get_many(&["other", &over]).await.err()),
            ("set_many", bucket.set_many([("other", "new"), ("third", "new"), (over.as_str(), "new")]).await.err()),
            ("delete_many", bucket.delete_many(&["other", &over]).await.err()),
            ("keys", bucket.keys(&over, None, None).await.err()),
        ];
        if cx.declared().atomic {
            refused.push(("increment", bucket.increment(&over, 1).await.err()));
            refused.push(("compare_and_swap", bucket.compare_and_swap(&over, None, Some("new".into())).await.err()));
            refused.push(("cas", bucket.cas(&over).await.err()));
        }
        if cx.declared().cache {
            refused.push(("set_with_ttl", bucket.set_with_ttl(&over, "new", Duration::from_secs(600)).await.err()));
            refused.push(("ttl", bucket.ttl(&over).await.err()));
            refused.push(("get_or_set", bucket.get_or_set(&over).await.err()));
        }
        if cx.declared().watch.is_some() {
            refused.push(("watch", bucket.watch(&over).await.err()));
        }
        for (call, error) in refused {
            let Some(error) = error else {
                return Err(Stop::failed(format_args!(
                    "{call} of a key of {} bytes: expected an error, found success",
                    over.len()
                )));
            };
            ensure_eq!(error.kind(), ErrorKind::LimitExceeded, "the kind of {call} with a key over the limit");
            ensure_eq!(error.effect(), Effect::None, "the effect of {call} with a key over the limit");
            let text = error.to_string();
            ensure!(
                text.contains("key") && text.contains("32768"),
                "expected: {call} names the limit of a key and its value; found: {text}"
            );
        }
    }
    ensure_same("the keys after refused calls", &listed(&bucket, "").await?, &[longest.as_str(), "other"])?;
    ensure_bytes("an entry named in refused batches", bucket.get("other").await?.as_ref(), b"v")
}
