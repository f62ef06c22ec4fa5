//! Driver errors to ours: one total `match`, and the sentences.

use std::fmt;
use std::io;
use std::sync::Arc;

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

/// Stored data that no version of ours would have written.
pub(crate) fn damaged(what: &'static str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        Effect::None,
        format!("reading the store: {what}; the store is damaged, restore it from a copy"),
    )
}

/// Answers every call after [`close`](kv_core::Provider::close).
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, Effect::None, "the store is closed; open it again").not_retryable()
}

/// Answers writes after one of them, or a sync, failed (DUR-5).
pub(crate) fn refused(why: ErrorKind) -> Error {
    let why = match why {
        ErrorKind::ResourceExhausted => "the disk was full",
        ErrorKind::Corrupt => "the store was found damaged",
        _ => "an earlier write or sync failed",
    };
    Error::new(
        ErrorKind::Unavailable,
        Effect::None,
        format!("writing is off because {why}; reading goes on, and reopening the store after repair allows writing"),
    )
    .not_retryable()
}

/// Answers a write whose own step was done but whose sync failed.
pub(crate) fn unsynced(failed: &Arc<Error>) -> Error {
    let why = failed.kind();
    Error::new(why, Effect::Unknown, format!("making a write durable: {}", sentence(why)))
        .with_source(Arc::clone(failed))
}

fn sentence(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AccessDenied => "the system does not allow it; check who owns the folder and its files",
        ErrorKind::InvalidArgument => "the path does not hold a store of this kind; check the path",
        ErrorKind::ResourceExhausted => "the disk or another resource is full; free some and reopen the store",
        ErrorKind::Corrupt => "the store is damaged; restore it from a copy",
        ErrorKind::Locked => "the store is open elsewhere; close it there first",
        _ => "the engine failed",
    }
}

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

/// "Too many open files", for the process and for the machine: `std` has no kind for them.
const OUT_OF_FILES: [i32; 2] = [24, 23];

/// The kind of a failure of the file system.
pub(crate) fn io_kind(error: &io::Error) -> ErrorKind {
    use io::ErrorKind as Io;
    if error.raw_os_error().is_some_and(|code| OUT_OF_FILES.contains(&code)) {
        return ErrorKind::ResourceExhausted;
    }
    match error.kind() {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::AccessDenied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge | Io::OutOfMemory => ErrorKind::ResourceExhausted,
        Io::WouldBlock | Io::ResourceBusy => ErrorKind::Locked,
        Io::NotADirectory | Io::IsADirectory | Io::AlreadyExists | Io::InvalidInput | Io::InvalidFilename => {
            ErrorKind::InvalidArgument
        }
        // Every file that the engine names it wrote itself.
        Io::NotFound | Io::UnexpectedEof | Io::InvalidData => ErrorKind::Corrupt,
        Io::TimedOut => ErrorKind::Timeout,
        Io::Interrupted | Io::StaleNetworkFileHandle | Io::NetworkDown | Io::HostUnreachable => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_system_failures_have_their_kind() {
        for (cause, expected) in [
            (io::ErrorKind::StorageFull, ErrorKind::ResourceExhausted),
            (io::ErrorKind::PermissionDenied, ErrorKind::AccessDenied),
            (io::ErrorKind::WouldBlock, ErrorKind::Locked),
            (io::ErrorKind::NotADirectory, ErrorKind::InvalidArgument),
            (io::ErrorKind::UnexpectedEof, ErrorKind::Corrupt),
            (io::ErrorKind::BrokenPipe, ErrorKind::Other),
        ] {
            assert_eq!(kind(&sled::Error::Io(cause.into())), expected, "{cause:?}");
        }
        assert_eq!(io_kind(&io::Error::from_raw_os_error(24)), ErrorKind::ResourceExhausted);
        assert_eq!(kind(&sled::Error::Unsupported(String::new())), ErrorKind::InvalidArgument);
        assert_eq!(kind(&sled::Error::ReportableBug(String::new())), ErrorKind::Corrupt);
    }

    #[test]
    fn sentences_do_not_hold_their_source() {
        let error = Fault::Panic("boom".into()).into_error("reading an entry", Effect::None);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!error.to_string().contains("boom") && error.trace().contains("boom"));
        assert!(!refused(ErrorKind::ResourceExhausted).is_retryable());
        let failed = Arc::new(refused(ErrorKind::ResourceExhausted));
        assert_eq!(unsynced(&failed).effect(), Effect::Unknown);
    }
}
