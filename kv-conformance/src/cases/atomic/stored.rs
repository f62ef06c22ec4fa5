//! What the cases of several families ask about one entry.

use kv_core::{Bucket, IncomingValue};

use crate::check::show;
use crate::{Outcome, Stop};

/// The entry holds exactly these bytes, or is absent where `None` is expected, to `get` and to `exists`.
pub(in crate::cases) async fn ensure_stored(bucket: &Bucket, key: &str, expected: Option<&[u8]>) -> Outcome {
    let found = bucket.get(key).await?;
    ensure_value(&format!("get({key:?})"), found.as_ref(), expected)?;
    let exists = bucket.exists(key).await?;
    if exists == expected.is_some() {
        return Ok(());
    }
    Err(Stop::failed(format_args!("exists({key:?}): expected {}, found {exists}", expected.is_some())))
}

/// A value that was found is the one expected.
#[track_caller]
pub(in crate::cases) fn ensure_value(what: &str, found: Option<&IncomingValue>, expected: Option<&[u8]>) -> Outcome {
    if found.map(AsRef::as_ref) == expected {
        return Ok(());
    }
    let words = |value: Option<&[u8]>| value.map_or_else(|| "no entry".to_owned(), show);
    Err(Stop::failed(format_args!("{what}: expected {}, found {}", words(expected), words(found.map(AsRef::as_ref)))))
}
