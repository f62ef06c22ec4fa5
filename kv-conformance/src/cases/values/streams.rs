use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use kv_core::{CasSwap, Effect, Error, ErrorKind, GetOrSet, IncomingValue, OutgoingValue};

use super::super::store::entries::{ensure_bytes, listed, noise};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// What a broken stream says; it must come back as it is.
const BROKEN: &str = "the stream of this case broke, as it was meant to";

/// A value in pieces, each of which becomes ready only at a second poll.
fn streamed(pieces: Vec<Bytes>) -> OutgoingValue {
    OutgoingValue::from_stream(stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        Ok(piece)
    }))
}

/// A stream that gives some bytes and then fails.
fn broken() -> OutgoingValue {
    let pieces = [Ok(noise(1, 1_000)), Err(Error::new(ErrorKind::Other, Effect::None, BROKEN)), Ok(noise(2, 1_000))];
    OutgoingValue::from_stream(stream::iter(pieces))
}

/// RW-2: a streamed value is the sum of its pieces: none, empty ones, single bytes, many, large.
pub(super) async fn streamed_values(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let whole = noise(5, 300_000);
    let cut = |sizes: &[usize]| {
        let mut rest = whole.clone();
        let mut pieces: Vec<Bytes> = sizes.iter().map(|size| rest.split_to((*size).min(rest.len()))).collect();
        pieces.push(rest);
        pieces
    };
    let shapes: [Vec<Bytes>; 7] = [
        Vec::new(),
        vec![Bytes::new(), Bytes::new()],
        vec![whole.clone()],
        cut(&[0, 1, 0, 1, 65_536, 0, 65_537]),
        cut(&[7; 5_000]),
        vec![Bytes::new(), whole.clone(), Bytes::new()],
        (0..=255).map(|byte| Bytes::from(vec![byte])).collect(),
    ];
    for pieces in shapes {
        let expected = pieces.concat();
        let what = format!("a value streamed in {} pieces", pieces.len());
        bucket.set("single", streamed(pieces.clone())).await?;
        ensure_bytes(&what, bucket.get("single").await?.as_ref(), &expected)?;
        bucket.set_many([("first", streamed(pieces.clone())), ("second", "beside".into())]).await?;
        ensure_bytes(&what, bucket.get("first").await?.as_ref(), &expected)?;
        ensure_bytes("the value beside it", bucket.get("second").await?.as_ref(), b"beside")?;
        if cx.declared().atomic {
            let handle = bucket.cas("single").await?;
            let swapped = matches!(handle.swap(streamed(pieces.clone())).await?, CasSwap::Swapped);
            ensure!(swapped, "expected: a swap of {what} succeeds; found: it lost");
            ensure_bytes(&what, bucket.get("single").await?.as_ref(), &expected)?;
        }
        if cx.declared().cache {
            bucket.set_with_ttl("cached", streamed(pieces), Duration::from_secs(600)).await?;
            ensure_bytes(&what, bucket.get("cached").await?.as_ref(), &expected)?;
        }
    }
    Ok(())
}

/// RW-6: where a value's stream fails, the write fails with the stream's own error and the old value stays, whole.
pub(super) async fn failing_stream_writes_nothing(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "old").await?;
    bucket.set("l", "old").await?;
    let mut failed = vec![
        ("set", bucket.set("k", broken()).await.err()),
        ("set of an absent key", bucket.set("new", broken()).await.err()),
        ("set_many, last", bucket.set_many([("k", "new".into()), ("new", "new".into()), ("l", broken())]).await.err()),
        ("set_many, first", bucket.set_many([("k", broken()), ("new", "new".into())]).await.err()),
    ];
    if cx.declared().atomic {
        failed.push(("compare_and_swap", bucket.compare_and_swap("k", Some(b"old"), Some(broken())).await.err()));
        failed.push(("creation by compare_and_swap", bucket.compare_and_swap("new", None, Some(broken())).await.err()));
        failed.push(("swap", bucket.cas("k").await?.swap(broken()).await.err()));
    }
    if cx.declared().cache {
        failed.push(("set_with_ttl", bucket.set_with_ttl("k", broken(), Duration::from_secs(600)).await.err()));
        let GetOrSet::Vacant(vacancy) = bucket.get_or_set("new").await? else {
            return Err(Stop::failed("expected: an absent key is vacant; found: occupied"));
        };
        failed.push(("fill", vacancy.fill(broken(), None).await.err()));
    }
    for (call, error) in failed {
        let Some(error) = error else {
            return Err(Stop::failed(format_args!("{call} of a broken stream: expected its error, found success")));
        };
        ensure_eq!(error.to_string(), BROKEN, "the error of {call} of a broken stream");
    }
    ensure_eq!(listed(&bucket, "").await?, ["k", "l"].map(String::from).to_vec());
    for key in ["k", "l"] {
        ensure_bytes("the old value", bucket.get(key).await?.as_ref(), b"old")?;
    }
    // No lock, place or half-written record is left behind.
    bucket.set("k", streamed(vec!["ne".into(), "w".into()])).await?;
    ensure_bytes("a write after failed ones", bucket.get("k").await?.as_ref(), b"new")
}

