//! How the command ends: its exit code, and the one sentence that says why.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::error::ErrorKind as Usage;
use kv::{Effect, Error, ErrorKind};
use serde_json::json;

use crate::output::escape;

/// What a command gives back.
pub(crate) type Ended = Result<Verdict, Failure>;

/// How a command that did its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Exit code 0.
    Yes,
    /// Exit code 1: no such key, not there, swap lost, a case failed.
    No,
    /// The exit code of a program that was run.
    #[allow(dead_code, reason = "only the commands of the feature wasi run programs")]
    Code(u8),
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    kind: ErrorKind,
    effect: Effect,
    message: String,
    /// Lines below the sentence.
    below: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// Whoever read our output has gone, like `head`: no failure.
    PipeClosed = 0,
    Usage = 2,
    Failure = 3,
}

impl Failure {
    /// The command line asks for what makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: Code::Usage,
            kind: ErrorKind::InvalidArgument,
            effect: Effect::None,
            message: message.into(),
            below: String::new(),
        }
    }

    /// The data that was given is not of the form that it has to have.
    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self {
            code: Code::Failure,
            kind: ErrorKind::InvalidArgument,
            effect: Effect::None,
            message: message.into(),
            below: String::new(),
        }
    }

    /// Something in this program is not as it should be.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self {
            code: Code::Failure,
            kind: ErrorKind::Other,
            effect: Effect::Unknown,
            message: message.into(),
            below: String::new(),
        }
    }

    /// The system refused while `doing` something to a file.
    pub(crate) fn io(doing: impl AsRef<str>, cause: &io::Error) -> Self {
        let kind = match cause.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::AccessDenied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => {
                ErrorKind::ResourceExhausted
            }
            _ => ErrorKind::Other,
        };
        let message = format!("{} failed: {cause}", doing.as_ref());
        Self { code: Code::Failure, kind, effect: Effect::None, message, below: String::new() }
    }

    /// Writing to standard output failed.
    pub(crate) fn stdout(cause: &io::Error) -> Self {
        let mut failure = Self::io("writing to standard output", cause);
        if cause.kind() == io::ErrorKind::BrokenPipe {
            failure.code = Code::PipeClosed;
        }
        failure
    }

    /// A call refused what the command line asked for.
    pub(crate) fn usage_of(error: &Error) -> Self {
        Self { code: Code::Usage, ..Self::opening(error) }
    }

    /// A store did not open, although its URL is well formed.
    pub(crate) fn opening(error: &Error) -> Self {
        Self {
            code: Code::Failure,
            kind: error.kind(),
            effect: error.effect(),
            message: error.trace(),
            below: String::new(),
        }
    }

    /// Puts a file's name before the sentence.
    pub(crate) fn within(mut self, file: &str) -> Self {
        self.message = format!("{file}: {}", self.message);
        self
    }

    /// Puts lines below the sentence.
    #[allow(dead_code, reason = "only the commands of the feature wasi have more to tell")]
    pub(crate) fn below(mut self, lines: impl Into<String>) -> Self {
        self.below = lines.into();
        self
    }

    /// Puts more behind the sentence.
    pub(crate) fn and(mut self, more: impl AsRef<str>) -> Self {
        self.message.push_str(more.as_ref());
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // The arguments of a call on an open store are those of the command line.
        if error.kind() == ErrorKind::InvalidArgument { Self::usage_of(&error) } else { Self::opening(&error) }
    }
}

/// Says on standard error why the command failed, and gives its exit code.
pub(crate) fn report(ended: Ended, json: bool) -> ExitCode {
    match ended {
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(1),
        Ok(Verdict::Code(code)) => ExitCode::from(code),
        Err(failure) => {
            if failure.code != Code::PipeClosed {
                say(&failure, json);
            }
            ExitCode::from(failure.code as u8)
        }
    }
}

fn say(failure: &Failure, json: bool) {
    let text = if json {
        let effect = match failure.effect {
            Effect::None => "none",
            Effect::Unknown => "unknown",
        };
        let mut error = json!({"kind": failure.kind.as_str(), "effect": effect, "message": failure.message});
        if let (false, Some(fields)) = (failure.below.is_empty(), error.as_object_mut()) {
            fields.insert("detail".to_owned(), failure.below.as_str().into());
        }
        json!({"error": error}).to_string()
    } else {
        let below = failure.below.lines().map(|line| format!("\n{}", escape(line)));
        format!("kv: {}{}", escape(&failure.message), below.collect::<String>())
    };
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what is wrong with the command line, or shows the help that was asked for.
pub(crate) fn refused(refusal: &clap::Error) -> ExitCode {
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let is_help = matches!(
        refusal.kind(),
        Usage::DisplayHelp | Usage::DisplayVersion | Usage::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if json && !is_help {
        let text = refusal.render().to_string();
        // What is missing stands in lines of its own, up to the first empty one.
        let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let message = lines.join(" ");
        say(&Failure::usage(message.strip_prefix("error: ").unwrap_or(&message)), true);
    } else {
        // A closed pipe is no reason to complain about help.
        let _ = refusal.print();
    }
    ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(Code::Usage as u8))
}

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs the command so that a panic is one sentence too. An engine's panics on a damaged store are caught below us
/// and come as errors; the usual hook would print them all the same, so it stays only where `RUST_BACKTRACE` asks
/// for it.
pub(crate) fn without_panics(run: impl FnOnce() -> Ended) -> Ended {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map_or_else(String::new, ToString::to_string);
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        }));
    }
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(ended) => ended,
        Err(_) => {
            let place = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            Err(Failure::other(format!(
                "this is a fault in kv itself (at {place}); set RUST_BACKTRACE=1 to see more, and please report it"
            )))
        }
    }
}
