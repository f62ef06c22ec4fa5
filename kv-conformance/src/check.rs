use std::fmt;
use std::panic::Location;

use kv_core::Error;

/// How a case ends: `Ok` is passed.
pub type Outcome = Result<(), Stop>;

/// Why a case ended without passing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A promise is not kept: what was expected and what was found.
    Failed(String),
    /// The case does not apply here, for this reason.
    NotApplicable(String),
    /// The case could not decide, for this reason; never a pass.
    Inconclusive(String),
}

impl Stop {
    /// Fails, saying where in the suite.
    #[track_caller]
    #[must_use]
    pub fn failed(what: impl fmt::Display) -> Self {
        let at = Location::caller();
        Self::Failed(format!("{what} ({}:{})", at.file(), at.line()))
    }
}

/// A call that must succeed did not.
impl From<Error> for Stop {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::failed(format_args!(
            "expected: the call succeeds; found: {} (effect {:?}): {}",
            error.kind(),
            error.effect(),
            error.trace()
        ))
    }
}

/// Fails the case unless the condition holds; the text says what was expected and what was found.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::Stop::failed(format_args!($($text)+)));
        }
    };
}

/// Fails the case unless what was found equals what was expected. Values of ours hold no secrets and are shown,
/// shortened.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr $(,)?) => {
        $crate::check::ensure_equal(&$found, &$expected, stringify!($found))?
    };
    ($found:expr, $expected:expr, $($text:tt)+) => {
        $crate::check::ensure_equal(&$found, &$expected, &format!($($text)+))?
    };
}

/// Fails the case unless the call failed with this kind; gives the error.
macro_rules! ensure_kind {
    ($call:expr, $kind:ident) => {
        $crate::check::ensure_failed($call, kv_core::ErrorKind::$kind, stringify!($call))?
    };
}

pub(crate) use {ensure, ensure_eq, ensure_kind};

#[track_caller]
pub(crate) fn ensure_equal<F, E>(found: &F, expected: &E, what: &str) -> Outcome
where
    F: PartialEq<E> + fmt::Debug + ?Sized,
    E: fmt::Debug + ?Sized,
{
    if found == expected {
        return Ok(());
    }
    Err(Stop::failed(format_args!(
        "{what}: expected {}, found {}",
        shorten(&format!("{expected:?}")),
        shorten(&format!("{found:?}"))
    )))
}

#[track_caller]
pub(crate) fn ensure_failed<T>(
    result: kv_core::Result<T>,
    kind: kv_core::ErrorKind,
    what: &str,
) -> Result<Error, Stop> {
    match result {
        Ok(_) => Err(Stop::failed(format_args!("{what}: expected the error {kind}, found success"))),
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Stop::failed(format_args!(
            "{what}: expected the error {kind}, found {}: {}",
            error.kind(),
            error.trace()
        ))),
    }
}

/// Shows bytes as text where they are, for expectations about values.
pub(crate) fn show(bytes: &[u8]) -> String {
    shorten(&format!("b\"{}\" ({} bytes)", bytes.escape_ascii(), bytes.len()))
}

fn shorten(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or(text), text.len()),
        None => text.to_owned(),
    }
}
