use std::collections::btree_map::Range;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

/// A bucket's entries in key order.
pub(crate) type Entries = BTreeMap<Box<str>, Entry>;

/// All that a medium holds: plain data, no locks and no events.
#[derive(Default)]
pub(crate) struct Data {
    /// Only buckets that hold an entry, expired ones included (BKT-3).
    buckets: HashMap<Box<str>, Entries>,
    /// Deadline, bucket and key of every entry that has a deadline; rows of a dropped bucket go by and by.
    deadlines: BTreeSet<(u64, Box<str>, Box<str>)>,
}

pub(crate) struct Entry {
    pub(crate) value: Bytes,
    /// Milliseconds since 1970 from which the entry is absent (TTL-1).
    pub(crate) deadline: Option<u64>,
}

impl Entry {
    pub(crate) fn is_live(&self, now: u64) -> bool {
        self.deadline.is_none_or(|deadline| now < deadline)
    }
}

/// The wall clock in milliseconds since 1970 (TTL-1).
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Data {
    /// The entry, unless it is absent or expired by now. Most have no deadline, and reading the clock takes as long as a look.
    pub(crate) fn live_now(&self, bucket: &str, key: &str) -> Option<&Entry> {
        self.buckets.get(bucket)?.get(key).filter(|entry| entry.deadline.is_none() || entry.is_live(now()))
    }

    /// The entry, unless it is absent or expired.
    pub(crate) fn live(&self, bucket: &str, key: &str, now: u64) -> Option<&Entry> {
        self.buckets.get(bucket)?.get(key).filter(|entry| entry.is_live(now))
    }

    /// Stores an entry and gives what was there.
    pub(crate) fn put(&mut self, bucket: &str, key: &str, entry: Entry) -> Option<Entry> {
        let deadline = entry.deadline;
        let old = match self.buckets.get_mut(bucket) {
            Some(entries) => match entries.get_mut(key) {
                Some(place) => Some(std::mem::replace(place, entry)),
                None => entries.insert(key.into(), entry),
            },
            None => {
                self.buckets.insert(bucket.into(), Entries::from([(key.into(), entry)]));
                None
            }
        };
        self.forget_deadline(bucket, key, old.as_ref());
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, bucket.into(), key.into()));
        }
        old
    }

    /// Removes an entry and gives what was there.
    pub(crate) fn remove(&mut self, bucket: &str, key: &str) -> Option<Entry> {
        let entries = self.buckets.get_mut(bucket)?;
        let old = entries.remove(key);
        if entries.is_empty() {
            self.buckets.remove(bucket);
        }
        self.forget_deadline(bucket, key, old.as_ref());
        old
    }

    fn forget_deadline(&mut self, bucket: &str, key: &str, old: Option<&Entry>) {
        if let Some(deadline) = old.and_then(|entry| entry.deadline) {
            self.deadlines.remove(&(deadline, bucket.into(), key.into()));
        }
    }

    /// Takes a bucket out whole. Its rows among the deadlines stay until [`forget`](Self::forget).
    pub(crate) fn drop_bucket(&mut self, bucket: &str) -> Entries {
        self.buckets.remove(bucket).unwrap_or_default()
    }

    /// Removes a dropped entry's row among the deadlines, unless a new entry has taken it over.
    pub(crate) fn forget(&mut self, bucket: &str, key: &str, deadline: u64) {
        let taken_over = self.buckets.get(bucket).and_then(|entries| entries.get(key));
        if taken_over.and_then(|entry| entry.deadline) != Some(deadline) {
            self.deadlines.remove(&(deadline, bucket.into(), key.into()));
        }
    }

    /// Takes one row whose deadline has passed; its entry may have gone already.
    pub(crate) fn take_due(&mut self, now: u64) -> Option<(u64, Box<str>, Box<str>)> {
        let first = self.deadlines.first()?;
        if first.0 > now {
            return None;
        }
        self.deadlines.pop_first()
    }

    /// Whether the entry still carries exactly this deadline.
    pub(crate) fn has_deadline(&self, bucket: &str, key: &str, deadline: u64) -> bool {
        let entry = self.buckets.get(bucket).and_then(|entries| entries.get(key));
        entry.and_then(|entry| entry.deadline) == Some(deadline)
    }

    /// The earliest deadline of all.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|row| row.0)
    }

    /// The number of buckets, those with only expired entries included.
    pub(crate) fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    /// The number of entries, expired ones included.
    pub(crate) fn entry_count(&self) -> usize {
        self.buckets.values().map(BTreeMap::len).sum()
    }

    /// Names of the buckets that hold a live entry.
    pub(crate) fn live_buckets(&self, now: u64) -> Vec<String> {
        let holds = |entries: &Entries| entries.values().any(|entry| entry.is_live(now));
        self.buckets.iter().filter(|(_, entries)| holds(entries)).map(|(name, _)| name.to_string()).collect()
    }

    /// A bucket's entries from `start` on, in key order.
    pub(crate) fn range<'a>(&'a self, bucket: &str, start: Bound<&str>) -> Option<Range<'a, Box<str>, Entry>> {
        Some(self.buckets.get(bucket)?.range::<str, _>((start, Bound::Unbounded)))
    }
}
