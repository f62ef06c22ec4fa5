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
#[derive(Clone)]
pub struct OpenBucket {
    /// The rule that gave it.
    pub(crate) rule: usize,
    pub(crate) bucket: Bucket,
    pub(crate) rights: Rights,
}

/// The error of the shapes whose errors are resources.
pub struct ErrorText(pub(crate) String);

/// A versioned handle.
pub struct CasHandle {
    pub(crate) cas: Cas,
    pub(crate) rights: Rights,
    /// For its value.
    pub(crate) _held: Held,
    /// Of those that the guest may have.
    pub(crate) _place: Held,
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
    /// In one piece, however many were written: many small ones would take more room than is counted.
    bytes: Bytes,
    held: Option<Held>,
    /// A stream of the body's is not closed yet.
    is_open: bool,
    /// The vacancy that the value fills.
    vacancy: Option<Filling>,
    /// It was for a vacancy, which has it by now.
    is_filled: bool,
}

/// A vacancy that waits for its value.
pub(crate) struct Filling {
    pub(crate) vacancy: Vacancy,
    pub(crate) ttl: Option<std::time::Duration>,
}

/// The result of `cache.get`, when it comes.
pub struct FutureGet(pub(crate) Pending<Option<Incoming>>);
/// The result of `cache.exists`, when it comes.
pub struct FutureExists(pub(crate) Pending<bool>);
/// The result of `cache.set` and `cache.delete`, when it comes.
pub struct FutureDone(pub(crate) Pending<()>);
/// The result of `cache.get-or-set`, when it comes.
pub struct FutureGetOrSet(pub(crate) Pending<Entry>);
/// What `cache.get-or-set` finds.
pub(crate) enum Entry {
    Occupied(Incoming),
    Vacant(Vacancy),
}
/// The right to fill an absent entry.
pub struct Vacant(pub(crate) Option<Vacancy>);

/// A share of what a guest may have of something, until dropped.
pub struct Held {
    of: Arc<AtomicUsize>,
    amount: usize,
}

impl Held {
    /// Takes `amount` more, if no more than `most` are taken then.
    pub(crate) fn take(of: &Arc<AtomicUsize>, amount: usize, most: usize) -> Option<Self> {
        let add = |taken: usize| taken.checked_add(amount).filter(|taken| *taken <= most);
        of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Self { of: Arc::clone(of), amount })
    }

    /// Nothing yet, to take more over.
    pub(crate) fn nothing(of: &Arc<AtomicUsize>) -> Self {
        Self { of: Arc::clone(of), amount: 0 }
    }

    /// How much it is.
    pub(crate) fn amount(&self) -> usize {
        self.amount
    }

    /// Leaves it taken, for others to give back.
    pub(crate) fn forget(mut self) {
        self.amount = 0;
    }

    /// Takes another share of the same over.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.amount += std::mem::take(&mut other.amount);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

impl Incoming {
    /// A value's bytes, with their share of what the instance holds.
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
        if body.bytes.is_empty() {
            body.bytes = piece;
        } else {
            // Copied only where somebody is still reading what was there: a write that has not ended.
            let grown = std::mem::take(&mut body.bytes).try_into_mut();
            let mut grown = grown.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            grown.extend_from_slice(&piece);
            body.bytes = grown.freeze();
        }
        match &mut body.held {
            Some(all) => all.merge(held),
            none => *none = Some(held),
        }
    }

    /// Begins to write by a stream; there is one at a time.
    pub(crate) fn open(&self) -> Result<(), Fail> {
        let mut body = self.body();
        body.check_unfilled()?;
        body.check_ttl()?;
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
        self.body().check_closed()
    }

    /// Refuses where a whole body can't be written.
    pub(crate) fn check_writable(&self) -> Result<(), Fail> {
        let body = self.body();
        body.check_unfilled()?;
        body.check_closed()
    }

    /// The whole value; it can be written again.
    pub(crate) fn value(&self) -> Result<Bytes, Fail> {
        let body = self.body();
        body.check_closed()?;
        Ok(body.bytes.clone())
    }

    /// The vacancy to fill with the value, for good: nothing can be added from then on.
    pub(crate) fn take_vacancy(&self) -> Option<Filling> {
        let mut body = self.body();
        let vacancy = body.vacancy.take();
        body.is_filled |= vacancy.is_some();
        vacancy
    }
}

impl Body {
    fn check_closed(&self) -> Result<(), Fail> {
        if self.is_open {
            return Err(Fail::other("the body of this value is still being written; close its stream first"));
        }
        Ok(())
    }

    /// Closing a stream could not tell of it.
    fn check_ttl(&self) -> Result<(), Fail> {
        let ttl = self.vacancy.as_ref().and_then(|filling| filling.ttl);
        if ttl.is_some_and(|ttl| ttl.is_zero()) { Err(no_ttl()) } else { Ok(()) }
    }

    fn check_unfilled(&self) -> Result<(), Fail> {
        if self.is_filled {
            return Err(Fail::other("this value has filled its vacancy already; nothing can be added to it"));
        }
        Ok(())
    }
}

/// What a guest is told that asks for a time to live of 0.
pub(crate) fn no_ttl() -> Fail {
    Fail::other("a time to live of 0 ms was asked for; it must be at least 1 ms")
}
