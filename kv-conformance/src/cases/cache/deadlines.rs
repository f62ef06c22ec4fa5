//! Deadlines: given, told, moved, cleared and kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Bucket, CasSwap, Effect, ErrorKind, GetOrSet, MAX_TTL, Swap, Ttl};

use super::super::atomic::stored::ensure_stored;
use super::super::cancellation::polls::Stepped;
use super::super::store::entries::joined;
use super::clock::{Deadline, LONG, SHORT, left};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// TTL-3: `Absent`, `Forever`, or what is left: no more than was given, and less as time goes.
pub(super) async fn ttl_has_three_forms(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    ensure_eq!(bucket.ttl("k").await?, Ttl::Absent);
    bucket.set("k", "").await?;
    ensure_eq!(bucket.ttl("k").await?, Ttl::Forever);
    let started = Instant::now();
    bucket.set_with_ttl("k", "", LONG).await?;
    let first = left(&bucket, "k", LONG).await?;
    let most_passed = started.elapsed() + Duration::from_millis(50);
    ensure!(first + most_passed >= LONG, "expected: about {LONG:?} left; found {first:?} after {most_passed:?}");
    tokio::time::sleep(Duration::from_millis(30)).await;
    let later = left(&bucket, "k", LONG).await?;
    ensure!(
        later + Duration::from_millis(20) <= first,
        "expected: less left than {first:?} after 30 ms; found {later:?}"
    );
    // In milliseconds, not in seconds.
    let given = Duration::from_millis(123_456);
    let started = Instant::now();
    bucket.set_with_ttl("odd", "", given).await?;
    let odd = left(&bucket, "odd", given).await?;
    let most_passed = started.elapsed() + Duration::from_millis(50);
    ensure!(odd + most_passed >= given, "expected: about {given:?} left; found {odd:?} after {most_passed:?}");
    bucket.delete("k").await?;
    ensure_eq!(bucket.ttl("k").await?, Ttl::Absent, "ttl after a delete");
    Ok(())
}

/// TTL-3: what is left is at least 1 ms until the entry is absent; never 0, and never `Forever`.
pub(super) async fn ttl_is_never_zero(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    // Often, because a busy machine may pass over an entry's last millisecond.
    const LIFE: Duration = Duration::from_millis(8);
    let mut looks = 0;
    for _ in 0..30 {
        bucket.set_with_ttl("k", "v", LIFE).await?;
        let deadline = Instant::now() + LIFE;
        loop {
            let asked = Instant::now();
            match bucket.ttl("k").await? {
                Ttl::Absent => break,
                Ttl::Left(left) => {
                    looks += 1;
                    ensure!(left >= Duration::from_millis(1), "expected: at least 1 ms left; found {left:?}");
                    let late = asked.saturating_duration_since(deadline);
                    ensure!(
                        late < Duration::from_millis(30),
                        "expected: absent from the deadline; found {left:?} left {late:?} later"
                    );
                }
                Ttl::Forever => return Err(Stop::failed("expected: a deadline; found Forever")),
            }
            tokio::task::yield_now().await;
        }
    }
    // A machine that stalls at each of the turns shows nothing.
    if looks == 0 {
        return Err(Stop::Inconclusive("each entry had expired before its time left could be asked for".to_owned()));
    }
    Ok(())
}

/// TTL-1: 0, less than 1 ms and more than 10 years are `InvalidArgument`, and change nothing.
pub(super) async fn times_out_of_range(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("there", "old").await?;
    let out = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999_999),
        MAX_TTL + Duration::from_millis(1),
        Duration::from_secs(100 * 365 * 24 * 3_600),
        Duration::from_millis(u64::MAX),
        Duration::MAX,
    ];
    for ttl in out {
        for key in ["there", "absent"] {
            invalid(bucket.set_with_ttl(key, "new", ttl).await, "set_with_ttl", ttl)?;
        }
        let GetOrSet::Vacant(vacancy) = bucket.get_or_set("absent").await? else {
            return Err(Stop::failed("get_or_set of an absent key: expected a vacancy, found a value"));
        };
        invalid(vacancy.fill("new", Some(ttl)).await, "fill", ttl)?;
        ensure_stored(&bucket, "absent", None).await?;
        ensure_stored(&bucket, "there", Some(b"old")).await?;
        ensure_eq!(bucket.ttl("there").await?, Ttl::Forever, "ttl after a refused deadline");
    }
    Ok(())
}

fn invalid<T>(ended: kv_core::Result<T>, what: &str, ttl: Duration) -> Outcome {
    match ended {
        Ok(_) => {
            Err(Stop::failed(format_args!("{what} for {ttl:?}: expected the error InvalidArgument, found success")))
        }
        Err(error) => {
            ensure_eq!(error.kind(), ErrorKind::InvalidArgument, "the error of {what} for {ttl:?}");
            ensure_eq!(error.effect(), Effect::None, "the effect of {what} for {ttl:?}");
            Ok(())
        }
    }
}

