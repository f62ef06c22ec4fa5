//! Counters as canonical decimal text (ATM-2).

use crate::{Effect, Error, ErrorKind, Result};

/// Adds `delta` to a stored counter, where absence counts as 0 (ATM-1).
///
/// # Errors
///
/// [`NotANumber`](ErrorKind::NotANumber) if the stored value is not canonical decimal text within `i64`,
/// [`Overflow`](ErrorKind::Overflow) if the sum is outside `i64` (ATM-3).
pub fn add(stored: Option<&[u8]>, delta: i64) -> Result<i64> {
    let old = match stored {
        None => 0,
        Some(text) => parse(text).ok_or_else(|| {
            Error::new(
                ErrorKind::NotANumber,
                Effect::None,
                "incrementing a value that is not a counter: it must be a whole number within 64 bits, in plain decimal digits",
            )
        })?,
    };
    old.checked_add(delta).ok_or_else(|| {
        Error::new(
            ErrorKind::Overflow,
            Effect::None,
            "incrementing a counter past what 64 bits hold; it was left as it is",
        )
    })
}

/// Reads canonical decimal text: `0` or `-?[1-9][0-9]{0,18}` within `i64` (ATM-2).
#[must_use]
pub fn parse(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_text_is_a_counter() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse(number.to_string().as_bytes()), Some(number));
        }
        for text in [
            "",
            " 10",
            "10 ",
            "010",
            "+5",
            "-0",
            "-",
            "--1",
            "1e3",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "\u{661}",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse(b"\xff1"), None);
    }

    #[test]
    fn adding_refuses_to_wrap() {
        assert_eq!(add(None, 0).unwrap(), 0);
        assert_eq!(add(Some(b"-3"), 5).unwrap(), 2);
        assert_eq!(add(Some(b"9223372036854775807"), 1).unwrap_err().kind(), ErrorKind::Overflow);
        assert_eq!(add(Some(b"-9223372036854775808"), -1).unwrap_err().kind(), ErrorKind::Overflow);
        assert_eq!(add(Some(b"x"), 1).unwrap_err().kind(), ErrorKind::NotANumber);
    }
}
