use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Shards: enough that two of 64 writers seldom meet, few enough that touching all of them is cheap.
const SHARDS: usize = 256;

/// Versions in a shard below which nobody looks for dead ones.
const TIDY_FROM: usize = 16;

/// Serialises the writes to each key, and knows which live guards a write makes fail (CAS-2).
///
/// Hold a [`KeyLock`] only inside one synchronous step, never across an await. Every write to the engine takes
/// one: read what must be read, write, [`written`](KeyLock::written), publish, let go.
pub struct KeyLocks {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    /// Live versions by the whole hash of bucket and key.
    versions: HashMap<u64, Vec<Entry>>,
    count: usize,
    tidy_at: usize,
}

struct Entry {
    bucket: Box<str>,
    key: Box<str>,
    fresh: Weak<AtomicBool>,
}

/// One key as it was at one instant: tells whether a write came since. Dropping it costs nothing.
#[derive(Debug)]
pub struct Version(Arc<AtomicBool>);

impl Version {
    /// Whether no write came since. Ask while holding the key's lock, or the answer is already old.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The lock on a key, and on the few others that share its shard.
pub struct KeyLock<'a> {
    shard: MutexGuard<'a, Shard>,
    hash: u64,
    bucket: &'a str,
    key: &'a str,
}

impl Default for KeyLocks {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl KeyLocks {
    /// Waits for the key's lock, blocking the thread; holders are quick. Take one at a time.
    #[must_use]
    pub fn lock<'a>(&'a self, bucket: &'a str, key: &'a str) -> KeyLock<'a> {
        let hash = self.hasher.hash_one((bucket, key));
        let shard = lock(self.shard(hash));
        KeyLock { shard, hash, bucket, key }
    }

    /// Makes every version of the bucket's keys stale: the bucket was dropped (BKT-3). The caller keeps writers of
    /// that bucket out meanwhile.
    pub fn bucket_dropped(&self, bucket: &str) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            for entries in shard.versions.values_mut() {
                for entry in entries.iter().filter(|entry| *entry.bucket == *bucket) {
                    entry.stale();
                }
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder of a division by the length is within it")]
    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        let at = hash % (self.shards.len() as u64);
        &self.shards[at as usize]
    }
}

impl KeyLock<'_> {
    /// Makes every version of this key stale: a write was applied to it (CAS-2). Free while no guard is live.
    pub fn written(&mut self) {
        if self.shard.count == 0 {
            return;
        }
        let Some(mut entries) = self.shard.versions.remove(&self.hash) else { return };
        self.shard.count -= entries.len();
        entries.retain(|entry| {
            let own = *entry.bucket == *self.bucket && *entry.key == *self.key;
            if own {
                entry.stale();
            }
            !own
        });
        if !entries.is_empty() {
            self.shard.count += entries.len();
            self.shard.versions.insert(self.hash, entries);
        }
    }

    /// Takes the key's version at this instant. What its guard saw must be read under this lock too.
    #[must_use]
    pub fn version(&mut self) -> Version {
        if self.shard.count >= self.shard.tidy_at.max(TIDY_FROM) {
            self.shard.tidy();
        }
        let fresh = Arc::new(AtomicBool::new(true));
        let entry = Entry { bucket: self.bucket.into(), key: self.key.into(), fresh: Arc::downgrade(&fresh) };
        self.shard.versions.entry(self.hash).or_default().push(entry);
        self.shard.count += 1;
        Version(fresh)
    }
}

impl Entry {
    fn stale(&self) {
        if let Some(fresh) = self.fresh.upgrade() {
            fresh.store(false, Ordering::Release);
        }
    }
}

impl Shard {
    /// Forgets versions whose guards are gone. Called when they have doubled, so its cost is spread.
    fn tidy(&mut self) {
        self.versions.retain(|_, entries| {
            entries.retain(|entry| entry.fresh.strong_count() > 0);
            !entries.is_empty()
        });
        self.count = self.versions.values().map(Vec::len).sum();
        self.tidy_at = self.count * 2;
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_makes_versions_of_its_key_stale_and_no_other() {
        let locks = KeyLocks::default();
        let a = locks.lock("b", "a").version();
        let twin = locks.lock("b", "a").version();
        let other = locks.lock("c", "a").version();
        locks.lock("b", "a").written();
        assert!(!a.is_fresh() && !twin.is_fresh() && other.is_fresh());
        let again = locks.lock("b", "a").version();
        assert!(again.is_fresh());
        locks.bucket_dropped("c");
        assert!(!other.is_fresh() && again.is_fresh());
    }

    #[test]
    fn dropped_versions_leave_nothing_behind() {
        let locks = KeyLocks::default();
        for _ in 0..10_000 {
            drop(locks.lock("b", "a").version());
        }
        let count: usize = locks.shards.iter().map(|shard| lock(shard).count).sum();
        assert!(count <= TIDY_FROM, "{count} of 10,000 dropped versions are still known");
    }
}