/// TTL-1: 1 ms expires at once, 10 years do not, and what does not fit 32 bits of milliseconds or seconds is kept.
pub(super) async fn ttl_of_extremes(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let long = [
        Duration::from_millis(i32::MAX as u64 + 1),
        Duration::from_millis(u64::from(u32::MAX) + 1),
        Duration::from_secs(365 * 24 * 3_600),
        MAX_TTL,
    ];
    for ttl in long {
        bucket.set_with_ttl("k", "v", ttl).await?;
        let found = left(&bucket, "k", ttl).await?;
        ensure!(found + Duration::from_secs(60) > ttl, "expected: about {ttl:?} left; found {found:?}");
        ensure_stored(&bucket, "k", Some(b"v")).await?;
    }
    for shortest in [Duration::from_millis(1), Duration::from_micros(1_999)] {
        bucket.set_with_ttl("k", "v", shortest).await?;
        Deadline::after(shortest).pass().await;
        ensure_stored(&bucket, "k", None).await?;
    }
    Ok(())
}

/// TTL-1: deadlines outlive a close and reopening: no entry gains or loses time.
pub(super) async fn restart_keeps_the_deadline(cx: &Context) -> Outcome {
    const SOON: Duration = Duration::from_millis(400);
    let bucket = cx.bucket("b").await?;
    bucket.set("forever", "v").await?;
    bucket.set_with_ttl("later", "v", LONG).await?;
    bucket.set_with_ttl("cleared", "v", SOON).await?;
    bucket.set("cleared", "v").await?;
    bucket.set_with_ttl("soon", "v", SOON).await?;
    let soon = Deadline::after(SOON);
    let before = left(&bucket, "later", LONG).await?;
    let mut bucket = cx.reopen().await?.open_bucket("b").await?;
    for _ in 0..2 {
        let after = left(&bucket, "later", before).await?;
        ensure!(
            after + Duration::from_secs(60) > before,
            "expected: about {before:?} left after reopening; found {after:?}"
        );
        ensure_eq!(bucket.ttl("forever").await?, Ttl::Forever, "ttl after reopening");
        ensure_eq!(bucket.ttl("cleared").await?, Ttl::Forever, "ttl of a cleared deadline after reopening");
        bucket = cx.reopen().await?.open_bucket("b").await?;
    }
    soon.pass().await;
    ensure_stored(&bucket, "soon", None).await?;
    for key in ["forever", "later", "cleared"] {
        ensure_stored(&bucket, key, Some(b"v")).await?;
    }
    Ok(())
}

/// TTL-1: value and deadline are one step: nobody ever sees the new entry without its deadline, not between two polls
/// of the write, nor beside a task that writes.
pub(super) async fn value_and_deadline_together(cx: &Context) -> Outcome {
    const ENTRIES: usize = 200;
    const ENOUGH: usize = 50;
    let bucket = cx.bucket("b").await?;
    for at in 0..10 {
        let (writer, key) = (bucket.clone(), format!("k{at}"));
        let name = key.clone();
        let mut write = Stepped::new(Box::pin(async move { writer.set_with_ttl(&name, "v", LONG).await }));
        loop {
            let ended = write.step().await?.transpose()?;
            has_its_deadline(&bucket, &key).await?;
            if ended.is_some() {
                break;
            }
        }
        left(&bucket, &key, LONG).await?;
    }
    let done = Arc::new(AtomicBool::new(false));
    let (writer, stop) = (bucket.clone(), Arc::clone(&done));
    let writes = tokio::spawn(async move {
        let mut ended = Ok(());
        // Made anew each time, so that no older deadline covers up.
        for at in 0..ENTRIES {
            ended = ended.and(writer.set_with_ttl("k", at.to_string(), LONG).await);
            tokio::task::yield_now().await;
            ended = ended.and(writer.delete("k").await);
        }
        stop.store(true, Ordering::Release);
        Ok(ended?)
    });
    let mut looks = 0;
    while !done.load(Ordering::Acquire) || looks < ENOUGH {
        looks += 1;
        has_its_deadline(&bucket, "k").await?;
        tokio::task::yield_now().await;
    }
    joined(writes).await
}

async fn has_its_deadline(bucket: &Bucket, key: &str) -> Outcome {
    ensure!(
        bucket.ttl(key).await? != Ttl::Forever,
        "expected: an entry has its deadline from the first; found Forever"
    );
    Ok(())
}

