//! Driver errors to ours: one total `match`, and the sentences.

use kv_core::local::errors::{damaged, sentence};
use kv_core::{Effect, Error, ErrorKind};

use crate::layout::LAST_ID;

/// Why a step inside the engine failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What the step wanted to read is not in memory. It changed nothing.
    Cold,
    /// The engine would have made a write of that many bytes wait. It changed nothing.
    Stalled(usize),
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

    /// Of a write of so many bytes: whether it would have had to wait, or what failed.
    pub(crate) fn write(bytes: usize, cause: rocksdb::Error) -> Self {
        if cause.kind() == rocksdb::ErrorKind::Incomplete { Self::Stalled(bytes) } else { Self::Write(cause) }
    }

    /// Whether the step may be tried again elsewhere.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Cold | Self::Stalled(_) | Self::Alone)
    }

    /// The error for a caller who was `doing` something.
    pub(crate) fn into_error(self, doing: &str) -> Error {
        let (cause, effect) = match self {
            Self::Own(error) => return error,
            // Nobody who may wait is told so.
            Self::Cold | Self::Stalled(_) | Self::Alone => {
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

/// Answers a write while the engine can't write out what it holds.
pub(crate) fn stuck() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        Effect::None,
        "the engine has stopped writing after an error in the background, a full disk for one; make room, or close the store \
         and open it again",
    )
}

/// Answers the first write to a bucket for which there is no id.
pub(crate) fn no_more_ids() -> Error {
    Error::new(
        ErrorKind::LimitExceeded,
        Effect::None,
        format!("all {LAST_ID} ids of buckets were given; export what the store holds, and import it into a new one"),
    )
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
    }
}
