//! The records: keys and values, the same for both sides.

use std::ops::Range;

use bytes::Bytes;

use crate::client::{Client, Result};

/// Different values. A prime, so that walking round any number of keys that is no multiple of it never writes the
/// value that is stored: sled skips such writes.
const VALUES: usize = 1_009;

/// Callers between two whose keys are read one after the other. It divides no usual number of callers.
const FAR: usize = 7;

/// Records of one batch while filling.
const FILL_BATCH: usize = 1_000;

/// What a store holds when the measuring begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Values of the given size.
    Values,
    /// Counters at `0`.
    Counters,
}

/// Keys in a fixed shuffled order, and values.
pub struct Data {
    keys: Vec<String>,
    /// One more than [`VALUES`]: the last one is what stores are filled with.
    values: Vec<Bytes>,
    value_bytes: usize,
}

impl Data {
    /// Makes `records` keys, and values of `value_bytes` bytes.
    #[must_use]
    pub fn new(records: usize, value_bytes: usize) -> Self {
        Self::sample(records, records, value_bytes)
    }

    /// The same, for `records` keys that lie evenly among those of `all` records.
    #[must_use]
    pub(crate) fn sample(all: usize, records: usize, value_bytes: usize) -> Self {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut keys: Vec<String> = (0..records).map(|n| key(n * all / records)).collect();
        for at in (1..keys.len()).rev() {
            keys.swap(at, (random.next() % (at as u64 + 1)) as usize);
        }
        // Laid out in memory anew, in the order in which they are asked for: a program's key has just come from
        // somewhere, but this table is larger than the processor's cache.
        let keys: Vec<String> = keys.iter().map(String::clone).collect();
        let values = (0..=VALUES).map(|_| (0..value_bytes).map(|_| random.next() as u8).collect()).collect();
        Self { keys, values, value_bytes }
    }

    /// The length of a value.
    #[must_use]
    pub(crate) fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// How many keys there are.
    pub(crate) fn records(&self) -> usize {
        self.keys.len()
    }

    /// The keys that belong to one of `callers` alone. Callers never meet on a key, so none writes what another
    /// has just stored.
    pub(crate) fn share(&self, caller: usize, callers: usize) -> &[String] {
        let from = self.keys.len() * caller / callers;
        let to = self.keys.len() * (caller + 1) / callers;
        self.keys.get(from..to).unwrap_or_default()
    }

    /// The keys that the `n`th read of a caller asks for, `width` of them. Each caller begins with its own and goes on with those
    /// of another one far away: a caller that never yields, as with most drivers, would find its few keys in the processor's
    /// cache the second time, or those of the caller that ran before it.
    pub(crate) fn read(&self, caller: usize, callers: usize, n: usize, width: usize) -> Option<&[String]> {
        let reads = (self.keys.len() / callers / width).max(1);
        let keys = self.share((caller + n / reads * FAR) % callers, callers);
        let from = n % reads * width;
        keys.get(from..from + width)
    }

    /// The value of the `n`th write.
    #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of values")]
    pub(crate) fn value(&self, n: usize) -> &Bytes {
        &self.values[n % VALUES]
    }

    /// Writes every record once.
    pub(crate) async fn fill<C: Client>(&self, client: &mut C, fill: Fill) -> Result {
        let value = match fill {
            Fill::Values => self.values.last().cloned().unwrap_or_default(),
            Fill::Counters => Bytes::from_static(b"0"),
        };
        for keys in self.keys.chunks(FILL_BATCH) {
            let entries: Vec<(&str, Bytes)> = keys.iter().map(|key| (key.as_str(), value.clone())).collect();
            client.set_many(entries).await?;
        }
        Ok(())
    }

    /// Writes the records of these numbers, one after another, whether they are in the sample or not.
    pub(crate) async fn write<C: Client>(&self, client: &mut C, records: Range<usize>) -> Result {
        for from in records.clone().step_by(FILL_BATCH) {
            let keys: Vec<String> = (from..records.end.min(from + FILL_BATCH)).map(key).collect();
            let values = (from..).map(|n| self.value(n).clone());
            client.set_many(keys.iter().map(String::as_str).zip(values).collect()).await?;
        }
        Ok(())
    }
}

/// Bytes that do not compress, the same in every run.
pub(crate) fn random_bytes(count: usize) -> Bytes {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..count).map(|_| random.next() as u8).collect()
}

/// The key of the `n`th record.
pub(crate) fn key(n: usize) -> String {
    format!("record:{n:09}")
}

/// xorshift: the same records in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn callers_share_all_keys_and_never_meet() {
        let data = Data::new(1_000, 4);
        let mut seen = HashSet::new();
        for caller in 0..64 {
            for key in data.share(caller, 64) {
                assert!(seen.insert(key.clone()), "two callers have {key}");
            }
        }
        assert_eq!(seen.len(), 1_000);
    }

    #[test]
    fn consecutive_writes_of_one_key_differ() {
        let data = Data::new(10, 100);
        for round_trip in [1, 31, 156, 1_562, 10_000, 100_000] {
            for n in 0..3_000 {
                assert_ne!(data.value(n), data.value(n + round_trip), "after {round_trip} writes");
            }
        }
    }
}
