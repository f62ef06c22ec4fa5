//! Driver errors to ours: one total `match`, and the sentences.

use std::io;
use std::sync::Arc;

use kv_core::{Effect, Error, ErrorKind};

/// Why a step inside the engine failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What the step wanted to read is not in memory. It changed nothing.
    Cold,
    /// The engine would have made the write wait. It changed nothing.
    Stalled,
    /// The step must have the store for itself. It changed nothing.
    Alone,
    /// The engine failed to read. The step changed nothing.
    Read(rocksdb::Error),
    /// The engine failed to write; nobody knows what it did.
    Write(rocksdb::Error),
    /// A finding of our own; the step changed nothing.
    Own(Error),
}

impl Fault {
    /// Stored data that no version of ours would have written.
    pub(crate) fn damaged(what: &'static str) -> Self {
        Self::Own(damaged(what))
    }

    /// Of a read: whether the data was not in memory, or what failed.
    pub(crate) fn read(cause: rocksdb::Error) -> Self {
        if cause.kind() == rocksdb::ErrorKind::Incomplete { Self::Cold } else { Self::Read(cause) }
    }

    /// Of a write that is refused rather than made to wait.
    pub(crate) fn write(cause: rocksdb::Error) -> Self {
        if cause.kind() == rocksdb::ErrorKind::Incomplete { Self::Stalled } else { Self::Write(cause) }
    }

    /// Whether the step may be tried again elsewhere.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Cold | Self::Stalled | Self::Alone)
    }

    /// The error for a caller who was `doing` something.
    pub(crate) fn into_error(self, doing: &str) -> Error {
        let (cause, effect) = match self {
            Self::Own(error) => return error,
            // Nobody who may wait is told so.
            Self::Cold | Self::Stalled | Self::Alone => {
                return Error::new(
                    ErrorKind::Unavailable,
                    Effect::None,
                    format!("{doing}: the engine is busy; try again"),
                );
            }
            Self::Read(cause) => (cause, Effect::None),
            Self::Write(cause) => (cause, Effect::Unknown),
        };
        let kind = kind(&cause);
        Error::new(kind, effect, format!("{doing}: {}", sentence(kind))).with_source(cause)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

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

/// Answers a write while the engine can't write out what it holds.
pub(crate) fn stuck() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        Effect::None,
        "the engine has stopped writing after an error in the background, a full disk for one; make room, or close the store \
         and open it again",
    )
}

/// Answers a write whose own step was done but whose sync failed.
pub(crate) fn unsynced(failed: &Arc<Error>) -> Error {
    let why = failed.kind();
    Error::new(why, Effect::Unknown, format!("making a write durable: {}", sentence(why)))
        .with_source(Arc::clone(failed))
}

pub(crate) fn sentence(kind: ErrorKind) -> &'static str {
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

/// The kind of a driver error (ERR-2).
pub(crate) fn kind(error: &rocksdb::Error) -> ErrorKind {
    use rocksdb::ErrorKind as Driver;
    match error.kind() {
        Driver::Corruption => ErrorKind::Corrupt,
        Driver::IOError => io_text_kind(error.as_ref()),
        // Every file and column family that the engine names it wrote itself.
        Driver::NotFound | Driver::ColumnFamilyDropped => ErrorKind::Corrupt,
        // Only said while opening: other column families, options, or a version of the engine.
        Driver::InvalidArgument | Driver::NotSupported => ErrorKind::InvalidArgument,
        // Where it is not a probe: writing was stopped by an error in the background, which the text tells.
        Driver::Incomplete => io_text_kind(error.as_ref()),
        Driver::ShutdownInProgress | Driver::Busy | Driver::TryAgain | Driver::Aborted => ErrorKind::Unavailable,
        Driver::TimedOut | Driver::Expired => ErrorKind::Timeout,
        // Neither merges nor manual compactions of ours can fail a call.
        Driver::MergeInProgress | Driver::CompactionTooLarge => ErrorKind::Other,
        Driver::Unknown => io_text_kind(error.as_ref()),
    }
}

/// What the system said, by the texts of `strerror` in the C locale, which the engine puts at the end: it gives no number.
fn io_text_kind(text: &str) -> ErrorKind {
    const KINDS: [(ErrorKind, &[&str]); 5] = [
        (
            ErrorKind::ResourceExhausted,
            &[
                "No space left",
                "Disk quota exceeded",
                "Too many open files",
                "File too large",
                "Cannot allocate memory",
                "Space limit reached",
            ],
        ),
        (ErrorKind::AccessDenied, &["Permission denied", "Read-only file system", "Operation not permitted"]),
        (ErrorKind::Locked, &["lock hold by current process", "LOCK: Resource temporarily unavailable"]),
        (ErrorKind::Corrupt, &["No such file or directory", "Corruption"]),
        (ErrorKind::InvalidArgument, &["Not a directory", "Is a directory", "File name too long"]),
    ];
    let found = KINDS.iter().find(|(_, parts)| parts.iter().any(|part| text.contains(part)));
    found.map_or(ErrorKind::Other, |(kind, _)| *kind)
}

/// The kind of a failure of the file system.
pub(crate) fn io_kind(error: &io::Error) -> ErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::AccessDenied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge | Io::OutOfMemory => ErrorKind::ResourceExhausted,
        Io::WouldBlock | Io::ResourceBusy => ErrorKind::Locked,
        Io::NotADirectory | Io::IsADirectory | Io::AlreadyExists | Io::InvalidInput | Io::InvalidFilename => {
            ErrorKind::InvalidArgument
        }
        Io::NotFound | Io::UnexpectedEof | Io::InvalidData => ErrorKind::Corrupt,
        Io::TimedOut => ErrorKind::Timeout,
        Io::Interrupted | Io::StaleNetworkFileHandle | Io::NetworkDown | Io::HostUnreachable => ErrorKind::Unavailable,
        // "Too many open files" has no kind of its own.
        _ => io_text_kind(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_has_its_kind() {
        for (text, expected) in [
            (
                "IO error: No space left on device: While appending to file: /d/000004.log: No space left on device",
                ErrorKind::ResourceExhausted,
            ),
            ("IO error: While open a file for appending: /d/LOG: Permission denied", ErrorKind::AccessDenied),
            ("IO error: While lock file: /d/LOCK: Resource temporarily unavailable", ErrorKind::Locked),
            (
                "IO error: lock hold by current process, acquire time 1 acquiring thread 2: /d/LOCK: No locks available",
                ErrorKind::Locked,
            ),
            ("IO error: No such file or directory: While open a file: /d/000012.sst", ErrorKind::Corrupt),
            ("IO error: While fdatasync: /d/000004.log: Input/output error", ErrorKind::Other),
        ] {
            assert_eq!(io_text_kind(text), expected, "{text}");
        }
        assert_eq!(io_kind(&io::Error::from_raw_os_error(24)), ErrorKind::ResourceExhausted);
        assert_eq!(io_kind(&io::Error::from_raw_os_error(28)), ErrorKind::ResourceExhausted);
    }
}
