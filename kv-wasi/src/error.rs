use std::fmt;

use crate::missing::Missing;

/// Why a program can't be loaded or linked. [`Display`](fmt::Display) is a whole sentence about it, without its source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    source: Option<wasmtime::Error>,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The file is not a component, or a damaged one.
    NotAComponent,
    /// It is built against a form of `wasi:keyvalue`, or a version of WASI, that is not supported.
    UnknownShape,
    /// It has streams, futures or async functions of the component model, which this engine is not set up for: one with
    /// [`concurrency_support`](wasmtime::Config::concurrency_support) may take it.
    NeedsAsync,
    /// It imports what nobody provides.
    Missing,
    /// It lacks an export that is needed.
    NoSuchExport,
    /// What wasmtime says.
    Other,
}

impl Error {
    fn new(kind: ErrorKind, text: String) -> Self {
        Self { kind, text, source: None }
    }

    pub(crate) fn not_a_component(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotAComponent, text.into())
    }

    pub(crate) fn shape(text: String) -> Self {
        Self::new(ErrorKind::UnknownShape, text)
    }

    /// What found it out, in words of its own.
    pub(crate) fn with_source(self, source: wasmtime::Error) -> Self {
        Self { source: Some(source), ..self }
    }

    pub(crate) fn needs_async(source: wasmtime::Error) -> Self {
        let text = "it has streams, futures or async functions of the component model, for which the engine needs \
            Config::concurrency_support";
        Self::new(ErrorKind::NeedsAsync, text.to_owned()).with_source(source)
    }

    pub(crate) fn export(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::NoSuchExport, text.into())
    }

    pub(crate) fn missing(missing: &[Missing]) -> Self {
        let mut text = "it imports what this host does not provide:".to_owned();
        for missing in missing {
            text.push_str("\n  ");
            text.push_str(&missing.to_string());
        }
        Self::new(ErrorKind::Missing, text)
    }

    pub(crate) fn of(doing: &str, source: wasmtime::Error) -> Self {
        // The cause behind wasmtime's own words says what is wrong; the words before it only where.
        let text = format!("{doing}: {}", source.root_cause());
        Self { kind: ErrorKind::Other, text, source: Some(source) }
    }

    /// What kind of fault it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
