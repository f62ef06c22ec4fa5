use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::fast::RandomState;

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
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }
}

impl KeyLocks {
    /// Waits for the key's lock, blocking the thread; holders are quick. Take one at a time.
    #[must_use]
    pub fn lock<'a>(&'a self, bucket: &'a str, key: &'a str) -> KeyLock<'a> {
        let hash = self.hash(bucket, key);
        let shard = lock(self.shard(self.place(hash)));
        KeyLock { shard, hash, bucket, key }
    }

    /// Waits for the locks of several keys of a bucket. They are taken in one order by all who take several, so that no
    /// two wait for each other; nobody who holds a lock may call this.
    #[must_use]
    pub fn lock_all<'a, 'k>(&'a self, bucket: &'a str, keys: impl IntoIterator<Item = &'k str>) -> KeysLock<'a> {
        let mut places: Vec<u64> = keys.into_iter().map(|key| self.place(self.hash(bucket, key))).collect();
        places.sort_unstable();
        places.dedup();
        let shards = places.into_iter().map(|place| (place, lock(self.shard(place)))).collect();
        KeysLock { locks: self, bucket, shards }
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

    fn hash(&self, bucket: &str, key: &str) -> u64 {
        self.hasher.hash_one((bucket, key))
    }

    /// Which shard a hash belongs to.
    fn place(&self, hash: u64) -> u64 {
        hash % (self.shards.len() as u64)
    }

    #[expect(clippy::indexing_slicing, reason = "a place is the remainder of a division by the length")]
    fn shard(&self, place: u64) -> &Mutex<Shard> {
        &self.shards[place as usize]
    }
}

impl KeyLock<'_> {
    /// Makes every version of this key stale: a write was applied to it (CAS-2). Free while no guard is live.
    pub fn written(&mut self) {
        if self.shard.count > 0 {
            self.shard.written(self.hash, self.bucket, self.key);
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

/// The locks on several keys of a bucket.
pub struct KeysLock<'a> {
    locks: &'a KeyLocks,
    bucket: &'a str,
    /// In the order of their places.
    shards: Vec<(u64, MutexGuard<'a, Shard>)>,
}

impl KeysLock<'_> {
    /// As [`KeyLock::written`], for one of the keys.
    pub fn written(&mut self, key: &str) {
        let hash = self.locks.hash(self.bucket, key);
        let place = self.locks.place(hash);
        if let Ok(at) = self.shards.binary_search_by_key(&place, |(place, _)| *place)
            && let Some((_, shard)) = self.shards.get_mut(at)
            && shard.count > 0
        {
            shard.written(hash, self.bucket, key);
        }
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
    fn written(&mut self, hash: u64, bucket: &str, key: &str) {
        let Some(mut entries) = self.versions.remove(&hash) else { return };
        self.count -= entries.len();
        entries.retain(|entry| {
            let own = *entry.bucket == *bucket && *entry.key == *key;
            if own {
                entry.stale();
            }
            !own
        });
        if !entries.is_empty() {
            self.count += entries.len();
            self.versions.insert(hash, entries);
        }
    }

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
    fn several_keys_are_locked_together() {
        let locks = KeyLocks::default();
        let keys: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        let versions: Vec<Version> = keys.iter().map(|key| locks.lock("b", key).version()).collect();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut all = locks.lock_all("b", keys.iter().rev().chain(&keys).map(String::as_str));
                    keys.iter().step_by(2).for_each(|key| all.written(key));
                });
            }
        });
        assert!(versions.iter().enumerate().all(|(n, version)| version.is_fresh() == (n % 2 == 1)));
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
