//! A client's connection to `kv serve`, which the client can't keep for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How long a client that has shut its side may still wait for its answer. Whether it can hear one can't be seen from here.
const SHUT: Duration = Duration::from_secs(1);

/// The socket. A client has some time to take what is ready for it; if it has not taken all of it then, the connection fails.
pub(super) struct Wire {
    socket: Arc<TcpStream>,
    time: Duration,
    /// Runs from when the socket was full until all was written.
    full: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(socket: Arc<TcpStream>, time: Duration) -> Self {
        Self { socket, time, full: None }
    }

    /// Writes when the socket has room.
    fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        while self.socket.poll_write_ready(cx)?.is_ready() {
            match write(&self.socket) {
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        let time = self.time;
        let full = self.full.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(full.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            match self.socket.try_read(buf.initialize_unfilled()) {
                Ok(bytes) => {
                    buf.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(empty) if empty.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Poll::Ready(Err(cause)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_room(cx, |socket| socket.try_write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_room(cx, |socket| socket.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Comes after all was written.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.full = None;
        Poll::Ready(Ok(()))
    }

    /// The socket is shut when it is let go of, which is at once.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Waits until a client that is to be answered has gone: it has shut its side, and its time for an answer is over.
pub(super) async fn gone(socket: &TcpStream) {
    loop {
        tokio::time::sleep(SHUT).await;
        // What it sends ahead is not waited for: behind that it may still go.
        if !matches!(socket.peek(&mut [0]).await, Ok(1..)) {
            return;
        }
    }
}
