//! Readers of import files: each gives one record after the other, in bounded memory.

mod csv;
mod lines;
mod ndjson;
mod split;

use std::io::{self, Read};

use kv::Limits;

use crate::exit::Failure;
use crate::record::Record;

pub(crate) use csv::Rows;
pub(crate) use lines::Lines;
pub(crate) use ndjson::Ndjson;

/// A file of records.
pub(crate) trait Records {
    /// Reads the next record; `None` at the end. A bad one can be passed over: the next call goes on behind it.
    fn next(&mut self) -> Result<Option<Result<Record, Bad>>, Failure>;
}

/// A record that can't be stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// Where it begins, counted from 1.
    pub(crate) line: u64,
    /// What is wrong with it: a clause that goes on behind "line 7: ".
    pub(crate) why: String,
}

impl Bad {
    fn new(line: u64, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

/// Refuses a record that the store would refuse, while its line is known.
fn within(limits: &Limits, record: Record, line: u64) -> Result<Record, Bad> {
    for (what, found, limit) in
        [("key", record.key.len(), limits.key_bytes), ("value", record.value.len(), limits.value_bytes)]
    {
        if found > limit {
            return Err(Bad::new(line, format!("its {what} has {found} bytes, over the limit of {limit} bytes")));
        }
    }
    Ok(record)
}

fn reading(cause: &io::Error) -> Failure {
    Failure::io("reading the file", cause)
}

/// A file that is to be imported.
pub(crate) type Source = Box<dyn Read>;
