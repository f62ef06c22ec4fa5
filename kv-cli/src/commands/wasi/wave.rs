//! Calls as they are typed: WAVE, with two more ways to write a list of bytes.
//!
//! `b"text"` and `@FILE` stand for `list<u8>`, wherever a value may stand. They are put into WAVE's own words before it is
//! parsed, and errors are shown at the place where they were typed.

use std::fmt::Write as _;
use std::ops::Range;

use crate::exit::Failure;
use crate::input;

/// A call, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    /// What was typed.
    typed: String,
    /// What is called, such as `golem:examples/api.get`.
    pub(super) name: String,
    /// The call in WAVE, by a name that WAVE has for sure.
    pub(super) wave: String,
    /// Where parts of the latter come from: each goes on from its own place to the same one in what was typed.
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    wave: Range<usize>,
    typed: Range<usize>,
    /// Whether the two are the same text.
    is_copy: bool,
}

/// The name by which calls are parsed.
const NAME: &str = "f";

impl Call {
    pub(super) fn parse(typed: &str) -> Result<Self, Failure> {
        let typed = typed.trim();
        let open = typed.find('(').unwrap_or(typed.len());
        let (name, arguments) = typed.split_at(open);
        let mut call =
            Self { typed: typed.to_owned(), name: name.trim().to_owned(), wave: NAME.to_owned(), parts: Vec::new() };
        if call.name.is_empty() {
            return Err(call.wrong(0..0, "a call begins with the function's name"));
        }
        if !arguments.ends_with(')') {
            return Err(call.wrong(typed.len()..typed.len(), "a call ends with its arguments in parentheses"));
        }
        call.translate(arguments, open)?;
        Ok(call)
    }

    /// Copies the arguments, and puts bytes in WAVE's words.
    fn translate(&mut self, arguments: &str, at: usize) -> Result<(), Failure> {
        let mut left = arguments;
        let mut before = '(';
        while let Some(first) = left.chars().next() {
            let place = at + arguments.len() - left.len();
            let is_value = matches!(before, '(' | '[' | '{' | ',' | ':' | ' ' | '\t' | '\n');
            let length = match first {
                '"' | '\'' => quoted(left, first),
                'b' if is_value && left.starts_with("b\"") => {
                    let length = 1 + quoted(left.get(1..).unwrap_or_default(), '"');
                    let text = left.get(2..length.saturating_sub(1)).unwrap_or_default();
                    let bytes = unescape(text).map_err(|why| self.wrong(place..place + length, &why))?;
                    self.list(&bytes, place..place + length);
                    left = left.get(length..).unwrap_or_default();
                    before = '"';
                    continue;
                }
                '@' if is_value => {
                    let length = left.find([',', ')', ']', '}']).unwrap_or(left.len());
                    let path = left.get(..length).unwrap_or_default().trim_end();
                    let bytes = input::value(path, false)?;
                    self.list(&bytes, place..place + path.len());
                    left = left.get(path.len()..).unwrap_or_default();
                    before = '@';
                    continue;
                }
                other => other.len_utf8(),
            };
            self.copy(left.get(..length).unwrap_or(left), place);
            before = left.get(..length).and_then(|text| text.chars().next_back()).unwrap_or(first);
            left = left.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    fn copy(&mut self, text: &str, at: usize) {
        let begun = self.wave.len();
        self.wave.push_str(text);
        match self.parts.last_mut() {
            Some(last) if last.is_copy => {
                last.wave.end += text.len();
                last.typed.end += text.len();
            }
            _ => {
                self.parts.push(Part { wave: begun..self.wave.len(), typed: at..at + text.len(), is_copy: true });
            }
        }
    }

    fn list(&mut self, bytes: &[u8], typed: Range<usize>) {
        let begun = self.wave.len();
        self.wave.reserve(bytes.len() * 4);
        self.wave.push('[');
        for (n, byte) in bytes.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(self.wave, "{}{byte}", if n == 0 { "" } else { "," });
        }
        self.wave.push(']');
        self.parts.push(Part { wave: begun..self.wave.len(), typed, is_copy: false });
    }

    /// The error for a place in the WAVE text.
    pub(super) fn wrong_wave(&self, at: &Range<usize>, why: &str) -> Failure {
        let part = self.parts.iter().find(|part| part.wave.contains(&at.start) || part.wave.start == at.start);
        let typed = match part {
            Some(part) => {
                let within = at.start - part.wave.start;
                let start = (part.typed.start + within).min(part.typed.end.saturating_sub(1).max(part.typed.start));
                start..start + at.len().clamp(1, part.typed.end.saturating_sub(start).max(1))
            }
            None if at.start < NAME.len() => 0..self.name.len(),
            None => self.typed.len()..self.typed.len(),
        };
        self.wrong(typed, why)
    }

    /// Points at the place in what was typed.
    fn wrong(&self, at: Range<usize>, why: &str) -> Failure {
        let before = self.typed.get(..at.start).unwrap_or(&self.typed).chars().count();
        let width = self.typed.get(at).map_or(1, |text| text.chars().count()).max(1);
        Failure::usage(why).below(format!("  {}\n  {}{}", self.typed, " ".repeat(before), "^".repeat(width)))
    }
}

/// The length of a text in quotes, with both of them; all that is left where the second one is missing.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The bytes of `b"…"`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        bytes.push(match chars.next() {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('\'') => b'\'',
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).map_err(|cause| format!("\\x takes two hexadecimal digits: {cause}"))?
            }
            other => {
                let shown = other.map_or_else(String::new, |c| c.to_string());
                return Err(format!("\\{shown} is no escape; there are \\n \\r \\t \\0 \\\\ \\\" \\' and \\xHH"));
            }
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(typed: &str) -> String {
        Call::parse(typed).unwrap().wave
    }

    #[test]
    fn bytes_are_put_in_waves_words() {
        assert_eq!(wave(r#"api.set("b", "k", b"a\x00\n")"#), r#"f("b", "k", [97,0,10])"#);
        assert_eq!(wave(r#"x([b"", b"\"", "b\"x\"", '@'])"#), r#"f([[], [34], "b\"x\"", '@'])"#);
        assert_eq!(wave(r#"x(some(b"é"))"#), "f(some([195,169]))");
        // A label that ends with b, and an enum's case.
        assert_eq!(wave(r#"x({b: 1, ab: "c"})"#), r#"f({b: 1, ab: "c"})"#);
    }

    #[test]
    fn a_file_stands_for_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [1, 2, 255]).unwrap();
        let path = file.path().display();
        assert_eq!(wave(&format!("x(@{path}, [@{path}])")), "f([1,2,255], [[1,2,255]])");
        assert!(Call::parse("x(@/no/such/file)").is_err());
    }

    #[test]
    fn a_place_is_shown_where_it_was_typed() {
        let call = Call::parse(r#"api.set(b"abc", 7x)"#).unwrap();
        let at = call.wave.find("7x").unwrap();
        let text = format!("{:?}", call.wrong_wave(&(at..at + 2), "no"));
        assert!(text.contains(&format!("{}^^", " ".repeat(16 + 2))), "{text}");
        assert!(Call::parse("(1)").is_err() && Call::parse("x").is_err() && Call::parse("x(").is_err());
        assert!(Call::parse(r#"x(b"\q")"#).is_err());
    }
}
