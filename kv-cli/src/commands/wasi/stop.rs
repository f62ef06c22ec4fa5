//! The wish that a command that runs on and on may end.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// SIGINT and SIGTERM, from when it is made: they don't end the process by themselves then.
#[cfg(unix)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    times: u32,
}

#[cfg(unix)]
impl Stop {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|cause| Failure::io("listening to signals", &cause));
        let (interrupt, terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, times: 0 })
    }

    /// Waits until it was asked so many times in all; none is lost between two calls.
    pub(super) async fn asked(&mut self, times: u32) {
        while self.times < times {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            self.times += 1;
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub(super) struct Stop(u32);

#[cfg(not(unix))]
impl Stop {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self(0))
    }

    pub(super) async fn asked(&mut self, times: u32) {
        while self.0 < times {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.0 += 1;
        }
    }
}
