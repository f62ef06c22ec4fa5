//! The body of a program's answer, which must not look whole where it is not.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// Whether the instance that writes the body ended before its time. Set before the instance is let go of: what is left of it
/// then is a body that ends.
#[derive(Clone, Default)]
pub(super) struct Broken(Arc<AtomicBool>);

impl Broken {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body that ends with an error if its instance was broken off: the client sees what was written, and then the connection
/// end, and not the body.
pub(super) struct Reply {
    body: HyperOutgoingBody,
    broken: Broken,
    /// Whether the error is all that is left.
    is_over: bool,
}

impl Reply {
    pub(super) fn new(body: HyperOutgoingBody, broken: Broken) -> Self {
        Self { body, broken, is_over: false }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.is_over {
            return Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) if self.broken.is_set() => {
                // At an error the connection drops what it has not sent yet; where it has to wait, it sends it.
                self.is_over = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !self.broken.is_set()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
