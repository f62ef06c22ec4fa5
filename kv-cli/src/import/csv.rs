//! `--format csv`: a row of names, then rows whose values are stored as JSON objects.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use kv::Limits;
use serde_json::{Map, Value};

use super::{Bad, Records, Source, reading, within};
use crate::exit::Failure;
use crate::record::Record;

/// A file of comma-separated values.
pub(crate) struct Rows {
    rows: Reader<Capped>,
    names: Vec<String>,
    /// Which column holds the keys.
    key_at: usize,
    row: ByteRecord,
    left: Rc<Cell<usize>>,
    cap: usize,
    limits: Limits,
}

impl Rows {
    /// Reads the row of names.
    pub(crate) fn new(source: Source, key_column: &str, limits: &Limits) -> Result<Self, Failure> {
        // A quote that is never closed makes one row of the whole rest. A row that can be stored is never longer than
        // its JSON.
        let cap = limits.value_bytes;
        let left = Rc::new(Cell::new(cap));
        let mut rows = ReaderBuilder::new().from_reader(Capped { source, left: Rc::clone(&left) });
        let header = rows.byte_headers().map_err(|cause| broken(cause, cap))?;
        let names =
            header.iter().map(|name| std::str::from_utf8(name).map(str::to_owned)).collect::<Result<Vec<_>, _>>();
        let names = names.map_err(|cause| Failure::data(format!("line 1: a column's name is not UTF-8: {cause}")))?;
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Failure::data(format!("line 1: there are two columns {twice}")));
        }
        let Some(key_at) = names.iter().position(|name| name == key_column) else {
            let names = names.join(", ");
            return Err(Failure::data(format!("line 1: there is no column {key_column}; the columns are {names}")));
        };
        Ok(Self { rows, names, key_at, row: ByteRecord::new(), left, cap, limits: limits.clone() })
    }

    fn record(&self, line: u64) -> Result<Record, Bad> {
        if self.row.len() != self.names.len() {
            let (found, expected) = (self.row.len(), self.names.len());
            return Err(Bad::new(line, format!("the row has {found} fields, and there are {expected} columns")));
        }
        let mut key = None;
        let mut fields = Map::new();
        for (at, (name, field)) in self.names.iter().zip(&self.row).enumerate() {
            let field = std::str::from_utf8(field)
                .map_err(|cause| Bad::new(line, format!("the field {name} is not UTF-8: {cause}")))?;
            if at == self.key_at {
                key = Some(field.to_owned());
            }
            fields.insert(name.clone(), Value::from(field));
        }
        let key = key.ok_or_else(|| Bad::new(line, "the row has no key"))?;
        let value = Value::Object(fields).to_string().into();
        within(&self.limits, Record { key, value, expires_at_ms: None }, line)
    }
}

impl Records for Rows {
    fn next(&mut self) -> Result<Option<Result<Record, Bad>>, Failure> {
        self.left.set(self.cap);
        match self.rows.read_byte_record(&mut self.row) {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some(self.record(line(&self.row)))),
            // The row is read all the same, and the next one follows.
            Err(cause) if matches!(cause.kind(), ErrorKind::UnequalLengths { .. }) => {
                Ok(Some(self.record(cause.position().map_or(0, csv::Position::line))))
            }
            Err(cause) => Err(broken(cause, self.cap)),
        }
    }
}

fn line(row: &ByteRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

/// An error after which nobody knows where the next row begins.
fn broken(cause: csv::Error, cap: usize) -> Failure {
    match cause.into_kind() {
        ErrorKind::Io(cause) if cause.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => {
            Failure::data(format!("a row has more than {cap} bytes; look for a quotation mark that is never closed"))
        }
        ErrorKind::Io(cause) => reading(&cause),
        other => Failure::data(format!("it is not CSV: {other:?}")),
    }
}

/// A file of which no more than `left` bytes are read.
struct Capped {
    source: Source,
    left: Rc<Cell<usize>>,
}

#[derive(Debug)]
struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a row is too long")
    }
}

impl std::error::Error for TooLong {}

impl Read for Capped {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let found = self.source.read(buf)?;
        let left = self.left.get().checked_sub(found).ok_or_else(|| io::Error::other(TooLong))?;
        self.left.set(left);
        Ok(found)
    }
}
