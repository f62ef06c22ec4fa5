//! A connection that all who call share. One task drives it: it writes what has gathered in one go, and hands the answers
//! out in the order in which the server gives them, each with how much the server had told of its own accord before.
//!
//! A call puts its bytes into one buffer with all others', under a lock that is held for as long as copying them takes, and
//! waits in a slot, which is used again. Nothing is allocated for it, and it needs no timer.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, Pipeline, PushInfo, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use driver::Driver;

/// Bytes that may wait to be written, and calls that may wait for an answer. Over that calls wait before they put anything
/// anywhere.
const GATHERED_BYTES: usize = 1 << 20;
const CALLS: usize = 16 << 10;

/// Time is told in so many steps to a timeout, but none shorter than this: a call fails late by at most two of them.
const STEPS: u32 = 20;
const SHORTEST_STEP: Duration = Duration::from_millis(5);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It did not come in time. The connection goes on.
    Timeout,
    /// The connection was lost.
    Lost(io::ErrorKind),
    /// What came is not of the protocol, so the connection was given up.
    Garbage,
}

/// A call without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) why: Why,
    /// Whether any of it may have left. If not, the server has not seen it.
    pub(crate) may_be_sent: bool,
}

/// What the server gave.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    /// How often the server had told something of its own accord before this, on this connection.
    pub(crate) heard: u64,
}

/// A connection. It is closed when this is dropped.
pub(crate) struct Wire {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

struct Shared {
    state: Mutex<State>,
    is_lost: AtomicBool,
    /// Wakes the driver. There from its first turn on.
    waker: OnceLock<Waker>,
    /// Steps of time after which a call has waited for the timeout, whenever in a step it began.
    patience: u64,
}

#[derive(Default)]
struct State {
    /// What the driver has not taken yet, and how many bytes it has taken.
    gathered: Vec<u8>,
    taken: u64,
    /// What is sent or gathered and has no answer yet.
    calls: VecDeque<Call>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Slots of those whose bytes have no room in `gathered` yet. They need not be polled to go on.
    queue: VecDeque<usize>,
    /// Whether the driver will look at `gathered` without being woken.
    is_awake: bool,
    step: u64,
    dead: Option<Why>,
}

struct Call {
    /// Where the answer goes; nowhere, if the call has failed.
    slot: Option<usize>,
    answers: usize,
    /// Where in all that is ever sent it begins.
    from: u64,
    step: u64,
}

type Outcome = Result<Answer<Value>, Fault>;

enum Slot {
    Free,
    /// Waits in the queue until there is room for these bytes, which have so many answers, since this step.
    Queued(Waker, Vec<u8>, usize, u64),
    /// Waits for the answer.
    Sent(Waker),
    Done(Outcome),
    /// Nobody waits any more for the answer.
    Left,
}

impl Wire {
    /// Has a task of this runtime drive the stream. What the server tells of its own accord goes to `hear`, before any
    /// answer behind it is there; in the end a [`PushKind::Disconnection`].
    ///
    /// A call fails once its answer is `timeout` late, or by up to a twentieth of that or 10 ms more.
    pub(crate) fn start(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        timeout: Duration,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Self {
        let step = (timeout / STEPS).max(SHORTEST_STEP);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { is_awake: true, ..State::default() }),
            is_lost: AtomicBool::new(false),
            waker: OnceLock::new(),
            patience: u64::try_from(timeout.as_nanos().div_ceil(step.as_nanos())).unwrap_or(u64::MAX - 1) + 1,
        });
        let driver = Driver::new(Arc::clone(&shared), stream, Box::new(hear), step);
        Self { shared, driver: tokio::spawn(driver).abort_handle() }
    }

    /// Closes it, whoever still holds it.
    pub(crate) fn close(&self) {
        self.driver.abort();
    }

    /// Whether it is of no use any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.is_lost.load(Ordering::Acquire)
    }

    /// Sends the command that `fill` adds, and waits for the answer. A refusal is an answer.
    ///
    /// Dropped before it was polled nothing is sent; later, it is sent whole or not at all.
    pub(crate) async fn call(&self, fill: impl FnOnce(&mut Vec<u8>) + Unpin) -> Result<Answer<Value>, Fault> {
        Calling { shared: &self.shared, answers: 1, fill: Some(fill), slot: None }.await
    }

    /// Sends the commands that `fill` adds, so many that they have `answers` answers, in one go. Tells what was heard
    /// before the last one.
    pub(crate) async fn pipeline(
        &self,
        answers: usize,
        fill: impl FnOnce(&mut Vec<u8>) + Unpin,
    ) -> Result<Answer<Vec<Value>>, Fault> {
        if answers == 0 {
            return Ok(Answer { value: Vec::new(), heard: 0 });
        }
        let Answer { value, heard } = Calling { shared: &self.shared, answers, fill: Some(fill), slot: None }.await?;
        let value = match value {
            Value::Array(values) if answers > 1 => values,
            value => vec![value],
        };
        Ok(Answer { value, heard })
    }
}

