use std::pin::pin;
use std::task::{Context, Waker};

use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;
use tokio_util::task::TaskTracker;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;

use crate::fail::Fail;

/// A result that a guest asks for again and again until it is there. It goes on without being asked.
pub(crate) struct Pending<T> {
    state: State<T>,
    /// Whether the call goes on when nobody can ask for its result any more.
    outlives: bool,
}

enum State<T> {
    Running(JoinHandle<Result<T, Fail>>),
    Done(Result<T, Fail>),
    Taken,
}

impl<T: Send + 'static> Pending<T> {
    /// Starts a call that ends with its handle. Needs a tokio runtime, as all that waits does.
    pub(crate) fn start(call: impl Future<Output = Result<T, Fail>> + Send + 'static) -> Self {
        Self { state: State::Running(tokio::spawn(call)), outlives: false }
    }

    /// Starts a call that goes on without its handle: a guest that wants no answer lets go of it at once.
    pub(crate) fn start_write(
        writes: &TaskTracker,
        call: impl Future<Output = Result<T, Fail>> + Send + 'static,
    ) -> Self {
        Self { state: State::Running(writes.spawn(call)), outlives: true }
    }

    /// A call that was refused.
    pub(crate) fn refused(fail: Fail) -> Self {
        Self { state: State::Done(Err(fail)), outlives: false }
    }

    /// The result, once; `None` while it is not there.
    pub(crate) fn take(&mut self) -> Option<Result<T, Fail>> {
        // Without the task's budget, which would hide a result that is there.
        let is_ready = {
            let ready = pin!(unconstrained(self.ready()));
            ready.poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        if !is_ready {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Taken) {
            State::Done(done) => Some(done),
            State::Running(_) | State::Taken => Some(Err(Fail::other("this result was taken already"))),
        }
    }
}

#[async_trait]
impl<T: Send + 'static> Pollable for Pending<T> {
    async fn ready(&mut self) {
        if let State::Running(running) = &mut self.state {
            let done = running.await;
            self.state =
                State::Done(done.unwrap_or_else(|_| Err(Fail::other("the call ended early: the host is stopping"))));
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let (State::Running(running), false) = (&self.state, self.outlives) {
            running.abort();
        }
    }
}
