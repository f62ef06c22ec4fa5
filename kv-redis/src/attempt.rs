//! Something that a task makes for all who need it: a connection, a look at where a cluster's slots are.
//!
//! It is a task of its own because a caller that is not polled any more must not hold the others up.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};
use parking_lot::Mutex;
use rand::RngExt;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long callers get the last failure at once, at first and at most. Half of it is chance, so that clients do not come
/// back all together.
const BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_millis(400);

/// How something that a task does for all who wait ended.
pub(crate) type Outcome<T> = watch::Receiver<Option<Result<T, Arc<Error>>>>;

/// What was made last, and the attempt to make it anew.
pub(crate) struct Attempt<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    made: Option<T>,
    running: Option<Outcome<T>>,
    /// Attempts in a row that failed.
    failed: u32,
    /// Until when the last failure is the answer.
    last: Option<(Instant, Arc<Error>)>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { made: None, running: None, failed: 0, last: None }
    }
}

impl<T> Default for Attempt<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Attempt<T> {
    /// What was made last if it is still good.
    pub(crate) fn made(&self, is_good: impl Fn(&T) -> bool) -> Option<T> {
        self.0.lock().made.as_ref().filter(|made| is_good(made)).cloned()
    }

    /// What was made last if it is still good, else what `make` makes on a runtime that does not stop meanwhile; one at a
    /// time makes it.
    pub(crate) async fn get<F>(
        &self,
        runtime: &Handle,
        is_good: impl Fn(&T) -> bool,
        make: impl FnOnce() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let running = {
            let mut state = self.0.lock();
            if let Some(made) = state.made.as_ref().filter(|made| is_good(made)) {
                return Ok(made.clone());
            }
            match (&state.running, &state.last) {
                // The runtime that it ran on may have ended.
                (Some(running), _) if running.borrow().is_some() || running.has_changed().is_ok() => {
                    Ok(running.clone())
                }
                (_, Some((until, error))) if Instant::now() < *until => Err(again(error)),
                _ => {
                    let running = self.start(runtime, make());
                    state.running = Some(running.clone());
                    Ok(running)
                }
            }
        };
        let running = match running {
            Ok(running) => running,
            Err(error) => {
                // A caller that tries without end must not keep its thread.
                tokio::task::consume_budget().await;
                return Err(error);
            }
        };
        outcome(running).await
    }

    /// Lets go of what was made.
    pub(crate) fn forget(&self) -> Option<T> {
        self.0.lock().made.take()
    }

    fn start(&self, runtime: &Handle, make: impl Future<Output = Result<T>> + Send + 'static) -> Outcome<T> {
        let (sender, receiver) = watch::channel(None);
        let state = Arc::clone(&self.0);
        runtime.spawn(async move {
            let done = make.await.map_err(Arc::new);
            let mut state = state.lock();
            state.running = None;
            match &done {
                Ok(made) => *state = State { made: Some(made.clone()), ..State::default() },
                Err(error) => {
                    let wait = BACKOFF.saturating_mul(1 << state.failed.min(5)).min(LONGEST_BACKOFF);
                    state.failed += 1;
                    let chance = rand::rng().random_range(0.5..1.0);
                    state.last = Some((Instant::now() + wait.mul_f64(chance), Arc::clone(error)));
                }
            }
            drop(state);
            // Nobody may be waiting any more.
            let _ = sender.send(Some(done));
        });
        receiver
    }
}

/// Waits for a task that others may be waiting for too.
pub(crate) async fn outcome<T: Clone>(mut of: Outcome<T>) -> Result<T> {
    match of.wait_for(Option::is_some).await.map(|ended| (*ended).clone()) {
        Ok(Some(Ok(done))) => Ok(done),
        Ok(Some(Err(error))) => Err(again(&error)),
        _ => Err(Error::new(ErrorKind::Unavailable, Effect::None, "connecting: the runtime ended before it was done")),
    }
}

/// The same error once more.
fn again(error: &Arc<Error>) -> Error {
    let same = Error::new(error.kind(), error.effect(), error.to_string());
    if error.source().is_some() { same.with_source(Cause(Arc::clone(error))) } else { same }
}

/// The source of an error that several callers get.
#[derive(Debug)]
struct Cause(Arc<Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source().map_or(Ok(()), |source| fmt::Display::fmt(source, f))
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}

/// The runtime that this is called on.
pub(crate) fn current() -> Result<Handle> {
    Handle::try_current().map_err(|cause| {
        let text = "calling a Redis store outside of a tokio runtime; call it from a task or block_on";
        Error::new(ErrorKind::Unsupported, Effect::None, text).with_source(cause)
    })
}