impl Wire {
    /// [`call`](Self::call) with the driver's form of a command.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<Answer<Value>, Fault> {
        self.call(|out| command.write_packed_command(out)).await
    }

    /// [`pipeline`](Self::pipeline) with the driver's form of commands.
    pub(crate) async fn commands(&self, commands: &Pipeline) -> Result<Answer<Vec<Value>>, Fault> {
        let fill = |out: &mut Vec<u8>| commands.cmd_iter().for_each(|command| command.write_packed_command(out));
        self.pipeline(commands.len(), fill).await
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.gathered.len() < GATHERED_BYTES && self.calls.len() < CALLS
    }

    fn slot(&mut self, content: Slot) -> usize {
        if let Some(free) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(free)
        {
            *slot = content;
            return free;
        }
        self.slots.push(content);
        self.slots.len() - 1
    }

    /// Changes what a slot holds, and gives what it held.
    fn put(&mut self, slot: usize, content: Slot) -> Slot {
        let Some(place) = self.slots.get_mut(slot) else { return Slot::Free };
        if matches!(content, Slot::Free) {
            self.free.push(slot);
        }
        std::mem::replace(place, content)
    }

    /// Puts a call's bytes with the others.
    fn send(&mut self, slot: usize, step: u64, answers: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        let from = self.taken + self.gathered.len() as u64;
        fill(&mut self.gathered);
        self.calls.push_back(Call { slot: Some(slot), answers, from, step });
    }

    /// Puts in what has waited for room, where there is some now.
    fn admit(&mut self) {
        while self.has_room()
            && let Some(slot) = self.queue.pop_front()
        {
            match self.put(slot, Slot::Left) {
                Slot::Queued(waker, bytes, answers, step) => {
                    self.put(slot, Slot::Sent(waker));
                    self.send(slot, step, answers, |out| out.extend_from_slice(&bytes));
                }
                // It was given up before it was sent.
                _ => _ = self.put(slot, Slot::Free),
            }
        }
    }

    /// Ends what a slot waits for: gives whom to wake, or the result if nobody wants it.
    fn finish(&mut self, slot: usize, result: Outcome, wakers: &mut Vec<Waker>, left: &mut Vec<Outcome>) {
        match self.slots.get(slot) {
            Some(Slot::Queued(..) | Slot::Sent(_)) => match self.put(slot, Slot::Done(result)) {
                Slot::Queued(waker, ..) | Slot::Sent(waker) => wakers.push(waker),
                _ => {}
            },
            _ => {
                self.put(slot, Slot::Free);
                left.push(result);
            }
        }
    }

    /// Hands answers out, in the order of the calls.
    fn deliver(
        &mut self,
        answers: impl Iterator<Item = Answer<Value>>,
        parts: &mut Vec<Value>,
        wakers: &mut Vec<Waker>,
        left: &mut Vec<Outcome>,
    ) -> Result<(), Why> {
        for mut answer in answers {
            // An answer that nobody has asked for.
            let Some(call) = self.calls.front_mut() else { return Err(Why::Garbage) };
            call.answers -= 1;
            if call.answers > 0 {
                parts.push(answer.value);
                continue;
            }
            if !parts.is_empty() {
                parts.push(answer.value);
                answer.value = Value::Array(std::mem::take(parts));
            }
            match self.calls.pop_front().and_then(|call| call.slot) {
                Some(slot) => self.finish(slot, Ok(answer), wakers, left),
                None => left.push(Ok(answer)),
            }
        }
        Ok(())
    }

    /// Fails what has waited for too long.
    fn expire(&mut self, patience: u64, wakers: &mut Vec<Waker>, left: &mut Vec<Outcome>) {
        let is_late = |since: u64, now: u64| now.saturating_sub(since) >= patience;
        for at in 0..self.calls.len() {
            let Some(call) = self.calls.get_mut(at).filter(|call| is_late(call.step, self.step)) else { break };
            if let Some(slot) = call.slot.take() {
                self.finish(slot, Err(Fault { why: Why::Timeout, may_be_sent: true }), wakers, left);
            }
        }
        while let Some(&slot) = self.queue.front() {
            match self.slots.get(slot) {
                Some(Slot::Queued(.., since)) if !is_late(*since, self.step) => break,
                _ => {}
            }
            self.queue.pop_front();
            self.finish(slot, Err(Fault { why: Why::Timeout, may_be_sent: false }), wakers, left);
        }
    }
}

