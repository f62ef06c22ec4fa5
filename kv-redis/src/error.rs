//! The driver's errors as ours, in one total match.

use std::io;

use kv_core::{Effect, Error, ErrorKind};
use redis::ServerError;

use crate::wire::{Fault, Why};

/// What a call may have done when it failed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// It reads only.
    Read,
    /// It writes, once the server has it.
    Write,
}

impl Call {
    /// The effect of a call whose outcome is not known.
    pub(crate) fn lost(self) -> Effect {
        match self {
            Self::Read => Effect::None,
            Self::Write => Effect::Unknown,
        }
    }
}

/// The error of a call that got no answer.
pub(crate) fn lost(doing: &str, call: Call, fault: Fault) -> Error {
    let (kind, why) = match fault.why {
        Why::Timeout => (ErrorKind::Timeout, "the server did not answer in time"),
        Why::Lost(_) => (ErrorKind::Unavailable, "the connection to the server was lost"),
        Why::Garbage => (ErrorKind::Other, "the server's answer is not of the Redis protocol"),
    };
    let effect = if fault.may_be_sent { call.lost() } else { Effect::None };
    let error = Error::new(kind, effect, format!("{doing}: {why}"));
    match fault.why {
        Why::Lost(cause) => error.with_source(io::Error::from(cause)),
        _ => error,
    }
}

/// The error of a server that can't be reached. Nothing was sent.
pub(crate) fn unreachable(place: &str, cause: io::Error) -> Error {
    let (kind, why) = match cause.kind() {
        io::ErrorKind::TimedOut => (ErrorKind::Timeout, "it did not answer in time"),
        _ if matches!(tls(&cause), Some(rustls::Error::InvalidCertificate(_))) => {
            (ErrorKind::AccessDenied, "its certificate is not one that is trusted for this name; see ca= and the host")
        }
        _ if tls(&cause).is_some() => (ErrorKind::InvalidArgument, "what listens there does not speak TLS as we do"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            (ErrorKind::Unavailable, "it can't be reached; it hung up at once: check whether it wants TLS (rediss)")
        }
        _ => (ErrorKind::Unavailable, "it can't be reached; check the address and that the server runs"),
    };
    Error::new(kind, Effect::None, format!("connecting to {place}: {why}")).with_source(cause)
}

/// What TLS found wrong.
fn tls(cause: &io::Error) -> Option<&rustls::Error> {
    cause.get_ref()?.downcast_ref()
}

/// The error of a server that will not have us, or is none.
pub(crate) fn turned_away(place: &str, error: Option<&ServerError>) -> Error {
    let (kind, why) = match error.map(|error| (error.code(), error.details().unwrap_or_default())) {
        None => (ErrorKind::InvalidArgument, "what listens there is no Redis server".to_owned()),
        Some(("NOPROTO", _)) => old(),
        Some((_, detail)) if detail.starts_with("unknown command") => old(),
        Some((code, detail)) => refusal(code, detail),
    };
    Error::new(kind, Effect::None, format!("connecting to {place}: {why}"))
}

fn old() -> (ErrorKind, String) {
    (ErrorKind::Unsupported, "the server does not speak RESP3; it has to be Redis 6 or later".to_owned())
}

/// The error of a command that the server refused: it was not applied.
pub(crate) fn refused(doing: &str, error: &ServerError) -> Error {
    let (kind, why) = refusal(error.code(), error.details().unwrap_or_default());
    Error::new(kind, Effect::None, format!("{doing}: {why}"))
}

/// What a refusal means. Its own words are not repeated, for some quote the command (ERR-4).
fn refusal(code: &str, detail: &str) -> (ErrorKind, String) {
    let own = |kind, why: &str| (kind, why.to_owned());
    match code {
        "WRONGTYPE" => own(ErrorKind::Corrupt, "the entry holds another Redis type than a string; remove it there"),
        "NOAUTH" => own(ErrorKind::AccessDenied, "the server wants a user and a password, which the URL does not give"),
        "WRONGPASS" => own(ErrorKind::AccessDenied, "the server does not take this user and password"),
        "NOPERM" => own(ErrorKind::AccessDenied, "the user may not do this; see the server's ACL"),
        "OOM" => own(ErrorKind::ResourceExhausted, "the server's memory is full (maxmemory)"),
        "MISCONF" => own(ErrorKind::Unavailable, "the server can't save to its disk and takes no writes"),
        "BUSY" => own(ErrorKind::Unavailable, "the server is busy with somebody's script"),
        "LOADING" => own(ErrorKind::Unavailable, "the server is still loading its data"),
        "MASTERDOWN" => own(ErrorKind::Unavailable, "the server is a replica that has lost its primary"),
        "READONLY" => own(ErrorKind::Unavailable, "the server is a replica and takes no writes; name the primary"),
        "NOREPLICAS" => own(ErrorKind::Unavailable, "the server has too few replicas to take writes"),
        "CLUSTERDOWN" => own(ErrorKind::Unavailable, "the cluster is down"),
        "TRYAGAIN" => own(ErrorKind::Unavailable, "the cluster is moving the entry"),
        "MOVED" | "ASK" | "CROSSSLOT" => {
            own(ErrorKind::InvalidArgument, "the server is part of a cluster; write redis+cluster://")
        }
        _ if detail.contains("is not an integer") => own(ErrorKind::NotANumber, "the stored value is not a number"),
        _ if detail.contains("can't run this command") => {
            own(ErrorKind::AccessDenied, "the user may not do this; see the server's ACL")
        }
        _ if detail.contains("would overflow") => own(ErrorKind::Overflow, "the sum is outside of 64 bits"),
        _ if detail.contains("DB index") => {
            own(ErrorKind::InvalidArgument, "the server has no database of this number")
        }
        _ if detail.contains("max number of clients") => {
            own(ErrorKind::ResourceExhausted, "the server has too many clients (maxclients)")
        }
        _ if detail.contains("Client sent AUTH, but no password is set") || detail.contains("without any password") => {
            own(ErrorKind::AccessDenied, "the server has no password set, but the URL gives one")
        }
        code => (ErrorKind::Other, format!("the server refused with {}", word(code))),
    }
}

/// An error's code, where it looks like one.
fn word(code: &str) -> &str {
    if code.bytes().all(|byte| byte.is_ascii_uppercase()) { code } else { "an error of its own" }
}

/// The error of a write that too few replicas have. The primary has it.
pub(crate) fn too_few(doing: &str, got: i64, wanted: u32) -> Error {
    let text = format!("{doing}: the primary has it, but only {got} of {wanted} replicas in time (wait_replicas)");
    Error::new(ErrorKind::Timeout, Effect::Unknown, text)
}

/// A closed store (BKT-5).
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, Effect::None, "the store is closed; open it again").not_retryable()
}

/// An answer that the command does not give.
pub(crate) fn odd(doing: &str, call: Call) -> Error {
    Error::new(ErrorKind::Other, call.lost(), format!("{doing}: the server's answer has an unexpected form"))
}
