use std::fmt;

use crate::store::Permit;
use crate::{Guard, GuardSwap, IncomingValue, OutgoingValue, Result};

/// A versioned handle on one key (CAS-2): its swap succeeds if and only if no write was applied to the key since.
///
/// At most [`Limits::cas_handles`](crate::Limits::cas_handles) are live in a store at once. Dropping one leaves
/// nothing behind.
pub struct Cas {
    guard: Box<dyn Guard>,
    permit: Permit,
    value_bytes: usize,
}

/// How a [`Cas::swap`] ended (CAS-3).
#[derive(Debug)]
pub enum CasSwap {
    /// The value was stored; it is what a reader sees.
    Swapped,
    /// A write came first; nothing was stored. The fresh handle's [`current`](Cas::current) is the value that
    /// won.
    Lost(Cas),
}

impl Cas {
    pub(crate) fn new(guard: Box<dyn Guard>, permit: Permit, value_bytes: usize) -> Self {
        Self { guard, permit, value_bytes }
    }

    /// The value when the handle was taken, `None` where the key was absent.
    #[must_use]
    pub fn current(&self) -> Option<&IncomingValue> {
        self.guard.current()
    }

    /// Stores `value` if no write was applied to the key since the handle was taken (CAS-2). Never retried behind
    /// the caller's back (CAS-3). Uses the handle up, whatever the outcome. Clears a deadline (TTL-3).
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a value over the limit, and what the backend has; see
    /// [`effect`](crate::Error::effect) for whether it may have been stored.
    pub async fn swap(self, value: impl Into<OutgoingValue>) -> Result<CasSwap> {
        let Self { guard, permit, value_bytes } = self;
        let value = value.into().gather(value_bytes).await?;
        match guard.swap(value).await? {
            GuardSwap::Swapped => Ok(CasSwap::Swapped),
            GuardSwap::Lost(guard) => Ok(CasSwap::Lost(Self { guard, permit, value_bytes })),
        }
    }
}

impl fmt::Debug for Cas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cas").field("current", &self.current()).finish()
    }
}