/// A call under way.
struct Calling<'a, F> {
    shared: &'a Shared,
    answers: usize,
    fill: Option<F>,
    slot: Option<usize>,
}

impl<F: FnOnce(&mut Vec<u8>) + Unpin> Future for Calling<'_, F> {
    type Output = Result<Answer<Value>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        // Let go of after the lock: whatever a waker holds goes with it.
        let old;
        let mut state = call.shared.state.lock();
        if let Some(slot) = call.slot {
            if let Some(Slot::Queued(waker, ..) | Slot::Sent(waker)) = state.slots.get_mut(slot) {
                if !waker.will_wake(cx.waker()) {
                    old = std::mem::replace(waker, cx.waker().clone());
                    drop(state);
                    drop(old);
                }
                return Poll::Pending;
            }
            call.slot = None;
            let Slot::Done(result) = state.put(slot, Slot::Free) else { return Poll::Pending };
            return Poll::Ready(result);
        }
        if let Some(why) = state.dead {
            return Poll::Ready(Err(Fault { why, may_be_sent: false }));
        }
        let Some(fill) = call.fill.take() else { return Poll::Pending };
        let step = state.step;
        if state.queue.is_empty() && state.has_room() {
            let slot = state.slot(Slot::Sent(cx.waker().clone()));
            call.slot = Some(slot);
            state.send(slot, step, call.answers, fill);
        } else {
            let mut bytes = Vec::new();
            fill(&mut bytes);
            let slot = state.slot(Slot::Queued(cx.waker().clone(), bytes, call.answers, step));
            call.slot = Some(slot);
            state.queue.push_back(slot);
        }
        let is_asleep = !std::mem::replace(&mut state.is_awake, true);
        drop(state);
        if is_asleep {
            call.shared.wake();
        }
        Poll::Pending
    }
}

impl<F> Drop for Calling<'_, F> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let mut state = self.shared.state.lock();
        let left = match state.slots.get(slot) {
            // Whoever comes to it frees it.
            Some(Slot::Sent(_) | Slot::Queued(..)) => state.put(slot, Slot::Left),
            _ => state.put(slot, Slot::Free),
        };
        drop(state);
        drop(left);
    }
}

mod driver;
#[cfg(test)]
mod tests;
