use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use kv_core::{Bucket, Event};

use super::elsewhere::{Flavour, elsewhere};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Calls that a busy task may make before another has had its turns: tokio's own budget is 128 a turn.
const CALLS: usize = 3_000;

/// Turns that the other task must have had by then.
const TURNS: usize = 3;

/// Another task of the same runtime, which counts its turns.
#[derive(Clone, Default)]
struct Other(Arc<AtomicUsize>);

impl Other {
    fn start() -> Self {
        let other = Self::default();
        let turns = Arc::clone(&other.0);
        tokio::spawn(async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                step_back().await;
            }
        });
        other
    }

    /// Calls over and over until the other task has had its turns.
    async fn has_turns_beside<F>(&self, what: &str, mut call: impl FnMut() -> F) -> Outcome
    where
        F: Future<Output = Outcome>,
    {
        let before = self.0.load(Ordering::Relaxed);
        for _ in 0..CALLS {
            call().await?;
            if self.0.load(Ordering::Relaxed) >= before + TURNS {
                return Ok(());
            }
        }
        let turns = self.0.load(Ordering::Relaxed) - before;
        Err(Stop::failed(format_args!(
            "expected: {CALLS} calls of {what} on one thread let another task run; found: {turns} turns"
        )))
    }
}

/// Lets others run and is at once ready again. tokio's `yield_now` waits for the runtime's next look at its timers
/// as well, which is not what is tried here.
async fn step_back() {
    let mut is_second = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_second, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// RUN-2: a task that reads without end on a current-thread runtime lets others run.
pub(super) async fn busy_reader_yields(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_many([("k", "v"), ("l", "w")]).await?;
    let has_cache = cx.declared().cache;
    in_one_thread(bucket, move |bucket, other| async move {
        let bucket = &bucket;
        other.has_turns_beside("get", || async { Ok(bucket.get("k").await.map(drop)?) }).await?;
        other.has_turns_beside("get of an absent key", || async { Ok(bucket.get("x").await.map(drop)?) }).await?;
        other.has_turns_beside("exists", || async { Ok(bucket.exists("k").await.map(drop)?) }).await?;
        other.has_turns_beside("get_many", || async { Ok(bucket.get_many(&["k", "l"]).await.map(drop)?) }).await?;
        other.has_turns_beside("keys", || async { Ok(bucket.keys("", None, 10).await.map(drop)?) }).await?;
        if has_cache {
            other.has_turns_beside("ttl", || async { Ok(bucket.ttl("k").await.map(drop)?) }).await?;
            other.has_turns_beside("get_or_set", || async { Ok(bucket.get_or_set("k").await.map(drop)?) }).await?;
        }
        Ok(())
    })
    .await
}

/// RUN-2: a task that writes without end on a current-thread runtime lets others run.
pub(super) async fn busy_writer_yields(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let is_atomic = cx.declared().atomic;
    in_one_thread(bucket, move |bucket, other| async move {
        let bucket = &bucket;
        other.has_turns_beside("set", || async { Ok(bucket.set("k", "v").await?) }).await?;
        other.has_turns_beside("delete", || async { Ok(bucket.delete("absent").await?) }).await?;
        other.has_turns_beside("set_many", || async { Ok(bucket.set_many([("k", "v"), ("l", "w")]).await?) }).await?;
        other.has_turns_beside("delete_many", || async { Ok(bucket.delete_many(&["x", "y"]).await?) }).await?;
        if is_atomic {
            other.has_turns_beside("increment", || async { Ok(bucket.increment("n", 1).await.map(drop)?) }).await?;
            other
                .has_turns_beside("a failed compare_and_swap", || async {
                    Ok(bucket.compare_and_swap("k", Some(b"?"), None).await.map(drop)?)
                })
                .await?;
            other.has_turns_beside("cas", || async { Ok(bucket.cas("k").await.map(drop)?) }).await?;
        }
        ensure_eq!(bucket.get("k").await?.as_deref(), Some(&b"v"[..]));
        Ok(())
    })
    .await
}

/// RUN-2: a task that has much to read from a watch lets others run meanwhile.
pub(super) async fn busy_watcher_yields(cx: &Context) -> Outcome {
    // Under the 1,024 that a reader may be behind, and several times tokio's budget.
    const EVENTS: usize = 1_000;
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    bucket.set_many((0..EVENTS).map(|n| (format!("k{n}"), "v"))).await?;
    let turns = in_one_thread_with(bucket, move |_, other| async move {
        let before = other.0.load(Ordering::Relaxed);
        let mut seen = 0;
        while seen < EVENTS {
            match super::elsewhere::in_time("1,000 writes are shown", events.next()).await? {
                Some(Event::Set { .. }) => seen += 1,
                other => return Err(Stop::failed(format_args!("expected: a write is shown; found: {other:?}"))),
            }
        }
        Ok(other.0.load(Ordering::Relaxed) - before)
    })
    .await?;
    ensure!(turns >= TURNS, "expected: a reader of 1,000 queued events lets another task run; found: {turns} turns");
    Ok(())
}

async fn in_one_thread<F>(bucket: Bucket, work: impl FnOnce(Bucket, Other) -> F + Send + 'static) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    in_one_thread_with(bucket, work).await
}

/// Runs the work as a task of a current-thread runtime, beside the other one.
async fn in_one_thread_with<T, F>(
    bucket: Bucket,
    work: impl FnOnce(Bucket, Other) -> F + Send + 'static,
) -> Result<T, Stop>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Stop>> + Send + 'static,
{
    elsewhere(Flavour::CurrentThread, async move {
        let busy = tokio::spawn(work(bucket, Other::start()));
        busy.await.map_err(|error| Stop::failed(format_args!("the busy task ended: {error}")))?
    })
    .await
}
