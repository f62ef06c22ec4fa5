//! One entry as a line of JSON: what `export` writes, `import --format ndjson` reads and `get --json` shows.
//!
//! `{"key":"k","value":"text","expires_at_ms":1700000000000}`. A value that is not UTF-8 is base64 under
//! `value_base64` instead; `expires_at_ms` is there only if the entry has a deadline.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An entry that is to be shown.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    key: &'a str,
    #[serde(flatten)]
    value: ShownValue<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
}

/// A value that is to be shown.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShownValue<'a> {
    Value(&'a str),
    ValueBase64(String),
}

impl<'a> Shown<'a> {
    pub(crate) fn new(key: &'a str, value: &'a [u8], expires_at_ms: Option<u64>) -> Self {
        Self { key, value: ShownValue::new(value), expires_at_ms }
    }
}

impl<'a> ShownValue<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Self {
        match std::str::from_utf8(value) {
            Ok(text) => Self::Value(text),
            Err(_) => Self::ValueBase64(STANDARD.encode(value)),
        }
    }

    /// The text, or the base64 code.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Value(text) => text,
            Self::ValueBase64(code) => code,
        }
    }
}

/// An entry that is to be stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) value: Bytes,
    /// Milliseconds since 1970.
    pub(crate) expires_at_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    value: Option<String>,
    value_base64: Option<String>,
    expires_at_ms: Option<u64>,
}

impl Record {
    /// Reads a line; the error says why it cannot be read.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        // The text of a JSON error names fields and columns, and at most one unexpected scalar.
        let line: Line = serde_json::from_slice(line).map_err(|cause| format!("it is not an entry: {cause}"))?;
        let value = match (line.value, line.value_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(code)) => STANDARD.decode(code).map_err(|cause| format!("value_base64: {cause}"))?,
            _ => return Err("it must have exactly one of value and value_base64".to_owned()),
        };
        Ok(Self { key: line.key, value: value.into(), expires_at_ms: line.expires_at_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back() {
        for value in [&b""[..], b"text \"\\ \n \0", b"\xff\xfe", "é ✓".as_bytes()] {
            for expires_at_ms in [None, Some(0), Some(u64::MAX)] {
                let line = serde_json::to_vec(&Shown::new("k\n\u{0}\"", value, expires_at_ms)).unwrap();
                let record = Record::parse(&line).unwrap();
                assert_eq!((record.key.as_str(), &record.value[..]), ("k\n\u{0}\"", value));
                assert_eq!(record.expires_at_ms, expires_at_ms);
            }
        }
    }

    #[test]
    fn refuses_what_is_not_an_entry() {
        for line in [
            "",
            "[]",
            "{",
            r#"{"key":"k"}"#,
            r#"{"value":"v"}"#,
            r#"{"key":"k","value":"v","value_base64":""}"#,
            r#"{"key":"k","value_base64":"?"}"#,
            r#"{"key":"k","value":"v","expire_at_ms":1}"#,
            r#"{"key":"k","value":"v"} x"#,
            r#"{"key":"k","key":"l","value":"v"}"#,
            r#"{"key":"k","value":"v","expires_at_ms":-1}"#,
        ] {
            Record::parse(line.as_bytes()).unwrap_err();
        }
    }
}
