//! Each way in which a key can change under a handle.

use std::time::Duration;

use kv_core::{Bucket, CasSwap, Fill, GetOrSet, Swap};

use super::super::atomic::stored::ensure_stored;
use super::super::cache::clock::Deadline;
use super::swaps::{loses, wins};
use crate::check::ensure_eq;
use crate::{Context, Outcome, Stop};

/// A time to live that does not end within a case.
const LONG: Duration = Duration::from_secs(600);

/// Two handles on one bucket: the one that holds the key, and another client that changes it.
async fn pair(cx: &Context) -> Result<(Bucket, Bucket), Stop> {
    Ok((cx.bucket("b").await?, cx.bucket("b").await?))
}

/// CAS-2: a `set` of the bytes that are there is a write, and so is one of others.
pub(super) async fn set_of_same_bytes_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    for (old, new) in [("same", "same"), ("", ""), ("old", "new")] {
        bucket.set("k", old).await?;
        let handle = bucket.cas("k").await?;
        other.set("k", new).await?;
        loses(&bucket, "k", handle, Some(new.as_bytes())).await?;
    }
    Ok(())
}

/// CAS-2: a value that changed and changed back was written twice.
pub(super) async fn set_and_back_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    bucket.set("k", "a").await?;
    let handle = bucket.cas("k").await?;
    other.set("k", "b").await?;
    other.set("k", "a").await?;
    loses(&bucket, "k", handle, Some(b"a")).await
}

/// CAS-2: a delete is a write.
pub(super) async fn delete_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    bucket.set("k", "v").await?;
    let handle = bucket.cas("k").await?;
    other.delete("k").await?;
    loses(&bucket, "k", handle, None).await
}

/// CAS-2: an entry deleted and made again with the same bytes is another entry.
pub(super) async fn delete_and_recreate_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    bucket.set("k", "v").await?;
    let handle = bucket.cas("k").await?;
    other.delete("k").await?;
    other.set("k", "v").await?;
    loses(&bucket, "k", handle, Some(b"v")).await
}

/// CAS-2: a handle on an absent key loses against whoever makes the entry, also against an empty value.
pub(super) async fn creation_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    for value in ["v", ""] {
        let handle = bucket.cas("k").await?;
        other.set("k", value).await?;
        loses(&bucket, "k", handle, Some(value.as_bytes())).await?;
        bucket.delete("k").await?;
    }
    Ok(())
}

/// CAS-2: a key that was absent, was made and is absent again was written.
pub(super) async fn creation_undone_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    let handle = bucket.cas("k").await?;
    other.set("k", "v").await?;
    other.delete("k").await?;
    loses(&bucket, "k", handle, None).await
}

/// CAS-2: an increment is a write, by 0 too.
pub(super) async fn increment_by_zero_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    for (start, delta, sum) in [(Some("7"), 0, "7"), (Some("7"), 1, "8"), (None, 0, "0")] {
        match start {
            Some(start) => bucket.set("n", start).await?,
            None => bucket.delete("n").await?,
        }
        let handle = bucket.cas("n").await?;
        other.increment("n", delta).await?;
        loses(&bucket, "n", handle, Some(sum.as_bytes())).await?;
    }
    Ok(())
}

/// CAS-2: a batch that writes the key among others is a write, the same bytes included.
pub(super) async fn batch_set_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    for new in ["old", "new"] {
        bucket.set("k", "old").await?;
        let handle = bucket.cas("k").await?;
        other.set_many([("a", "1"), ("k", new), ("z", "1")]).await?;
        loses(&bucket, "k", handle, Some(new.as_bytes())).await?;
    }
    Ok(())
}

/// CAS-2: a batch that removes the key among others is a write.
pub(super) async fn batch_delete_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    bucket.set("k", "v").await?;
    let handle = bucket.cas("k").await?;
    other.delete_many(&["a", "k", "z"]).await?;
    loses(&bucket, "k", handle, None).await
}

/// CAS-2: a successful `compare_and_swap` is a write in each of its forms.
pub(super) async fn compare_and_swap_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    for (old, new) in [(Some("v"), Some("w")), (Some("v"), Some("v")), (Some("v"), None), (None, Some("v"))] {
        match old {
            Some(old) => bucket.set("k", old).await?,
            None => bucket.delete("k").await?,
        }
        let handle = bucket.cas("k").await?;
        let ended = other.compare_and_swap("k", old.map(str::as_bytes), new.map(Into::into)).await?;
        ensure_eq!(ended, Swap::Swapped, "compare_and_swap from {old:?} to {new:?}");
        loses(&bucket, "k", handle, new.map(str::as_bytes)).await?;
    }
    Ok(())
}