/// LIM-2, RW-6: a stream over the value limit is refused as soon as it passes it, and nothing changes; one of exactly
/// the limit goes through.
pub(super) async fn stream_over_the_limit(cx: &Context) -> Outcome {
    const LIMIT: usize = 100_000;
    const PIECE: usize = 1_000;
    let mut limits = cx.store().limits().clone();
    limits.value_bytes = LIMIT;
    let bucket = cx.store().with_limits(limits)?.open_bucket("b").await?;
    bucket.set("k", "old").await?;
    let given = Arc::new(AtomicUsize::new(0));
    let endless = || {
        let given = Arc::clone(&given);
        OutgoingValue::from_stream(stream::repeat_with(move || {
            given.fetch_add(PIECE, Ordering::Relaxed);
            Ok(Bytes::from(vec![7; PIECE]))
        }))
    };
    let writes = 2;
    for error in [
        ensure_kind!(bucket.set("k", endless()).await, LimitExceeded),
        ensure_kind!(bucket.set_many([("new", "new".into()), ("k", endless())]).await, LimitExceeded),
    ] {
        ensure_eq!(error.effect(), Effect::None, "the effect of a stream over the limit");
        ensure!(error.to_string().contains("100000"), "expected: the error names the limit; found: {error}");
    }
    let read = given.load(Ordering::Relaxed);
    ensure_eq!(read, writes * (LIMIT + PIECE), "bytes taken from streams without an end");
    ensure_eq!(listed(&bucket, "").await?, vec!["k".to_owned()]);
    ensure_bytes("the old value", bucket.get("k").await?.as_ref(), b"old")?;
    let exact = vec![Bytes::from(vec![8; PIECE]); LIMIT / PIECE];
    bucket.set("k", streamed(exact)).await?;
    ensure_bytes("a stream of exactly the limit", bucket.get("k").await?.as_ref(), &[8; LIMIT])?;
    let one_more = vec![Bytes::from(vec![9; LIMIT]), Bytes::from_static(b"x")];
    ensure_kind!(bucket.set("k", streamed(one_more)).await, LimitExceeded);
    ensure_bytes("the value after one byte too many", bucket.get("k").await?.as_ref(), &[8; LIMIT])
}

/// RW-2: a value read as a body comes whole, in order, in pieces that are neither empty nor over 64 KiB.
pub(super) async fn body_comes_in_pieces(cx: &Context) -> Outcome {
    const MOST: usize = 64 << 10;
    let bucket = cx.bucket("b").await?;
    for len in [0, 1, MOST - 1, MOST, MOST + 1, 3 * MOST, 1_000_000] {
        let value = noise(6, len);
        bucket.set("k", value.clone()).await?;
        let read = bucket.get("k").await?.unwrap_or_default();
        ensure_eq!(read.size(), len as u64, "the size of the value");
        let pieces: Vec<Bytes> = read.into_body().collect().await;
        ensure_eq!(pieces.len(), len.div_ceil(MOST), "the number of pieces of {len} bytes");
        ensure!(
            pieces.iter().all(|piece| (1..=MOST).contains(&piece.len())),
            "expected: pieces of 1 byte to 64 KiB; found: {:?}",
            pieces.iter().map(Bytes::len).collect::<Vec<_>>()
        );
        ensure_bytes("the sum of the pieces", Some(&IncomingValue::from(Bytes::from(pieces.concat()))), &value)?;
        // A body straight into another write.
        let body = bucket.get("k").await?.unwrap_or_default().into_body();
        bucket.set("copy", OutgoingValue::from_stream(body.map(Ok))).await?;
        ensure_bytes("a body written again", bucket.get("copy").await?.as_ref(), &value)?;
    }
    Ok(())
}
