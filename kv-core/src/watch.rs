use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream;

use crate::{IncomingValue, Result};

/// A stream of a bucket's changes.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Watches the keys that begin with `prefix`, beginning with writes that start after this returns (WCH-1).
    ///
    /// What the stream shows is declared: each write in order per key
    /// ([`Watching::Every`](crate::Watching::Every)), or after a key's last change at least one event with the
    /// value then current ([`Watching::Latest`](crate::Watching::Latest)). A slow reader never slows a writer:
    /// it gets [`Event::Lagged`] and goes on; a reader less than 1,024 events behind never does (WCH-2).
    async fn watch(&self, prefix: &str) -> Result<Events>;
}

/// One change of a bucket (WCH-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An entry was created or replaced, by whatever write.
    Set {
        /// Its key.
        key: String,
        /// Its value.
        value: IncomingValue,
    },
    /// An entry was removed.
    Deleted {
        /// Its key.
        key: String,
    },
    /// An entry's deadline passed. With [`Watching::Latest`](crate::Watching::Latest) it may come as
    /// [`Deleted`](Self::Deleted).
    Expired {
        /// Its key.
        key: String,
    },
    /// The whole bucket was dropped.
    Dropped,
    /// The reader was too slow and missed this many events (WCH-2).
    Lagged(u64),
    /// The connection was lost for a while: events may be missing, read again what matters (WCH-2).
    Resync,
}

/// The stream that [`Watch::watch`] gives. It ends when the store is closed; dropping it ends the watch.
pub struct Events(Pin<Box<dyn Stream<Item = Event> + Send>>);

impl Events {
    /// Wraps a provider's stream.
    pub fn new(stream: impl Stream<Item = Event> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// Waits for the next event; `None` once the store is closed. Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
