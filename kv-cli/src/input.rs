//! Values on the command line: literal, `-` for standard input, `@FILE` for a file.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;

use crate::exit::Failure;

/// Reads at most this much: one byte over the contract's limit for a value, so that the core refuses it (LIM-1).
const MOST: u64 = (64 << 20) + 1;

/// Reads what `text` stands for; with `raw` it stands for itself.
pub(crate) fn value(text: &str, raw: bool) -> Result<Bytes, Failure> {
    if raw {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    if is_stdin(text) {
        return read(io::stdin().lock(), "standard input");
    }
    match text.strip_prefix('@') {
        Some(path) => {
            let file = File::open(path).map_err(|cause| Failure::io(format!("opening {path}"), &cause))?;
            read(file, path)
        }
        None => Ok(Bytes::copy_from_slice(text.as_bytes())),
    }
}

/// Whether a value is to come from standard input.
pub(crate) fn is_stdin(text: &str) -> bool {
    text == "-"
}

fn read(source: impl Read, name: &str) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    source.take(MOST).read_to_end(&mut bytes).map_err(|cause| Failure::io(format!("reading {name}"), &cause))?;
    Ok(bytes.into())
}
