use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::{Error, Result};

/// Bytes that one item of a [`Body`] holds at most: small enough to hand over while the rest is still moving.
const PIECE_BYTES: usize = 64 * 1024;

/// A value that was read (wasi:keyvalue's `incoming-value`).
///
/// The whole value is in memory, at most [`Limits::value_bytes`](crate::Limits::value_bytes). It derefs to its
/// bytes; a clone shares them. `Debug` shows the size only (ERR-4).
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct IncomingValue(Bytes);

impl IncomingValue {
    /// The number of bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.len() as u64
    }

    /// Takes the bytes without copying them (wasi's `consume-sync`).
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Takes the bytes as a stream of pieces of at most 64 KiB, without copying them (wasi's `consume-async`).
    #[must_use]
    pub fn into_body(self) -> Body {
        Body(self.0)
    }
}

impl From<Bytes> for IncomingValue {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<IncomingValue> for Bytes {
    fn from(value: IncomingValue) -> Self {
        value.0
    }
}

impl Deref for IncomingValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for IncomingValue {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<[u8]> for IncomingValue {
    fn eq(&self, other: &[u8]) -> bool {
        self.0 == other
    }
}

impl PartialEq<&[u8]> for IncomingValue {
    fn eq(&self, other: &&[u8]) -> bool {
        self.0 == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for IncomingValue {
    fn eq(&self, other: &&[u8; N]) -> bool {
        self.0 == other.as_slice()
    }
}

impl fmt::Debug for IncomingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncomingValue({} bytes)", self.0.len())
    }
}

/// The bytes of an [`IncomingValue`] as a stream; it never fails and never waits.
pub struct Body(Bytes);

impl Stream for Body {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.0.len().min(PIECE_BYTES);
        Poll::Ready(Some(self.0.split_to(piece)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes left)", self.0.len())
    }
}

type Source = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// A value that is to be written (wasi:keyvalue's `outgoing-value`).
///
/// Made from bytes in hand, without copying where they are owned or static, or from a stream. A stream is
/// gathered before the write begins; it is refused as soon as it passes the value limit, and where it fails
/// nothing is written.
#[derive(Default)]
pub struct OutgoingValue(Content);

enum Content {
    Ready(Bytes),
    Stream(Source),
}

impl Default for Content {
    fn default() -> Self {
        Self::Ready(Bytes::new())
    }
}

impl OutgoingValue {
    /// An empty value, which is a value (RW-1).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A value whose bytes come from a stream.
    ///
    /// An error of the stream is what the write returns; nothing is written then.
    pub fn from_stream(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self(Content::Stream(Box::pin(stream)))
    }

    /// How many bytes are there without waiting; those of a stream are not.
    pub(crate) fn bytes_in_hand(&self) -> usize {
        match &self.0 {
            Content::Ready(bytes) => bytes.len(),
            Content::Stream(_) => 0,
        }
    }

    /// The bytes, at most `limit` of them.
    #[inline]
    pub(crate) async fn gather(self, limit: usize) -> Result<Bytes> {
        match self.0 {
            Content::Ready(bytes) if bytes.len() <= limit => Ok(bytes),
            Content::Ready(bytes) => Err(over(bytes.len(), limit)),
            // Boxed, so that the usual future stays small.
            Content::Stream(source) => Box::pin(collect(source, limit)).await,
        }
    }
}

/// The bytes of a stream, at most `limit` of them.
async fn collect(mut source: Source, limit: usize) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(piece) = std::future::poll_fn(|cx| source.as_mut().poll_next(cx)).await {
        let piece = piece?;
        let total = first.len().saturating_add(rest.len()).saturating_add(piece.len());
        if total > limit {
            return Err(over(total, limit));
        }
        if rest.is_empty() && first.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn over(found: usize, limit: usize) -> Error {
    Error::limit("a value", found as u64, limit as u64, "bytes")
}

impl From<Bytes> for OutgoingValue {
    fn from(bytes: Bytes) -> Self {
        Self(Content::Ready(bytes))
    }
}

impl From<IncomingValue> for OutgoingValue {
    fn from(value: IncomingValue) -> Self {
        Self(Content::Ready(value.0))
    }
}

impl From<Vec<u8>> for OutgoingValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Content::Ready(bytes.into()))
    }
}

impl From<String> for OutgoingValue {
    fn from(text: String) -> Self {
        Self(Content::Ready(text.into()))
    }
}

/// Copies: the write may outlive the borrow.
impl From<&[u8]> for OutgoingValue {
    fn from(bytes: &[u8]) -> Self {
        Self(Content::Ready(Bytes::copy_from_slice(bytes)))
    }
}

/// Copies: the write may outlive the borrow.
impl<const N: usize> From<&[u8; N]> for OutgoingValue {
    fn from(bytes: &[u8; N]) -> Self {
        Self(Content::Ready(Bytes::copy_from_slice(bytes)))
    }
}

/// Copies: the write may outlive the borrow.
impl From<&str> for OutgoingValue {
    fn from(text: &str) -> Self {
        Self(Content::Ready(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl fmt::Debug for OutgoingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Ready(bytes) => write!(f, "OutgoingValue({} bytes)", bytes.len()),
            Content::Stream(_) => f.write_str("OutgoingValue(stream)"),
        }
    }
}
