//! `--format ndjson`: what `export` writes.

use kv::Limits;

use super::split::{Line, Split};
use super::{Bad, Records, Source, reading, within};
use crate::deadline;
use crate::exit::Failure;
use crate::record::Record;

/// Bytes of JSON that one byte of a key or value takes at most, as `\u0000`.
const ESCAPED: usize = 6;

/// Bytes of a line besides key and value: names, braces, a deadline and some spaces.
const FRAME: usize = 4096;

/// A file of JSON lines; empty lines are passed over and do not count as records.
pub(crate) struct Ndjson {
    lines: Split<Source>,
    limits: Limits,
}

impl Ndjson {
    pub(crate) fn new(source: Source, limits: &Limits) -> Self {
        let most = (limits.key_bytes + limits.value_bytes).saturating_mul(ESCAPED).saturating_add(FRAME);
        Self { lines: Split::new(source, most), limits: limits.clone() }
    }
}

impl Records for Ndjson {
    fn next(&mut self) -> Result<Option<Result<Record, Bad>>, Failure> {
        loop {
            let Some((number, line)) = self.lines.next().map_err(|cause| reading(&cause))? else { return Ok(None) };
            let parsed = match line {
                Line::TooLong => Err("it is longer than any entry can be".to_owned()),
                Line::Whole(line) if line.trim_ascii().is_empty() => continue,
                Line::Whole(line) => Record::parse(line),
            };
            let record = match parsed {
                Ok(record) if record.expires_at_ms.is_some_and(deadline::is_too_far) => {
                    Err(Bad::new(number, "expires_at_ms is more than ten years from now"))
                }
                Ok(record) => within(&self.limits, record, number),
                Err(why) => Err(Bad::new(number, why)),
            };
            return Ok(Some(record));
        }
    }
}
