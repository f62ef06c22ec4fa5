//! The workloads, written once.

use std::hint::black_box;
use std::sync::Arc;

use crate::client::{Client, Result};
use crate::data::{Data, Fill};

/// Keys of one `get_many` and entries of one `set_many`.
pub(crate) const MANY: usize = 100;

/// Keys of one page.
const PAGE: usize = 1_000;

/// What is measured: one call, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Reads one value.
    Get,
    /// Writes one value that differs from the stored one.
    Set,
    /// Reads 100 values in one call; raw: 100 reads.
    GetMany,
    /// Writes 100 values in one call, all or nothing; raw: 100 writes and one flush.
    SetMany,
    /// Reads a page of 1,000 keys.
    Keys,
    /// Adds one to a counter stored as decimal text.
    Increment,
}

impl Workload {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 6] = [Self::Get, Self::Set, Self::GetMany, Self::SetMany, Self::Keys, Self::Increment];

    /// The workload's name in reports and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::GetMany => "get_many_100",
            Self::SetMany => "set_many_100",
            Self::Keys => "keys_1000",
            Self::Increment => "increment",
        }
    }

    /// Whether it writes, so that the durability class matters.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Set | Self::SetMany | Self::Increment)
    }

    /// What the stores must hold before.
    #[must_use]
    pub(crate) fn fill(self) -> Fill {
        if self == Self::Increment { Fill::Counters } else { Fill::Values }
    }
}

/// One caller of one workload.
pub(crate) struct Task<C: Client> {
    client: C,
    data: Arc<Data>,
    workload: Workload,
    caller: usize,
    callers: usize,
    cursor: Option<C::Cursor>,
}

impl<C: Client> Task<C> {
    /// The caller with number `caller` of `callers`.
    pub(crate) fn new(client: C, data: Arc<Data>, workload: Workload, caller: usize, callers: usize) -> Self {
        Self { client, data, workload, caller, callers, cursor: None }
    }

    /// Makes the `n`th call of this caller. Give each call a number of its own, one after another: it decides on
    /// the key, and on a value that differs from the stored one.
    ///
    /// # Errors
    ///
    /// What the store has, and a sentence if it does not hold what it was filled with.
    #[inline]
    pub(crate) async fn call(&mut self, n: usize) -> Result {
        let keys = self.data.share(self.caller, self.callers);
        match self.workload {
            Workload::Get => {
                let keys = self.data.read(self.caller, self.callers, n, 1).ok_or(TOO_FEW)?;
                let bytes = self.client.get(pick(keys, 0)?).await?;
                expect(bytes, self.data.value_bytes(), "bytes of a value")
            }
            Workload::Set => self.client.set(pick(keys, n)?, self.data.value(n)).await,
            Workload::GetMany => {
                let keys = self.data.read(self.caller, self.callers, n, MANY).ok_or(TOO_FEW)?;
                let found = self.client.get_many(keys).await?;
                expect(found, MANY, "records of a batch")
            }
            Workload::SetMany => {
                let keys = block(keys, n)?;
                // Making the entries is the caller's own work, the same on both sides.
                let mut entries = Vec::with_capacity(keys.len());
                for (at, key) in keys.iter().enumerate() {
                    entries.push((key.as_str(), self.data.value(n * MANY + at).clone()));
                }
                self.client.set_many(entries).await
            }
            Workload::Keys => {
                let first = self.cursor.is_none();
                let (found, cursor) = self.client.page(self.cursor.take(), PAGE).await?;
                self.cursor = cursor;
                // A listing may end with an empty page, but not begin with one.
                if found == 0 && first { expect(found, PAGE, "keys of a page") } else { Ok(()) }
            }
            Workload::Increment => {
                black_box(self.client.increment(pick(keys, n)?).await?);
                Ok(())
            }
        }
    }
}

fn expect(found: usize, wanted: usize, what: &str) -> Result {
    if black_box(found) == wanted { Ok(()) } else { Err(format!("{found} instead of {wanted} {what}").into()) }
}

#[inline]
fn pick(keys: &[String], n: usize) -> Result<&str> {
    Ok(keys.get(n % keys.len().max(1)).ok_or(TOO_FEW)?)
}

/// The `n`th block of [`MANY`] keys.
#[inline]
fn block(keys: &[String], n: usize) -> Result<&[String]> {
    let from = n % (keys.len() / MANY).max(1) * MANY;
    Ok(keys.get(from..from + MANY).ok_or(TOO_FEW)?)
}

const TOO_FEW: &str = "too few records for that many callers; give more with --records";
