//! Standard output: plain for people and pipes, JSON for programs.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use serde::Serialize;

use crate::exit::Failure;

/// What a command writes, gathered in a buffer.
pub(crate) struct Output {
    /// Whether `--json` was given.
    pub(crate) json: bool,
    /// Whether a person reads it.
    pub(crate) terminal: bool,
    /// Whether colours are wanted.
    pub(crate) colour: bool,
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, terminal, colour, out: BufWriter::with_capacity(64 * 1024, io::stdout().lock()) }
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(|cause| Failure::stdout(&cause))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.bytes(text.as_ref().as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes a line with a name in it that a terminal must not obey.
    pub(crate) fn name(&mut self, name: &str, end: u8) -> Result<(), Failure> {
        let shown = if self.terminal { escape(name) } else { Cow::Borrowed(name) };
        self.bytes(shown.as_bytes())?;
        self.bytes(&[end])
    }

    /// Writes one JSON value on a line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        match serde_json::to_writer(&mut self.out, value) {
            Ok(()) => self.bytes(b"\n"),
            Err(cause) => Err(Failure::stdout(&cause.into())),
        }
    }

    /// Hands on what is in the buffer.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|cause| Failure::stdout(&cause))
    }
}

/// Says something to the person beside the output, on standard error.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "kv: {}", escape(text.as_ref()));
}

/// Makes control characters visible, so that a terminal does not obey them.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_nothing_else() {
        assert_eq!(escape("plain é ✓ \\ '"), "plain é ✓ \\ '");
        assert_eq!(escape("a\u{1b}[2Jb\nc\u{9b}d\0"), "a\\u{1b}[2Jb\\nc\\u{9b}d\\u{0}");
    }
}
