//! Handles as things: what they hold, how many there may be, how long they last.

use bytes::Bytes;
use futures_util::stream;
use kv_core::{CasSwap, Effect, Error, ErrorKind, OutgoingValue, Ttl};

use super::super::atomic::stored::{ensure_stored, ensure_value};
use super::super::store::entries::{joined, noise, prompt};
use super::swaps::{loses, wins};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// CAS-2: `current` is the value as it was when the handle was taken, and stays that.
pub(super) async fn current_is_the_value_taken(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let long = noise(3, 70_000);
    let values: [Option<&[u8]>; 5] = [None, Some(b""), Some(b"v"), Some(b"\0\xff\r\n"), Some(&long)];
    for value in values {
        match value {
            Some(value) => bucket.set("k", value).await?,
            None => bucket.delete("k").await?,
        }
        let handle = bucket.cas("k").await?;
        ensure_value("current", handle.current(), value)?;
        bucket.set("k", "changed").await?;
        ensure_value("current after another's write", handle.current(), value)?;
        loses(&bucket, "k", handle, Some(b"changed")).await?;
    }
    Ok(())
}

/// CAS-3: the value of a successful swap is what every reader sees: by `get`, in a batch, by a handle, in a listing.
pub(super) async fn swap_is_what_readers_see(cx: &Context) -> Outcome {
    let (bucket, reader) = (cx.bucket("b").await?, cx.bucket("b").await?);
    let long = noise(5, 100_000);
    let values: [&[u8]; 5] = [b"first", b"", b"\0\xff", &long, b"last"];
    for value in values {
        match bucket.cas("k").await?.swap(value).await? {
            CasSwap::Swapped => {}
            CasSwap::Lost(_) => return Err(Stop::failed("an undisturbed swap: expected success, found that it lost")),
        }
        ensure_stored(&reader, "k", Some(value)).await?;
        let many = reader.get_many(&["absent", "k"]).await?;
        ensure_value("get_many", many.get(1).and_then(Option::as_ref), Some(value))?;
        ensure_value("the next handle's current", reader.cas("k").await?.current(), Some(value))?;
        ensure_eq!(reader.keys("", None, None).await?.keys, ["k"]);
    }
    if cx.declared().cache {
        ensure_eq!(bucket.ttl("k").await?, Ttl::Forever);
    }
    let kept = cx.reopen().await?.open_bucket("b").await?;
    ensure_stored(&kept, "k", Some(b"last")).await
}

/// CAS-3: a swap whose value is refused, or whose stream fails, writes nothing and uses the handle up.
pub(super) async fn swap_of_refused_value(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let watching = bucket.cas("k").await?;
    let over = Bytes::from(vec![0; cx.store().limits().value_bytes + 1]);
    let error = ensure_kind!(bucket.cas("k").await?.swap(over).await, LimitExceeded);
    ensure_eq!(error.effect(), Effect::None, "the effect of a swap over the value limit");
    let pieces =
        [Ok(Bytes::from_static(b"half")), Err(Error::new(ErrorKind::Timeout, Effect::None, "the source stalled"))];
    let broken = OutgoingValue::from_stream(stream::iter(pieces));
    ensure_kind!(bucket.cas("k").await?.swap(broken).await, Timeout);
    ensure_stored(&bucket, "k", Some(b"v")).await?;
    wins(&bucket, "k", watching, "undisturbed").await
}

/// CAS-3: many handles on one key: exactly one swap succeeds, and each of the others works once it is fresh.
pub(super) async fn handles_on_one_key(cx: &Context) -> Outcome {
    const HANDLES: usize = 50;
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let mut handles = Vec::new();
    for _ in 0..HANDLES {
        handles.push(bucket.cas("k").await?);
    }
    let mut rest = handles.split_off(1);
    for first in handles {
        wins(&bucket, "k", first, "first").await?;
    }
    let last = rest.split_off(HANDLES - 11);
    drop(rest);
    ensure_eq!(last.len(), 10, "handles left");
    for handle in last {
        let winner = bucket.get("k").await?;
        loses(&bucket, "k", handle, winner.as_deref()).await?;
    }
    Ok(())
}

