//! Driver errors to ours: one total `match`, and the sentences.

use std::fmt;
use std::io;

use kv_core::local::errors::{damaged, io_kind, sentence};
use kv_core::{Effect, Error, ErrorKind};

/// Why a step inside the engine failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine said so.
    Driver(sled::Error),
    /// The engine panicked, which it does on damaged data.
    Panic(String),
    /// A finding of our own; the step changed nothing.
    Own(Error),
}

impl Fault {
    /// Stored data that no version of ours would have written.
    pub(crate) fn damaged(what: &'static str) -> Self {
        Self::Own(damaged(what))
    }

    /// The error for a caller who was `doing` something.
    pub(crate) fn into_error(self, doing: &str, effect: Effect) -> Error {
        match self {
            Self::Own(error) => error,
            Self::Driver(cause) => {
                let kind = kind(&cause);
                Error::new(kind, effect, format!("{doing}: {}", sentence(kind))).with_source(cause)
            }
            Self::Panic(text) => {
                let kind = ErrorKind::Corrupt;
                Error::new(kind, effect, format!("{doing}: {}", sentence(kind))).with_source(Panicked(text))
            }
        }
    }
}

impl From<sled::Error> for Fault {
    fn from(cause: sled::Error) -> Self {
        Self::Driver(cause)
    }
}

impl From<io::Error> for Fault {
    fn from(cause: io::Error) -> Self {
        Self::Driver(sled::Error::Io(cause))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// The engine's panic message, as the source of an error.
#[derive(Debug)]
struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the engine stopped with: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

/// The kind of a driver error (ERR-2).
pub(crate) fn kind(error: &sled::Error) -> ErrorKind {
    match error {
        // Our trees are opened once and never dropped: one that is missing was lost.
        sled::Error::CollectionNotFound(_) | sled::Error::Corruption { .. } => ErrorKind::Corrupt,
        // Only said while opening: another segment size, compression, or version of sled.
        sled::Error::Unsupported(_) => ErrorKind::InvalidArgument,
        // Said of pages that should be there and are not, and of I/O threads that panicked on what they read.
        sled::Error::ReportableBug(_) => ErrorKind::Corrupt,
        sled::Error::Io(cause) => io_kind(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_said_has_its_kind() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(kind(&sled::Error::Io(full)), ErrorKind::ResourceExhausted);
        assert_eq!(kind(&sled::Error::Unsupported(String::new())), ErrorKind::InvalidArgument);
        assert_eq!(kind(&sled::Error::ReportableBug(String::new())), ErrorKind::Corrupt);
    }

    #[test]
    fn sentences_do_not_hold_their_source() {
        let error = Fault::Panic("boom".into()).into_error("reading an entry", Effect::None);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!error.to_string().contains("boom") && error.trace().contains("boom"));
    }
}
