use std::fmt;

use crate::store::Permit;
use crate::{Guard, GuardSwap, IncomingValue, Limits, OutgoingValue, Result};

/// A versioned handle on one key (CAS-2): its swap succeeds if and only if no write was applied to the key since.
///
/// At most [`Limits::cas_handles`](crate::Limits::cas_handles) are live in a store at once. Dropping one leaves
/// nothing behind.
pub struct Cas {
    guard: Box<dyn Guard>,
    permit: Permit,
    limits: Limits,
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
    /// Refuses a guard whose value is over the reply's limit, and drops it.
    pub(crate) fn new(guard: Box<dyn Guard>, permit: Permit, limits: Limits) -> Result<Self> {
        limits.reply(guard.current().map_or(0, |value| value.len()))?;
        Ok(Self { guard, permit, limits })
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
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a value over the limit, or one that won and is over the
    /// reply's, and what the backend has; see [`effect`](crate::Error::effect) for whether it may have been stored.
    pub async fn swap(self, value: impl Into<OutgoingValue>) -> Result<CasSwap> {
        let Self { guard, permit, limits } = self;
        let value = value.into().gather(limits.value_bytes).await?;
        match guard.swap(value).await? {
            GuardSwap::Swapped => Ok(CasSwap::Swapped),
            GuardSwap::Lost(guard) => Self::new(guard, permit, limits).map(CasSwap::Lost),
        }
    }
}

impl fmt::Debug for Cas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cas").field("current", &self.current()).finish()
    }
}
