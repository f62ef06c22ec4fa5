//! Calls as they are typed: WAVE, with two more ways to write a list of bytes.
//!
//! `b"text"` and `@FILE` stand for `list<u8>`, wherever a value may stand. WAVE is given a short list in the place of each,
//! and errors are shown at the place where they were typed.

use std::ops::Range;

use bytes::Bytes;
use wasm_wave::parser::{ParserError, ParserErrorKind};
use wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::{Type, Val};

use super::stand_ins::StandIns;
use crate::exit::Failure;
use crate::input;

/// The longest file that may stand for a list: the longest value that a store takes.
const FILE_BYTES: usize = 64 << 20;

/// A call, taken apart.
#[derive(Debug)]
pub(super) struct Typed {
    /// What was typed.
    text: String,
    /// What is called, such as `golem:examples/api.get`.
    pub(super) name: String,
    /// The call in WAVE, by a name that WAVE has for sure.
    wave: String,
    /// Where parts of the latter come from: each goes on from its own place to the same one in what was typed.
    parts: Vec<Part>,
    /// What `b"text"` and `@FILE` stand for.
    bytes: StandIns,
    /// Where those were typed.
    bytes_typed: Vec<Range<usize>>,
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

impl Typed {
    pub(super) fn parse(typed: &str) -> Result<Self, Failure> {
        let typed = typed.trim();
        let open = typed.find('(').unwrap_or(typed.len());
        let (name, arguments) = typed.split_at(open);
        let mut call = Self {
            text: typed.to_owned(),
            name: name.trim().to_owned(),
            wave: NAME.to_owned(),
            parts: Vec::new(),
            bytes: StandIns::new(),
            bytes_typed: Vec::new(),
        };
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
                    // Behind the second quote there is at least the call's parenthesis.
                    if length == left.len() {
                        return Err(self.wrong(place..place + length, "the text has no second quote"));
                    }
                    let text = left.get(2..length.saturating_sub(1)).unwrap_or_default();
                    let bytes = unescape(text).map_err(|why| self.wrong(place..place + length, &why))?;
                    self.list(bytes.into(), place..place + length);
                    left = left.get(length..).unwrap_or_default();
                    before = '"';
                    continue;
                }
                '@' if is_value => {
                    let length = left.find([',', ')', ']', '}']).unwrap_or(left.len());
                    let path = left.get(..length).unwrap_or_default().trim_end();
                    let bytes = input::value(path, false)?;
                    if bytes.len() > FILE_BYTES {
                        let why = format!("the file is longer than {FILE_BYTES} bytes, and no value may be");
                        return Err(self.wrong(place..place + path.len(), &why));
                    }
                    self.list(bytes, place..place + path.len());
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

    fn list(&mut self, bytes: Bytes, typed: Range<usize>) {
        let begun = self.wave.len();
        self.wave.push_str(&self.bytes.add(bytes));
        self.parts.push(Part { wave: begun..self.wave.len(), typed: typed.clone(), is_copy: false });
        self.bytes_typed.push(typed);
    }

    /// The arguments, for a function that takes these types.
    pub(super) fn arguments(&self, types: &[Type]) -> Result<Vec<Val>, Failure> {
        let wrong = |error: ParserError| {
            let kind = error.kind();
            let mut why = error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"));
            if kind == ParserErrorKind::InvalidType {
                // What everybody forgets first.
                why.push_str(r#" (a string stands in double quotes; a list<u8> is b"text", [1, 2] or @FILE)"#);
            }
            self.wrong_wave(&error.span(), &why)
        };
        let parsed = UntypedFuncCall::parse(&self.wave).map_err(wrong)?;
        let mut arguments: Vec<Val> = parsed.to_wasm_params(types).map_err(wrong)?;
        match self.bytes.put(&mut arguments).and_then(|left| self.bytes_typed.get(left)) {
            Some(typed) => Err(self.wrong(typed.clone(), "it stands for a list<u8>, and another type is wanted")),
            None => Ok(arguments),
        }
    }

    /// The error for a place in the WAVE text.
    fn wrong_wave(&self, at: &Range<usize>, why: &str) -> Failure {
        let part = self.parts.iter().find(|part| part.wave.contains(&at.start) || part.wave.start == at.start);
        let typed = match part {
            Some(part) => {
                let within = at.start - part.wave.start;
                let start = (part.typed.start + within).min(part.typed.end.saturating_sub(1).max(part.typed.start));
                start..start + at.len().clamp(1, part.typed.end.saturating_sub(start).max(1))
            }
            None if at.start < NAME.len() => 0..self.name.len(),
            None => self.text.len()..self.text.len(),
        };
        self.wrong(typed, why)
    }

    /// Points at the place in what was typed.
    fn wrong(&self, at: Range<usize>, why: &str) -> Failure {
        let before = self.text.get(..at.start).unwrap_or(&self.text);
        let begun = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.text.get(begun..).unwrap_or_default().lines().next().unwrap_or_default();
        let indent = before.get(begun..).unwrap_or_default().chars().count();
        let most = line.chars().count().saturating_sub(indent).max(1);
        let width = self.text.get(at).map_or(1, |text| text.chars().count()).clamp(1, most);
        // Each character in one column.
        let line = line.replace(char::is_control, " ");
        Failure::usage(why).below(format!("  {line}\n  {}{}", " ".repeat(indent), "^".repeat(width)))
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
                let is_whole = digits.len() == 2 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
                let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| is_whole);
                byte.ok_or_else(|| "\\x takes two hexadecimal digits".to_owned())?
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

    /// The bytes that were typed, and the call with `_` in their place.
    fn split(typed: &str) -> (Vec<Vec<u8>>, String) {
        let typed = Typed::parse(typed).unwrap();
        let mut wave = typed.wave.clone();
        for part in typed.parts.iter().rev().filter(|part| !part.is_copy) {
            wave.replace_range(part.wave.clone(), "_");
        }
        (typed.bytes.all().map(<[u8]>::to_vec).collect(), wave)
    }

    #[test]
    fn bytes_are_taken_out() {
        for (typed, bytes, wave) in [
            (r#"api.set("b", "k", b"a\x00\n")"#, &[&b"a\0\n"[..]][..], r#"f("b", "k", _)"#),
            (r#"x([b"", b"\"", "b\"x\"", '@'])"#, &[b"", b"\""], r#"f([_, _, "b\"x\"", '@'])"#),
            (r#"x(some(b"é"))"#, &["é".as_bytes()], "f(some(_))"),
            // A label that ends with b, and an enum's case.
            (r#"x({b: 1, ab: "c"})"#, &[], r#"f({b: 1, ab: "c"})"#),
        ] {
            assert_eq!(split(typed), (bytes.iter().map(|bytes| bytes.to_vec()).collect(), wave.to_owned()));
        }
    }

    #[test]
    fn a_file_stands_for_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [1, 2, 255]).unwrap();
        let path = file.path().display();
        let (bytes, wave) = split(&format!("x(@{path}, [@{path}])"));
        assert_eq!((bytes, wave.as_str()), (vec![vec![1, 2, 255]; 2], "f(_, [_])"));
        assert!(Typed::parse("x(@/no/such/file)").is_err());
        file.as_file().set_len(FILE_BYTES as u64 + 1).unwrap();
        assert!(
            format!("{:?}", Typed::parse(&format!("x(@{path})")).unwrap_err()).contains("longer than 67108864 bytes")
        );
    }

    #[test]
    fn a_place_is_shown_where_it_was_typed() {
        let typed = Typed::parse("api.set(b\"abc\",\n\t7x)").unwrap();
        let at = typed.wave.find("7x").unwrap();
        let text = format!("{:?}", typed.wrong_wave(&(at..at + 2), "no"));
        assert!(text.contains(r#""   7x)\n   ^^""#), "{text}");
        assert!(Typed::parse("(1)").is_err() && Typed::parse("x").is_err() && Typed::parse("x(").is_err());
        for escape in [r"\q", r"\x+f", r"\xf", r"\"] {
            assert!(Typed::parse(&format!("x(b\"{escape}\")")).is_err(), "{escape}");
        }
    }
}
