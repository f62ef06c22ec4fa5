use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What every fallible call of the framework returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in a word that a program can act on (ERR-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The policy in force knows no bucket of this name.
    NoSuchBucket,
    /// The caller may not do this: a missing permission, a wrong password.
    AccessDenied,
    /// An argument, option or URL is not of the form that the call takes.
    InvalidArgument,
    /// A size or count is over one of [`Limits`](crate::Limits) (LIM-2).
    LimitExceeded,
    /// The stored value is not a counter (ATM-3).
    NotANumber,
    /// The result of an increment is outside `i64` (ATM-3).
    Overflow,
    /// The backend can't be reached, or refuses work until something outside changes.
    Unavailable,
    /// No answer came in time.
    Timeout,
    /// Memory, disk, connections or file handles are used up.
    ResourceExhausted,
    /// Stored data is damaged (DUR-3).
    Corrupt,
    /// The store is open elsewhere (DUR-4).
    Locked,
    /// A newer writer has taken this one's place.
    Fenced,
    /// A repeated call differs from the one it repeats.
    ReplayMismatch,
    /// The provider does not have this power, and declares so (ERR-5).
    Unsupported,
    /// None of the others fits.
    Other,
}

impl ErrorKind {
    /// Every kind, in the contract's order.
    pub const ALL: [Self; 15] = [
        Self::NoSuchBucket,
        Self::AccessDenied,
        Self::InvalidArgument,
        Self::LimitExceeded,
        Self::NotANumber,
        Self::Overflow,
        Self::Unavailable,
        Self::Timeout,
        Self::ResourceExhausted,
        Self::Corrupt,
        Self::Locked,
        Self::Fenced,
        Self::ReplayMismatch,
        Self::Unsupported,
        Self::Other,
    ];

    /// The kind's name as the contract writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchBucket => "NoSuchBucket",
            Self::AccessDenied => "AccessDenied",
            Self::InvalidArgument => "InvalidArgument",
            Self::LimitExceeded => "LimitExceeded",
            Self::NotANumber => "NotANumber",
            Self::Overflow => "Overflow",
            Self::Unavailable => "Unavailable",
            Self::Timeout => "Timeout",
            Self::ResourceExhausted => "ResourceExhausted",
            Self::Corrupt => "Corrupt",
            Self::Locked => "Locked",
            Self::Fenced => "Fenced",
            Self::ReplayMismatch => "ReplayMismatch",
            Self::Unsupported => "Unsupported",
            Self::Other => "Other",
        }
    }

    /// Whether an unchanged call may succeed once something outside has changed.
    fn may_pass(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout | Self::ResourceExhausted | Self::Locked)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failed call did to the stored data (ERR-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Certainly nothing, now and later. Reads always say this.
    None,
    /// It may have been applied, or may still be.
    Unknown,
}

/// Why a call failed (ERR-1).
///
/// One word wide. `Display` gives one sentence and never the source's text, so that a chain says nothing
/// twice; [`trace`](Self::trace) gives the whole chain on one line. No text holds a key's value, a password or
/// a URL's user info (ERR-4): whoever makes an error keeps them out of the message and of the source.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    effect: Effect,
    retryable: bool,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error from a sentence that says what was being done, where, what happened, and what to do.
    ///
    /// The sentence starts in lower case and ends without a full stop.
    #[must_use]
    pub fn new(kind: ErrorKind, effect: Effect, message: impl Into<Cow<'static, str>>) -> Self {
        let retryable = kind.may_pass() && effect == Effect::None;
        Self(Box::new(Inner { kind, effect, retryable, message: message.into(), source: None }))
    }

    /// Refuses an argument; nothing was done.
    #[must_use]
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidArgument, Effect::None, message)
    }

    /// Refuses a call over a limit, naming the limit and its value; nothing was done (LIM-2).
    #[must_use]
    pub fn limit(what: &str, found: u64, limit: u64, unit: &str) -> Self {
        Self::new(
            ErrorKind::LimitExceeded,
            Effect::None,
            format!("{what} has {found} {unit}, which exceeds the limit of {limit} {unit}"),
        )
    }

    /// Refuses a reply over the reply limit of `bytes`; the text is the contract's own (LIM-2).
    #[must_use]
    pub fn reply_limit(bytes: usize) -> Self {
        Self::new(ErrorKind::LimitExceeded, Effect::None, format!("query result exceeds limit of {bytes} bytes"))
    }

    /// Answers for a power that the provider does not declare (ERR-5).
    #[must_use]
    pub fn unsupported(power: &str) -> Self {
        Self::new(
            ErrorKind::Unsupported,
            Effect::None,
            format!("this provider does not offer {power}; choose one that declares it"),
        )
    }

    /// Attaches the cause. The caller vouches that its text holds no secret (ERR-4).
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says that the same call can't succeed later unchanged, although its kind often can: a store closed for
    /// writes until it is reopened.
    #[must_use]
    pub fn not_retryable(mut self) -> Self {
        self.0.retryable = false;
        self
    }

    /// What went wrong, in a word (ERR-2).
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the failed call did (ERR-3).
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// Whether the same call may succeed later unchanged and may safely be made again (ERR-1).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The error and its causes on one line, each once (ERR-1).
    #[must_use]
    pub fn trace(&self) -> String {
        let mut text = self.0.message.to_string();
        let mut cause = self.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("effect", &self.0.effect)
            .field("retryable", &self.0.retryable)
            .field("trace", &self.trace())
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn display_leaves_the_source_to_trace() {
        let cause = std::io::Error::other("line one\nline two");
        let error = Error::new(ErrorKind::Other, Effect::None, "reading failed").with_source(cause);
        assert_eq!(error.to_string(), "reading failed");
        assert_eq!(error.trace(), "reading failed: line one line two");
    }

    #[test]
    fn a_write_of_unknown_effect_is_never_retryable() {
        for kind in ErrorKind::ALL {
            assert!(!Error::new(kind, Effect::Unknown, "").is_retryable(), "{kind}");
        }
        assert!(Error::new(ErrorKind::Timeout, Effect::None, "").is_retryable());
        assert!(!Error::new(ErrorKind::AccessDenied, Effect::None, "").is_retryable());
        assert!(!Error::new(ErrorKind::Unavailable, Effect::None, "").not_retryable().is_retryable());
    }
}
