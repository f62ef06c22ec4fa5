//! What the embedded providers say alike: the sentences, and the kinds of what the file system says.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::{Effect, Error, ErrorKind};

/// Stored data that no version of the provider would have written.
#[must_use]
pub fn damaged(what: &'static str) -> Error {
    let text = format!("reading the store: {what}; the store is damaged, restore it from a copy");
    Error::new(ErrorKind::Corrupt, Effect::None, text)
}

/// Answers every call after [`close`](crate::Provider::close).
#[must_use]
pub fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, Effect::None, "the store is closed; open it again").not_retryable()
}

/// Answers writes after one of them, or a sync, failed (DUR-5).
#[must_use]
pub fn refused(why: ErrorKind) -> Error {
    let why = match why {
        ErrorKind::ResourceExhausted => "the disk was full",
        ErrorKind::Corrupt => "the store was found damaged",
        _ => "an earlier write or sync failed",
    };
    let text =
        format!("writing is off because {why}; reading goes on, and reopening the store after repair allows writing");
    Error::new(ErrorKind::Unavailable, Effect::None, text).not_retryable()
}

/// Answers a write whose own step was done but whose sync failed.
#[must_use]
pub fn unsynced(failed: &Arc<Error>) -> Error {
    let why = failed.kind();
    Error::new(why, Effect::Unknown, format!("making a write durable: {}", sentence(why)))
        .with_source(Arc::clone(failed))
}

/// What an engine's failure means and what to do about it.
#[must_use]
pub fn sentence(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AccessDenied => "the system does not allow it; check who owns the folder and its files",
        ErrorKind::InvalidArgument => "the path does not hold a store of this kind; check the path",
        ErrorKind::ResourceExhausted => "the disk or another resource is full; free some and reopen the store",
        ErrorKind::Corrupt => "the store is damaged; restore it from a copy",
        ErrorKind::Locked => "the store is open elsewhere, here or in another process; close it there first",
        ErrorKind::Unavailable => "the engine is shutting down or busy",
        ErrorKind::Timeout => "the engine did not answer in time",
        _ => "the engine failed",
    }
}

/// A failure of the file system at a path of the user's, before anything was changed.
#[must_use]
pub fn at_path(doing: &str, path: &Path, cause: io::Error) -> Error {
    let why = match cause.kind() {
        io::ErrorKind::NotADirectory => "part of the path is a file, not a folder",
        io::ErrorKind::PermissionDenied => "the system does not allow it; check who owns it",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        _ => "it failed",
    };
    let text = format!("{doing} {}: {why}", path.display());
    Error::new(io_kind(&cause), Effect::None, text).with_source(cause)
}

/// "Too many open files", for the process and for the machine: `std` has no kind for them.
const OUT_OF_FILES: [i32; 2] = [24, 23];

/// The kind of a failure of the file system at the engine's own files (ERR-2).
#[must_use]
pub fn io_kind(error: &io::Error) -> ErrorKind {
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
        // Every file that an engine names it wrote itself.
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
            assert_eq!(io_kind(&cause.into()), expected, "{cause:?}");
        }
        for code in OUT_OF_FILES {
            assert_eq!(io_kind(&io::Error::from_raw_os_error(code)), ErrorKind::ResourceExhausted);
        }
    }

    #[test]
    fn what_is_off_until_reopening_is_not_retryable_and_a_failed_sync_is_of_unknown_effect() {
        assert!(!closed().is_retryable() && !refused(ErrorKind::ResourceExhausted).is_retryable());
        let error = unsynced(&Arc::new(refused(ErrorKind::ResourceExhausted)));
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
        assert!(error.trace().contains("the disk was full"));
    }
}
