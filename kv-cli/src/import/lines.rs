//! `--format lines`: the line is the key, the value is empty.

use bytes::Bytes;
use kv::Limits;

use super::split::{Line, Split};
use super::{Bad, Records, Source, reading};
use crate::exit::Failure;
use crate::record::Record;

/// A file whose lines are keys.
pub(crate) struct Lines {
    lines: Split<Source>,
    limit: usize,
}

impl Lines {
    pub(crate) fn new(source: Source, limits: &Limits) -> Self {
        Self { lines: Split::new(source, limits.key_bytes), limit: limits.key_bytes }
    }
}

impl Records for Lines {
    fn next(&mut self) -> Result<Option<Result<Record, Bad>>, Failure> {
        let Some((number, line)) = self.lines.next().map_err(|cause| reading(&cause))? else { return Ok(None) };
        Ok(Some(match line {
            Line::TooLong => Err(Bad::new(number, format!("the key is over the limit of {} bytes", self.limit))),
            Line::Whole(key) => match std::str::from_utf8(key) {
                Ok(key) => Ok(Record { key: key.to_owned(), value: Bytes::new(), expires_at_ms: None }),
                Err(cause) => Err(Bad::new(number, format!("the key is not UTF-8: {cause}"))),
            },
        }))
    }
}
