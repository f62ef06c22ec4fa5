//! Runtimes of our own, each on a plain thread.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::Stop;
use crate::panics::Panics;

/// How long work on another runtime may take before it counts as stuck.
pub(in crate::cases) const PATIENCE: Duration = Duration::from_secs(30);

/// Which of tokio's runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cases) enum Flavour {
    CurrentThread,
    MultiThread,
}

impl Flavour {
    pub(in crate::cases) const BOTH: [Self; 2] = [Self::CurrentThread, Self::MultiThread];

    pub(in crate::cases) fn start(self) -> Result<Runtime, Stop> {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        let panics = Panics::of_this_thread();
        let built = builder.worker_threads(2).enable_all().on_thread_start(move || panics.own_this_thread()).build();
        built.map_err(|error| Stop::Inconclusive(format!("no runtime could be started for the case: {error}")))
    }
}

/// Runs the work on a new runtime of a new thread; runtime and thread have ended when this returns.
pub(in crate::cases) async fn elsewhere<T, F>(flavour: Flavour, work: F) -> Result<T, Stop>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Stop>> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let panics = Panics::of_this_thread();
    let spawned = std::thread::Builder::new().name("case, elsewhere".to_owned()).spawn(move || {
        panics.own_this_thread();
        let done = match flavour.start() {
            Err(stop) => Err(stop),
            Ok(runtime) => {
                let done = runtime.block_on(work);
                // Not dropped in place: that waits for blocking work that a fault may have left stuck.
                runtime.shutdown_timeout(PATIENCE);
                done
            }
        };
        // Nobody listens any more if the time was up.
        let _ = tell.send(done);
    });
    if let Err(error) = spawned {
        return Err(Stop::Inconclusive(format!("no thread could be started for the case: {error}")));
    }
    match tokio::time::timeout(PATIENCE, told).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(Stop::failed(format_args!("expected: work on a {flavour:?} runtime; found: it panicked"))),
        Err(_) => Err(Stop::failed(format_args!(
            "expected: work on a {flavour:?} runtime ends; found: it did not within {PATIENCE:?}"
        ))),
    }
}

/// Waits for something on this runtime, but not for ever.
pub(in crate::cases) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Stop> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => Ok(done),
        Err(_) => Err(Stop::failed(format_args!("expected: {what}; found: not within {PATIENCE:?}"))),
    }
}
