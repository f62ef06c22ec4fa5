//! Who may run beside whom in this process.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Cases share it; a case that counts files, threads or memory of the process holds it alone.
static TURN: RwLock<()> = RwLock::new(());

/// The right to run, given back when dropped.
#[expect(dead_code, reason = "held, never looked into")]
pub(crate) enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Waits for a turn, blocking the thread.
pub(crate) fn take(alone: bool) -> Turn {
    if alone {
        Turn::Alone(TURN.write().unwrap_or_else(PoisonError::into_inner))
    } else {
        Turn::Shared(TURN.read().unwrap_or_else(PoisonError::into_inner))
    }
}
