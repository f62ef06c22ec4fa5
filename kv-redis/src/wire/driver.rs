//! The task that moves the bytes: it writes what calls have gathered, and hands out what comes back.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::{Answer, Fault, GATHERED_BYTES, Outcome, Shared, Why};
use crate::resp::{Frame, Garbage, Parser};

/// What a turn of the driver takes in, but for the last read, and what it gives to the system at most: so much that it
/// holds no thread for over some 100 µs.
const TURN_BYTES: usize = 64 << 10;
const TURN_FRAMES: usize = 512;
const WRITE_BYTES: usize = 256 << 10;

/// Takes what the server tells of its own accord.
type Hear = Box<dyn Fn(PushInfo) + Send + Sync>;

/// The task. Ends with the connection, or with the runtime.
pub(super) struct Driver<S> {
    shared: Arc<Shared>,
    stream: S,
    hear: Hear,
    parser: Parser,
    /// What it has taken to write, how much of that is written, and how much of all.
    output: Vec<u8>,
    written: usize,
    all_written: u64,
    needs_flush: bool,
    heard: u64,
    /// Answers of a turn, and whom they wake.
    answers: Vec<Answer<Value>>,
    wakers: Vec<Waker>,
    /// Results that nobody waits for any more.
    left: Vec<Outcome>,
    /// Those that the first call has already, of several.
    parts: Vec<Value>,
    timer: Pin<Box<Sleep>>,
    step: Duration,
    is_timing: bool,
}

impl<S> Driver<S> {
    pub(super) fn new(shared: Arc<Shared>, stream: S, hear: Hear, step: Duration) -> Self {
        Self {
            shared,
            stream,
            hear,
            parser: Parser::new(),
            output: Vec::new(),
            written: 0,
            all_written: 0,
            needs_flush: false,
            heard: 0,
            answers: Vec::new(),
            wakers: Vec::new(),
            left: Vec::new(),
            parts: Vec::new(),
            timer: Box::pin(tokio::time::sleep(step)),
            step,
            is_timing: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        match driver.turn(cx) {
            Ok(true) => cx.waker().wake_by_ref(),
            Ok(false) => {}
            Err(why) => {
                driver.end(why);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Writes, reads, hands out, and tells whether to do that again at once. Others run in between: no turn holds its
    /// thread for long, and those who were just answered often have more to send, which is one write then.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, Why> {
        self.shared.waker.get_or_init(|| cx.waker().clone());
        let is_blocked = self.write(cx);
        // What came before the end is still good.
        let has_more = self.read(cx);
        let is_due = self.is_timing && self.timer.is_elapsed();

        let mut state = self.shared.state.lock();
        let delivered = state.deliver(self.answers.drain(..), &mut self.parts, &mut self.wakers, &mut self.left);
        state.admit();
        let again = has_more == Ok(true)
            || self.wakers.len() > 1
            || (is_blocked == Ok(false) && !(self.output.is_empty() && state.gathered.is_empty()));
        state.is_awake = again || is_blocked == Ok(true);
        if is_due {
            // One, however late this is: while nobody drove the connection, the server was not waited for.
            state.step += 1;
            state.expire(self.shared.patience, &mut self.wakers, &mut self.left);
            self.is_timing = false;
        }
        let is_idle = state.calls.is_empty() && state.queue.is_empty() && is_blocked != Ok(true);
        drop(state);

        // Not under the lock: they may be many, or large.
        self.left.clear();
        self.wakers.drain(..).for_each(Waker::wake);
        has_more.and(is_blocked).and(delivered)?;
        if !self.is_timing && !is_idle {
            self.timer.as_mut().reset(Instant::now() + self.step);
            self.is_timing = true;
            // Without regard to the task's budget: short of it, the timer would not be set.
            let is_due = pin!(tokio::task::unconstrained(self.timer.as_mut())).poll(cx).is_ready();
            return Ok(is_due || again);
        }
        Ok(again)
    }

    /// Writes what there is. Tells whether the stream takes no more just now.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Why> {
        if self.output.is_empty() {
            let mut state = self.shared.state.lock();
            if state.gathered.is_empty() && !self.needs_flush {
                return Ok(false);
            }
            std::mem::swap(&mut self.output, &mut state.gathered);
            state.taken += self.output.len() as u64;
        }
        let lost = |cause: io::Error| Why::Lost(cause.kind());
        let rest = self.output.get(self.written..).unwrap_or_default();
        let some = rest.get(..WRITE_BYTES).unwrap_or(rest);
        if !some.is_empty() {
            let all = some.len();
            match Pin::new(&mut self.stream).poll_write(cx, some) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Ok(0)) => return Err(Why::Lost(io::ErrorKind::WriteZero)),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    self.all_written += count as u64;
                }
                Poll::Ready(Err(cause)) => {
                    // TLS may have sent some of it before it failed.
                    self.all_written += all as u64;
                    return Err(lost(cause));
                }
            }
        }
        if self.written < self.output.len() {
            // There is more, and a flush comes behind the last of it.
            self.needs_flush = false;
            return Ok(false);
        }
        self.written = 0;
        self.output.clear();
        if self.output.capacity() > GATHERED_BYTES {
            self.output = Vec::new();
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.needs_flush = flushed.is_pending();
        if let Poll::Ready(flushed) = flushed {
            flushed.map_err(lost)?;
        }
        Ok(self.needs_flush)
    }

    /// Reads until there is nothing, or enough for a turn. Tells whether to come again at once.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Why> {
        if self.all_written == 0 {
            // Servers speak when they are spoken to, if not to turn one away. That is for the first call then.
            return Ok(false);
        }
        let (mut bytes, mut frames) = (0, 0);
        loop {
            while let Some(frame) = self.parser.next().map_err(|Garbage| Why::Garbage)? {
                match frame {
                    Frame::Answer(value) => self.answers.push(Answer { value, heard: self.heard }),
                    Frame::Push(message) => {
                        self.heard += 1;
                        (self.hear)(message);
                    }
                }
                frames += 1;
                if frames == TURN_FRAMES {
                    return Ok(true);
                }
            }
            if bytes >= TURN_BYTES {
                return Ok(true);
            }
            let mut space = ReadBuf::new(self.parser.space());
            match Pin::new(&mut self.stream).poll_read(cx, &mut space) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(cause)) => return Err(Why::Lost(cause.kind())),
                Poll::Ready(Ok(())) => {}
            }
            let count = space.filled().len();
            if count == 0 {
                return Err(Why::Lost(io::ErrorKind::UnexpectedEof));
            }
            self.parser.filled(count);
            bytes += count;
        }
    }
}

impl<S> Driver<S> {
    /// Tells all who wait.
    fn end(&mut self, why: Why) {
        if self.shared.is_lost.swap(true, Ordering::AcqRel) {
            return;
        }
        (self.hear)(PushInfo { kind: PushKind::Disconnection, data: Vec::new() });
        let mut state = self.shared.state.lock();
        state.dead = Some(why);
        state.gathered = Vec::new();
        let calls = std::mem::take(&mut state.calls);
        let calls = calls.into_iter().filter_map(|call| Some((call.slot?, call.from < self.all_written)));
        let queue = std::mem::take(&mut state.queue).into_iter().map(|slot| (slot, false));
        for (slot, may_be_sent) in calls.chain(queue) {
            state.finish(slot, Err(Fault { why, may_be_sent }), &mut self.wakers, &mut self.left);
        }
        drop(state);
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        self.end(Why::Lost(io::ErrorKind::ConnectionAborted));
    }
}