/// TTL-1: `set_with_ttl` replaces an older deadline, by a later and by a sooner one, and an entry without one.
pub(super) async fn deadline_is_replaced(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("k", "no deadline").await?;
    bucket.set_with_ttl("k", "long", LONG).await?;
    left(&bucket, "k", LONG).await?;
    bucket.set_with_ttl("k", "longer", LONG * 2).await?;
    let longer = left(&bucket, "k", LONG * 2).await?;
    ensure!(longer > LONG, "expected: more than {LONG:?} left after a later deadline; found {longer:?}");
    bucket.set_with_ttl("k", "long", LONG).await?;
    left(&bucket, "k", LONG).await?;
    // The sooner deadline passes and takes nothing with it.
    bucket.set_with_ttl("saved", "short", SHORT).await?;
    bucket.set_with_ttl("saved", "long", LONG).await?;
    bucket.set_with_ttl("doomed", "long", LONG).await?;
    bucket.set_with_ttl("doomed", "short", SHORT).await?;
    Deadline::after(SHORT).pass().await;
    ensure_stored(&bucket, "saved", Some(b"long")).await?;
    ensure_stored(&bucket, "doomed", None).await
}

/// TTL-3: `set`, `set_many`, and a delete with a new `set` clear the deadline; the entry outlives it.
pub(super) async fn writes_clear_the_deadline(cx: &Context) -> Outcome {
    const SOON: Duration = Duration::from_millis(150);
    let bucket = cx.bucket("b").await?;
    for (key, ttl) in
        ["set", "set_many", "recreated", "same bytes"].into_iter().flat_map(|key| [(key, LONG), (key, SOON)])
    {
        bucket.set_with_ttl(key, "v", ttl).await?;
        match key {
            "set" => bucket.set(key, "w").await?,
            "set_many" => bucket.set_many([(key, "w"), ("another", "w")]).await?,
            "same bytes" => bucket.set(key, "v").await?,
            _ => {
                bucket.delete(key).await?;
                bucket.set(key, "w").await?;
            }
        }
        ensure_eq!(bucket.ttl(key).await?, Ttl::Forever, "ttl after {key}");
    }
    Deadline::after(SOON).pass().await;
    for (key, value) in [("set", "w"), ("set_many", "w"), ("recreated", "w"), ("same bytes", "v")] {
        ensure_stored(&bucket, key, Some(value.as_bytes())).await?;
    }
    Ok(())
}

/// TTL-3: successful swaps clear the deadline, by value and by handle; failed ones leave it.
pub(super) async fn swaps_clear_the_deadline(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_with_ttl("k", "v", LONG).await?;
    let stale = bucket.cas("k").await?;
    bucket.set_with_ttl("k", "v", LONG).await?;
    bucket.compare_and_swap("k", Some(b"other"), Some("w".into())).await?;
    left(&bucket, "k", LONG).await?;
    ensure!(matches!(stale.swap("w").await?, CasSwap::Lost(_)), "expected: a swap after a write loses; found success");
    left(&bucket, "k", LONG).await?;
    for new in ["w", "v"] {
        bucket.set_with_ttl("k", "v", LONG).await?;
        ensure_eq!(bucket.compare_and_swap("k", Some(b"v"), Some(new.into())).await?, Swap::Swapped);
        ensure_eq!(bucket.ttl("k").await?, Ttl::Forever, "ttl after compare_and_swap to {new:?}");
        bucket.set_with_ttl("k", "v", LONG).await?;
        let handle = bucket.cas("k").await?;
        ensure!(matches!(handle.swap(new).await?, CasSwap::Swapped), "expected: the swap succeeds; found: it lost");
        ensure_eq!(bucket.ttl("k").await?, Ttl::Forever, "ttl after a handle's swap to {new:?}");
    }
    Ok(())
}

/// TTL-3: an increment, by 0 too and a failed one, keeps the deadline, and the counter expires with it.
pub(super) async fn increment_keeps_the_deadline(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_with_ttl("n", "1", LONG).await?;
    let mut most = LONG;
    for delta in [1, 0, -5] {
        bucket.increment("n", delta).await?;
        most = left(&bucket, "n", most).await?;
    }
    ensure_stored(&bucket, "n", Some(b"-3")).await?;
    bucket.set_with_ttl("n", "text", LONG).await?;
    let refused = bucket.increment("n", 1).await.err().map(|error| error.kind());
    ensure_eq!(refused, Some(ErrorKind::NotANumber), "the error of an increment");
    left(&bucket, "n", LONG).await?;
    bucket.set_with_ttl("due", "1", SHORT).await?;
    let deadline = Deadline::after(SHORT);
    bucket.increment("due", 1).await?;
    deadline.pass().await;
    // On a slow machine the increment may have come after the deadline and begun anew, for ever.
    let found = bucket.get("due").await?;
    ensure!(found.as_deref() != Some(b"2"), "expected: the counter expires with its deadline; found: 2");
    bucket.set("forever", "1").await?;
    bucket.increment("forever", 1).await?;
    ensure_eq!(bucket.ttl("forever").await?, Ttl::Forever, "ttl of an incremented counter without a deadline");
    Ok(())
}
