//! Allocations a call, counted in a program of their own so that counting costs the measured one nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::client::Result;

/// The file between the two programs.
const FILE: &str = "allocs.json";

/// Allocations of one call, on average: whole process, so work handed to other threads counts too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Of our provider.
    pub(crate) ours: f64,
    /// Of the raw driver.
    pub(crate) raw: f64,
}

/// What was counted, by the cells' names.
#[derive(Default, Serialize, Deserialize)]
pub struct Allocs(BTreeMap<String, Counts>);

impl Allocs {
    /// Keeps what was counted for a cell.
    pub(crate) fn insert(&mut self, cell: String, counts: Counts) {
        self.0.insert(cell, counts);
    }

    /// What was counted for a cell.
    #[must_use]
    pub(crate) fn get(&self, cell: &str) -> Option<Counts> {
        self.0.get(cell).copied()
    }

    /// Reads what the counting program left in `out`; nothing if it never ran.
    ///
    /// # Errors
    ///
    /// A file that can't be read.
    pub(crate) fn read(out: &Path) -> Result<Self> {
        match File::open(out.join(FILE)) {
            Ok(file) => Ok(serde_json::from_reader(BufReader::new(file))?),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Leaves it in `out`.
    ///
    /// # Errors
    ///
    /// A file that can't be written.
    pub fn write(&self, out: &Path) -> Result {
        Ok(std::fs::write(out.join(FILE), serde_json::to_vec_pretty(self)?)?)
    }
}