/// CAS-3: handles taken and dropped by the thousand, on one key and on many, lost swaps among them, leave nothing.
pub(super) async fn dropped_handles_leave_nothing(cx: &Context) -> Outcome {
    const ROUNDS: usize = 3_000;
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let survivor = bucket.cas("survivor").await?;
    for round in 0..ROUNDS {
        drop(bucket.cas("k").await?);
        drop(bucket.cas(&format!("k{round}")).await?);
        if round % 30 == 0 {
            let stale = bucket.cas("k").await?;
            bucket.set("k", format!("round {round}")).await?;
            match stale.swap("late").await? {
                CasSwap::Lost(fresh) => drop(fresh),
                CasSwap::Swapped => {
                    return Err(Stop::failed("a swap after a write: expected that it loses, found success"));
                }
            }
        }
    }
    ensure_eq!(bucket.keys("", None, None).await?.keys, ["k"], "the keys after {ROUNDS} rounds of handles");
    wins(&bucket, "survivor", survivor, "good").await?;
    let handle = prompt("one more handle", bucket.cas("k").await?.swap("good")).await??;
    ensure!(matches!(handle, CasSwap::Swapped), "expected: the last handle's swap succeeds; found: it lost");
    ensure_stored(&bucket, "k", Some(b"good")).await
}

/// LIM-1: 1,024 handles live at once, each good; one more is refused; a swap, won or lost and dropped, and a drop
/// free their places.
pub(super) async fn handles_free_their_place(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let most = cx.store().limits().cas_handles;
    let mut handles = Vec::with_capacity(most);
    for at in 0..most {
        handles.push(bucket.cas(&format!("k{}", at / 2)).await?);
    }
    let error = ensure_kind!(bucket.cas("one more").await, LimitExceeded);
    ensure_eq!(error.effect(), Effect::None, "the effect of a handle refused");
    ensure!(
        error.trace().contains(&most.to_string()),
        "expected: the refusal names the limit of {most}; found: {}",
        error.trace()
    );
    ensure_kind!(cx.bucket("another").await?.cas("one more").await, LimitExceeded);
    // Other calls are not counted.
    bucket.set("one more", "v").await?;
    // Handles on one key by twos: the first wins, the second loses, is fresh, and wins.
    let mut handles = handles.into_iter();
    for at in 0..20 {
        let key = format!("k{at}");
        let (Some(first), Some(second)) = (handles.next(), handles.next()) else { break };
        wins(&bucket, &key, first, "first").await?;
        loses(&bucket, &key, second, Some(b"first")).await?;
    }
    let mut again = Vec::new();
    for _ in 0..40 {
        again.push(bucket.cas("one more").await?);
    }
    ensure_kind!(bucket.cas("one more").await, LimitExceeded);
    again.truncate(39);
    wins(&bucket, "one more", bucket.cas("one more").await?, "good").await?;
    drop((again, handles));
    let fresh = bucket.cas("k0").await?;
    ensure_value("current", fresh.current(), Some(b"by the fresh handle"))
}

/// CAS-2: a handle from before a close fails with `Unavailable` or loses, and never applies, also once the store is
/// open again.
pub(super) async fn handle_after_close(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "v").await?;
    let (before, after) = (bucket.cas("k").await?, bucket.cas("k").await?);
    // A swap that waits in another task while the store closes.
    let beside = bucket.cas("beside").await?;
    let racing = tokio::spawn(async move { Ok(beside.swap("raced").await) });
    cx.store().close().await?;
    let raced = matches!(joined(racing).await?, Ok(CasSwap::Swapped));
    refused(prompt("a swap after close", before.swap("late")).await?)?;
    let reopened = cx.reopen().await?.open_bucket("b").await?;
    refused(prompt("a swap after reopening", after.swap("late")).await?)?;
    ensure_stored(&reopened, "k", Some(b"v")).await?;
    if raced {
        ensure_stored(&reopened, "beside", Some(b"raced")).await?;
    }
    let handle = reopened.cas("k").await?;
    prompt("a swap in the reopened store", wins(&reopened, "k", handle, "good")).await?
}

fn refused(ended: kv_core::Result<CasSwap>) -> Outcome {
    match ended {
        Ok(CasSwap::Lost(_)) => Ok(()),
        Ok(CasSwap::Swapped) => Err(Stop::failed("a swap after close: expected the error Unavailable, found success")),
        Err(error) => {
            ensure_eq!(error.kind(), ErrorKind::Unavailable, "the error of a swap after close");
            Ok(())
        }
    }
}
