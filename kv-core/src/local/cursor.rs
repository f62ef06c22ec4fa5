//! Cursors of providers that list in key order: the last key of the page, bound to provider and bucket (LST-2).

use crate::{Error, Result};

/// Which layout of the text follows; another one is refused.
const VERSION: &str = "1";

/// Makes the cursor that goes on after `last`.
#[must_use]
pub fn encode(provider: &str, bucket: &str, last: &str) -> String {
    use std::fmt::Write;
    let mut text = format!("{VERSION}-{:016x}-", checksum(provider, bucket, last));
    for byte in last.bytes() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads a cursor back: the key after which to go on.
///
/// # Errors
///
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for anything but a cursor of this provider and bucket.
pub fn decode(provider: &str, bucket: &str, cursor: &str) -> Result<String> {
    parse(provider, bucket, cursor).ok_or_else(|| {
        Error::invalid("the cursor is not one that a listing of this bucket gave; begin the listing again without one")
    })
}

fn parse(provider: &str, bucket: &str, cursor: &str) -> Option<String> {
    let (sum, last) = cursor.strip_prefix(VERSION)?.strip_prefix('-')?.split_once('-')?;
    if !last.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = last
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
            _ => None,
        })
        .collect();
    let last = String::from_utf8(bytes?).ok()?;
    (sum == format!("{:016x}", checksum(provider, bucket, &last))).then_some(last)
}

/// FNV-1a over the three texts, each closed by a byte that UTF-8 never has. Against mistakes, not against malice:
/// whoever forges a cursor reads on in the bucket that they may read anyway.
fn checksum(provider: &str, bucket: &str, last: &str) -> u64 {
    [provider, bucket, last]
        .iter()
        .flat_map(|text| text.bytes().chain([0xff]))
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_in_its_own_bucket_only() {
        for last in ["", "a", "k\0\u{10ffff}", "a-b"] {
            let cursor = encode("memory", "b", last);
            assert_eq!(decode("memory", "b", &cursor).unwrap(), last);
            assert!(decode("memory", "c", &cursor).is_err());
            assert!(decode("sled", "b", &cursor).is_err());
        }
    }

    #[test]
    fn rubbish_and_damage_are_refused() {
        let cursor = encode("memory", "b", "key");
        for at in 0..cursor.len() {
            assert!(decode("memory", "b", &cursor[..at]).is_err());
            let mut damaged = cursor.clone().into_bytes();
            damaged[at] ^= 1;
            assert!(decode("memory", "b", &String::from_utf8(damaged).unwrap()).is_err(), "{at}");
        }
        for rubbish in ["", "-", "1--", "9999", "1-0-ff", "é"] {
            assert!(decode("memory", "b", rubbish).is_err());
        }
    }
}
