use kv_core::ErrorKind;
use wasmtime::component::ResourceTableError;

/// Why a call of a guest's gave no result.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The policy knows no such bucket.
    NoSuchStore,
    /// The policy forbids it.
    Denied,
    /// Whatever else the guest is told.
    Other(String),
    /// What ends the guest.
    Trap(wasmtime::Error),
}

impl Fail {
    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    /// The text for the shapes whose errors are text alone. A trap has none: it ends the guest.
    pub(crate) fn into_trace(self) -> wasmtime::Result<String> {
        match self {
            Self::NoSuchStore => Ok("no such bucket for this program".to_owned()),
            Self::Denied => Ok("access to this bucket is denied".to_owned()),
            Self::Other(text) => Ok(text),
            Self::Trap(cause) => Err(cause),
        }
    }

    /// The trap for a function that has no error to return.
    pub(crate) fn into_trap(self) -> wasmtime::Error {
        match self.into_trace() {
            Ok(text) => wasmtime::Error::msg(text),
            Err(cause) => cause,
        }
    }
}

impl From<kv_core::Error> for Fail {
    fn from(error: kv_core::Error) -> Self {
        match error.kind() {
            ErrorKind::NoSuchBucket => Self::NoSuchStore,
            ErrorKind::AccessDenied => Self::Denied,
            _ => Self::Other(error.trace()),
        }
    }
}

/// The guest used a handle that it does not have, or that another handle still needs: its own fault, and its end.
impl From<ResourceTableError> for Fail {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}
