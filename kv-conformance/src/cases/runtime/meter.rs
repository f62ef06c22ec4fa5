//! What the process and a poll take, as far as the machine tells.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::Stop;

/// A number of KiB from the process's status.
fn status_kib(field: &str) -> Result<usize, Stop> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Stop::NotApplicable(format!("this machine does not tell a process's {field}")))
}

/// The memory that this process holds.
pub(in crate::cases) fn resident_kib() -> Result<usize, Stop> {
    status_kib("VmRSS")
}

/// The threads of this process.
pub(in crate::cases) fn threads() -> Result<usize, Stop> {
    status_kib("Threads")
}

/// How long this thread could have run and was not let, by the kernel's account; zero where there is none.
fn waited_for_a_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// The time of each poll of the futures that it wraps: work and blocking, without the time in which other threads
/// had the core, so that a busy machine does not look like a blocking provider.
#[derive(Clone, Default)]
pub(in crate::cases) struct Polls(Arc<Mutex<Vec<Duration>>>);

impl Polls {
    /// Times each poll of the future.
    pub(in crate::cases) fn timed<F: Future>(&self, future: F) -> Timed<F> {
        Timed { polls: self.clone(), future: Box::pin(future) }
    }

    /// The times taken so far, the longest first.
    pub(in crate::cases) fn longest_first(&self) -> Vec<Duration> {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        polls.sort_unstable_by(|a, b| b.cmp(a));
        polls
    }
}

/// A future whose polls are timed.
pub(in crate::cases) struct Timed<F> {
    polls: Polls,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let waited = waited_for_a_core();
        let started = Instant::now();
        let polled = self.future.as_mut().poll(cx);
        let took = started.elapsed();
        let waited = waited_for_a_core().saturating_sub(waited);
        self.polls.0.lock().unwrap_or_else(PoisonError::into_inner).push(took.saturating_sub(waited));
        polled
    }
}
