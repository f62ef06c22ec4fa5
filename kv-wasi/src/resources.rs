//! What stands behind a guest's handles.
#![expect(
    unreachable_pub,
    reason = "they stand in the traits that the bindings make, which are public in a private module"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use kv_core::{Bucket, Cas, Vacancy};

use crate::access::Rights;
use crate::fail::Fail;
use crate::pending::Pending;

/// An open bucket, with what the guest may do there.
pub struct OpenBucket {
    pub(crate) bucket: Bucket,
    pub(crate) rights: Rights,
}

/// The error of the shapes whose errors are resources.
pub struct ErrorText {
    pub(crate) text: String,
    pub(crate) _held: Held,
}

/// A versioned handle; its value was counted when it was read.
pub struct CasHandle {
    pub(crate) cas: Cas,
    pub(crate) rights: Rights,
    pub(crate) _held: Held,
}

/// A value that was read, until it is consumed.
pub struct Incoming {
    pub(crate) value: Option<Bytes>,
    pub(crate) size: u64,
    pub(crate) held: Option<Held>,
}

/// A value that is being written.
#[derive(Clone, Default)]
pub struct Outgoing(Arc<Mutex<Body>>);

#[derive(Default)]
struct Body {
    pieces: Vec<Bytes>,
    bytes: usize,
    /// A stream of the body's is not closed yet.
    is_open: bool,
    held: Vec<Held>,
    /// The vacancy that the value fills.
    vacancy: Option<Filling>,
}

/// A vacancy that waits for its value.
pub(crate) struct Filling {
    pub(crate) vacancy: Vacancy,
    pub(crate) ttl: Option<std::time::Duration>,
}

/// The result of `cache.get`, when it comes.
pub struct FutureGet(pub(crate) Pending<Option<Bytes>>);
/// The result of `cache.exists`, when it comes.
pub struct FutureExists(pub(crate) Pending<bool>);
/// The result of `cache.set` and `cache.delete`, when it comes.
pub struct FutureDone(pub(crate) Pending<()>);
/// The result of `cache.get-or-set`, when it comes.
pub struct FutureGetOrSet(pub(crate) Pending<kv_core::GetOrSet>);
/// The right to fill an absent entry.
pub struct Vacant(pub(crate) Option<Vacancy>);

/// Bytes that the host keeps for an instance, until dropped.
pub struct Held {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    /// Counts `bytes` more, if no more than `most` are held then.
    pub(crate) fn take(of: &Arc<AtomicUsize>, bytes: usize, most: usize) -> Result<Self, Fail> {
        let add = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
        match of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(Self { of: Arc::clone(of), bytes }),
            Err(_) => Err(Fail::Other(format!("the values that this program holds exceed the limit of {most} bytes"))),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A value's bytes, with their share of what the instance holds.
impl Incoming {
    pub(crate) fn new(value: Bytes, held: Held) -> Self {
        Self { size: value.len() as u64, value: Some(value), held: Some(held) }
    }

    /// Takes the bytes, once.
    pub(crate) fn consume(&mut self) -> Result<(Bytes, Option<Held>), Fail> {
        let value = self.value.take().ok_or_else(|| Fail::other("this value was consumed already"))?;
        Ok((value, self.held.take()))
    }
}

impl Outgoing {
    /// The value that fills a vacancy.
    pub(crate) fn filling(filling: Filling) -> Self {
        Self(Arc::new(Mutex::new(Body { vacancy: Some(filling), ..Body::default() })))
    }

    fn body(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&self, piece: Bytes, held: Held) {
        let mut body = self.body();
        body.bytes += piece.len();
        body.pieces.push(piece);
        body.held.push(held);
    }

    /// Begins to write by a stream; there is one at a time.
    pub(crate) fn open(&self) -> Result<(), Fail> {
        let mut body = self.body();
        if body.is_open {
            return Err(Fail::other("a body of this value is being written already; close it first"));
        }
        body.is_open = true;
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.body().is_open = false;
    }

    /// Refuses while a stream writes to it.
    pub(crate) fn check_closed(&self) -> Result<(), Fail> {
        if self.body().is_open {
            return Err(Fail::other("the body of this value is still being written; close its stream first"));
        }
        Ok(())
    }

    /// The whole value; it can be written again.
    pub(crate) fn value(&self) -> Result<Bytes, Fail> {
        self.check_closed()?;
        let mut body = self.body();
        if body.pieces.len() > 1 {
            let mut whole = BytesMut::with_capacity(body.bytes);
            body.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
            body.pieces = vec![whole.freeze()];
        }
        Ok(body.pieces.first().cloned().unwrap_or_default())
    }

    /// The vacancy to fill with the value.
    pub(crate) fn take_vacancy(&self) -> Option<Filling> {
        self.body().vacancy.take()
    }
}
