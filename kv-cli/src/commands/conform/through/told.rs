//! What a guest is told, as the suite's errors.

use std::sync::{Arc, Mutex, PoisonError};

use kv::{Effect, Error, ErrorKind};

use super::instances::Failure;

/// What the suite is told if the guest ended.
pub(super) fn trapped(cause: &wasmtime::Error) -> Error {
    Error::new(ErrorKind::Other, Effect::Unknown, format!("the guest trapped: {}", cause.root_cause()))
}

/// The call that lends a handle for each entry.
pub(super) const SET_MANY: &str = "set-many";

/// How an error begins that tells of what a shape does not have.
const LACKING: &str = "this shape has no";

/// Notes what the shape can't express, which takes a case out.
#[derive(Clone, Default)]
pub(super) struct Inexpressible(Arc<Mutex<Option<String>>>);

impl Inexpressible {
    /// Notes the first one, and gives the error for it.
    pub(super) fn note(&self, what: &str) -> Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| what.to_owned());
        Error::new(ErrorKind::Unsupported, Effect::None, format!("{LACKING} {what}"))
    }

    /// What the suite is told if the guest ended.
    pub(super) fn trapped(&self, call: &str, cause: wasmtime::Error) -> Error {
        // Each entry of a batch is a handle, lent for the call, and wasmtime has an end to those. Elsewhere it is a fault.
        let is_full = call == SET_MANY && cause.root_cause().to_string().contains("handle limit exceeded");
        if is_full { self.note("batch of so many handles") } else { trapped(&cause) }
    }

    pub(super) fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The error that a guest was told. Shapes have only text for most kinds, so the kind is found by the text, which must
    /// have come through as it was.
    pub(super) fn error(&self, call: &str, failure: Failure) -> Error {
        let (kind, text) = match failure {
            Failure::NoSuchStore => (ErrorKind::NoSuchBucket, "no such store".to_owned()),
            Failure::AccessDenied => (ErrorKind::AccessDenied, "access denied".to_owned()),
            Failure::Unsupported => return self.note(call),
            Failure::Other(text) => match UNTOLD.iter().find(|(part, _)| text.contains(part)) {
                Some((_, what)) => return self.note(what),
                None => (kind(&text), text),
            },
        };
        let effect = if kind == ErrorKind::Other { Effect::Unknown } else { Effect::None };
        Error::new(kind, effect, text)
    }
}

/// Answers that leave out what a case looks for, and what that is.
const UNTOLD: [(&str, &str); 3] = [
    ("Key not found", "reply of get-many for a missing key"),
    ("this interface has none below 0", "counter below 0"),
    ("closed; open it again", "error that tells whether to try again"),
];

fn kind(text: &str) -> ErrorKind {
    const KINDS: [(&str, ErrorKind); 5] = [
        ("incrementing a value that is not a counter", ErrorKind::NotANumber),
        ("incrementing a counter past what 64 bits hold", ErrorKind::Overflow),
        ("query result exceeds limit of", ErrorKind::LimitExceeded),
        ("invalid cursor", ErrorKind::InvalidArgument),
        ("versioned handles", ErrorKind::LimitExceeded),
    ];
    KINDS.iter().find(|(part, _)| text.contains(part)).map_or(ErrorKind::Other, |(_, kind)| *kind)
}

/// Whether a case failed because the shape has no such call: its reason holds our error's text or its kind.
pub(super) fn is_for_lack(reason: &str) -> bool {
    reason.contains(LACKING) || reason.contains("Unsupported")
}
