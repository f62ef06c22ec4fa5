//! Values as streams of bytes.

use bytes::Bytes;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::context::Budget;
use crate::fail::Fail;
use crate::resources::{Held, Outgoing};

/// Bytes that a guest may write before it asks again.
const PERMIT: usize = 64 << 10;

/// The bytes of a value that was read: exactly those, then the end.
pub(crate) struct Reader {
    left: Bytes,
    _held: Option<Held>,
    _place: Held,
}

impl Reader {
    pub(crate) fn new(value: Bytes, held: Option<Held>, place: Held) -> Self {
        Self { left: value, _held: held, _place: place }
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.left.is_empty() {
            return Err(StreamError::Closed);
        }
        Ok(self.left.split_to(size.min(self.left.len())))
    }
}

/// Writes a value's bytes. Dropping it closes the body.
pub(crate) struct Writer {
    value: Outgoing,
    budget: Budget,
    /// Whether a write failed: nothing more can be written.
    failed: bool,
    _place: Held,
}

impl Writer {
    pub(crate) fn new(value: Outgoing, budget: Budget, place: Held) -> Self {
        Self { value, budget, failed: false, _place: place }
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        match self.budget.append(&self.value, bytes) {
            Ok(()) => Ok(()),
            Err(fail) => {
                self.failed = true;
                let text = fail.into_trace().map_err(StreamError::Trap)?;
                Err(StreamError::LastOperationFailed(wasmtime::Error::msg(text)))
            }
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        if self.failed { Err(StreamError::Closed) } else { Ok(()) }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.failed { Err(StreamError::Closed) } else { Ok(PERMIT) }
    }

    /// The guest closes the stream. Only here can a vacancy be filled with all that was written, so that the guest's next call
    /// finds it.
    async fn cancel(&mut self) {
        self.value.close();
        if self.failed {
            // A part of a value is no value: the vacancy goes to the next.
            drop(self.value.take_vacancy());
            return;
        }
        // The stream has no more calls that could tell the guest; what it reads next does.
        let _: Result<(), Fail> = self.budget.fill(&self.value).await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.value.close();
    }
}
