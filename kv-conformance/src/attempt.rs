//! One case, once: on a namespace, a thread and a runtime of its own, for a bounded time.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::panics::{self, Panics};
use crate::{Case, Context, Harness, Outcome, Stop, turn};

/// How long closing the store may take, and removing the namespace.
const CLOSE: Duration = Duration::from_secs(10);

/// How long a blocked thread is waited for beyond the limits: the timers need the thread to fire.
const GRACE: Duration = Duration::from_secs(2);

/// How one case ended, and how long it took.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// Runs the case once, for at most `limit`. Blocks the thread.
pub(crate) fn attempt(harness: &Arc<dyn Harness>, case: &'static Case, seed: u64, limit: Duration) -> Ended {
    if let Some(reason) = case.needs.missing(&harness.declared()) {
        return Ended { outcome: Err(Stop::NotApplicable(reason.to_owned())), took: Duration::ZERO };
    }
    let _turn = turn::take(case.exclusive);
    let started = Instant::now();
    let (tell, told) = mpsc::sync_channel(1);
    let harness = Arc::clone(harness);
    let spawned = thread::Builder::new().name(case.name.to_owned()).spawn(move || {
        // Nobody listens any more if the time was up.
        let _ = tell.send(on_own_runtime(&*harness, case, seed, limit));
    });
    let outcome = match spawned {
        Err(error) => Err(Stop::Inconclusive(format!("no thread could be started for the case: {error}"))),
        Ok(_) => match told.recv_timeout((limit + CLOSE) * 2 + GRACE) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => Err(Stop::Failed(format!(
                "expected: no call blocks its thread; found: the case did not end within {limit:?}, and its thread is blocked"
            ))),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Stop::Failed("expected: no panic; found: the case's thread died of one".to_owned()))
            }
        },
    };
    Ended { outcome, took: started.elapsed() }
}

fn on_own_runtime(harness: &dyn Harness, case: &Case, seed: u64, limit: Duration) -> Outcome {
    let panics = Panics::default();
    panics.own_this_thread();
    let of_workers = panics.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_name(case.name)
        .on_thread_start(move || of_workers.own_this_thread())
        .build()
        .map_err(|error| Stop::Inconclusive(format!("no runtime could be started for the case: {error}")))?;
    let outcome = runtime.block_on(live(harness, case, seed, limit, &panics));
    // Not dropped: that would wait for threads that a case has left blocked.
    runtime.shutdown_background();
    with_panics(outcome, &panics.texts())
}

async fn live(harness: &dyn Harness, case: &Case, seed: u64, limit: Duration, panics: &Panics) -> Outcome {
    let begun = bounded(limit, "opening a fresh namespace", panics, Context::new(harness, seed)).await?;
    let cx = begun.map_err(|error| {
        Stop::Failed(format!(
            "expected: a fresh namespace opens; found: {} (effect {:?}): {}",
            error.kind(),
            error.effect(),
            error.trace()
        ))
    })?;
    let outcome = bounded(limit, "the case", panics, case.run(&cx)).await.flatten();
    let closed = orderly(bounded(CLOSE, "closing the store after the case", panics, cx.close()).await);
    let removed = orderly(bounded(CLOSE, "removing the case's namespace", panics, cx.remove()).await);
    outcome.and(closed).and(removed)
}

fn orderly(ended: Result<kv_core::Result<()>, Stop>) -> Outcome {
    ended?.map_err(|error| {
        Stop::Failed(format!(
            "expected: the store closes and is removed after the case; found: {}: {}",
            error.kind(),
            error.trace()
        ))
    })
}

/// Drives the future for at most `limit`; a panic and the end of the time are failures.
async fn bounded<T>(limit: Duration, what: &str, panics: &Panics, work: impl Future<Output = T>) -> Result<T, Stop> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(payload)) => {
            let text = panics.texts().pop().unwrap_or_else(|| panics::message(&*payload));
            Err(Stop::Failed(format!("expected: no panic; found: {what} panicked: {text}")))
        }
        Err(_) => Err(Stop::Failed(format!("expected: an end; found: {what} did not end within {limit:?}"))),
    }
}

/// A panic on the case's runtime that the case itself did not see fails it all the same.
fn with_panics(outcome: Outcome, texts: &[String]) -> Outcome {
    let Some(last) = texts.last() else { return outcome };
    match outcome {
        Ok(()) => Err(Stop::Failed(format!("expected: no panic; found: a task panicked: {last}"))),
        Err(Stop::Failed(what)) if !what.contains(last) => {
            Err(Stop::Failed(format!("{what}; a task panicked: {last}")))
        }
        other => other,
    }
}
