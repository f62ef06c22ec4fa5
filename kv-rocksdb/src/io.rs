//! Where engine calls run: on the caller's task, or on the runtime's pool for blocking work (RUN-2).

use kv_core::{Effect, Error, ErrorKind, Result};

use crate::engine::Way;

/// Where calls run that could block (RUN-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoPolicy {
    /// Reads look in memory first, inline, and go to the blocking pool for what is not there. Writes are made inline and
    /// go to the pool where the engine would have made them wait.
    #[default]
    Auto,
    /// Reads wait for the disk inline: cheapest, for folders in memory. What is long by itself, large values and large
    /// batches, goes to the blocking pool all the same.
    Inline,
    /// Always on the blocking pool: dearest, for slow disks.
    Offload,
}

impl IoPolicy {
    /// The policy as URLs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Inline => "inline",
            Self::Offload => "offload",
        }
    }

    /// How a call runs on the caller's task; `None` if it does not.
    pub(crate) fn inline(self) -> Option<Way> {
        match self {
            Self::Auto => Some(Way::Quick),
            Self::Inline => Some(Way::Shared),
            Self::Offload => None,
        }
    }
}

/// Runs blocking work on the runtime's pool, or here where there is no runtime. If the future is dropped the work
/// still runs to its end.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|cause| {
            Error::new(
                ErrorKind::Unavailable,
                Effect::Unknown,
                "working on the store: the runtime ended before the call did",
            )
            .with_source(cause)
        }),
        Err(_) => Ok(work()),
    }
}