/// CAS-2: changing only the deadline is a write: giving one, moving it, taking it away.
pub(super) async fn deadline_change_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    bucket.set("k", "v").await?;
    let handle = bucket.cas("k").await?;
    other.set_with_ttl("k", "v", LONG).await?;
    loses(&bucket, "k", handle, Some(b"v")).await?;
    bucket.set_with_ttl("k", "v", LONG).await?;
    let handle = bucket.cas("k").await?;
    other.set_with_ttl("k", "v", LONG * 2).await?;
    loses(&bucket, "k", handle, Some(b"v")).await?;
    bucket.set_with_ttl("k", "v", LONG).await?;
    let handle = bucket.cas("k").await?;
    other.set("k", "v").await?;
    loses(&bucket, "k", handle, Some(b"v")).await
}

/// CAS-2: filling a vacancy is a write.
pub(super) async fn fill_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    for ttl in [None, Some(LONG)] {
        let handle = bucket.cas("k").await?;
        let GetOrSet::Vacant(vacancy) = other.get_or_set("k").await? else {
            return Err(Stop::failed("get_or_set of an absent key: expected a vacancy, found a value"));
        };
        ensure_eq!(vacancy.fill("v", ttl).await?, Fill::Stored);
        loses(&bucket, "k", handle, Some(b"v")).await?;
        bucket.delete("k").await?;
    }
    Ok(())
}

/// CAS-2: the end of an entry's time is a write, whether or not anybody looked.
pub(super) async fn expiry_loses(cx: &Context) -> Outcome {
    const TTL: Duration = Duration::from_millis(60);
    let bucket = cx.bucket("b").await?;
    let mut handles = Vec::new();
    for round in 0..4 {
        let key = format!("k{round}");
        // Slow machines may lose the entry before the handle is taken: then it is tried again.
        for _ in 0..50 {
            bucket.set_with_ttl(&key, "v", TTL).await?;
            let deadline = Deadline::after(TTL);
            let handle = bucket.cas(&key).await?;
            if handle.current().is_some() {
                handles.push((key, handle, deadline));
                break;
            }
        }
    }
    ensure_eq!(handles.len(), 4, "handles taken while the entry was there");
    for (at, (key, handle, deadline)) in handles.into_iter().enumerate() {
        deadline.pass().await;
        if at % 2 == 0 {
            ensure_stored(&bucket, &key, None).await?;
        }
        loses(&bucket, &key, handle, None).await?;
    }
    Ok(())
}

/// CAS-2, BKT-3: dropping the bucket is a write to each of its keys; the next write makes it exist again.
pub(super) async fn dropped_bucket_loses(cx: &Context) -> Outcome {
    let (bucket, other) = (cx.bucket("b").await?, cx.bucket("bb").await?);
    bucket.set_many([("k", "v"), ("l", "w")]).await?;
    other.set("k", "kept").await?;
    let (first, second) = (bucket.cas("k").await?, bucket.cas("l").await?);
    let elsewhere = other.cas("k").await?;
    cx.store().drop_bucket("b").await?;
    loses(&bucket, "k", first, None).await?;
    bucket.set("l", "w").await?;
    loses(&bucket, "l", second, Some(b"w")).await?;
    wins(&other, "k", elsewhere, "not dropped").await
}

/// CAS-2: of two handles on one key the second to swap loses, whatever the first wrote.
pub(super) async fn other_handles_swap_loses(cx: &Context) -> Outcome {
    let (bucket, other) = pair(cx).await?;
    for new in ["v", "w"] {
        bucket.set("k", "v").await?;
        let (first, second) = (bucket.cas("k").await?, other.cas("k").await?);
        match first.swap(new).await? {
            CasSwap::Swapped => {}
            CasSwap::Lost(_) => return Err(Stop::failed("the first swap: expected success, found that it lost")),
        }
        loses(&bucket, "k", second, Some(new.as_bytes())).await?;
    }
    Ok(())
}
