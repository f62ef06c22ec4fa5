//! Which generation of a bucket is the living one, known without asking.
//!
//! Dropping a bucket counts its generation up, and the entries of the old one are nobody's from then on. A client has the
//! server tell it of that (`CLIENT TRACKING`) on the very connection that carries its calls. The server writes the message
//! at the instant of the drop, so whoever has not heard of one when an answer is there knows that its command ran before
//! any. A call compares the *epoch* in which it was sent with the one in which its answer is looked at; if they differ it
//! asks for the number. If that is another a read is sent again. A write can't be repeated on suspicion (ERR-6): it is proved
//! to have come first by having found something to overwrite, for a drop leaves nothing where it can (see `call`).
//!
//! In a cluster each group of a bucket notes the generation for itself, on its own node, and the first group counts. A drop
//! counts there and then raises the others; [`Newest`] has a store go by the highest number that it has seen of a bucket, so
//! that the drop is one step for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};

/// A bucket's generation as one connection knows it.
#[derive(Default)]
pub(crate) struct Generation {
    /// How often the server said that it changed.
    epoch: AtomicU64,
    /// One more than the number; 0 while it is not known.
    number: AtomicU64,
    /// For those who change it. Readers take nothing: what they read is of this epoch or of a later one, and then the
    /// epoch that they read first is not that of their answer.
    changing: Mutex<()>,
    /// Whether the key that holds it is there. In a cluster it has to be before writes that touch several keys: while a
    /// slot is being moved, those with an absent key among them have to wait.
    is_made: AtomicBool,
}

impl Generation {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The epoch, and the number where it is known.
    pub(crate) fn known(&self) -> (u64, Option<u64>) {
        let epoch = self.epoch();
        (epoch, self.number.load(Ordering::Acquire).checked_sub(1))
    }

    /// Notes what was read in an epoch, unless that has ended.
    pub(crate) fn learn(&self, epoch: u64, number: u64) {
        let _changing = self.changing.lock();
        if self.epoch() == epoch {
            self.number.store(number + 1, Ordering::Release);
        }
    }

    pub(crate) fn is_made(&self) -> bool {
        self.is_made.load(Ordering::Relaxed)
    }

    pub(crate) fn set_made(&self) {
        self.is_made.store(true, Ordering::Relaxed);
    }

    /// The number that was known in an epoch proved wrong, and nobody told: it has to be asked for.
    pub(crate) fn correct(&self, epoch: u64) {
        if self.epoch() == epoch {
            self.forget();
        }
    }

    fn forget(&self) {
        let _changing = self.changing.lock();
        self.number.store(0, Ordering::Release);
        self.is_made.store(false, Ordering::Relaxed);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

/// The generations that a connection knows, by the keys that hold them.
#[derive(Default)]
pub(crate) struct Generations {
    known: Mutex<HashMap<Box<[u8]>, Weak<Generation>>>,
}

impl Generations {
    /// The generation that `key` holds; the same for all who ask.
    pub(crate) fn of(&self, key: &[u8]) -> Arc<Generation> {
        let mut known = self.known.lock();
        if let Some(found) = known.get(key).and_then(Weak::upgrade) {
            return found;
        }
        if known.len() == known.capacity() {
            known.retain(|_, generation| generation.strong_count() > 0);
        }
        let made = Arc::new(Generation::default());
        known.insert(key.into(), Arc::downgrade(&made));
        made
    }

    /// Takes in a message of the server. Called by the connection's driver between the answers before it and those
    /// behind it.
    pub(crate) fn hear(&self, message: &PushInfo) {
        if message.kind != PushKind::Invalidate {
            return;
        }
        let known = self.known.lock();
        match message.data.first() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    if let Value::BulkString(key) = key
                        && let Some(generation) = known.get(key.as_slice()).and_then(Weak::upgrade)
                    {
                        generation.forget();
                    }
                }
            }
            // The database was flushed.
            _ => known.values().filter_map(Weak::upgrade).for_each(|generation| generation.forget()),
        }
    }
}

/// The highest generation of a bucket that a store has seen.
#[derive(Debug, Default)]
pub(crate) struct Newest(AtomicU64);

impl Newest {
    /// The number; `None` before any was seen.
    pub(crate) fn get(&self) -> Option<u64> {
        self.0.load(Ordering::Acquire).checked_sub(1)
    }

    /// Takes in a number, and gives the highest.
    pub(crate) fn see(&self, number: u64) -> u64 {
        self.0.fetch_max(number + 1, Ordering::AcqRel).saturating_sub(1).max(number)
    }
}

/// The number that a generation's key holds.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Nil => Some(0),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(key: &str) -> PushInfo {
        let keys = Value::Array(vec![Value::BulkString(key.into())]);
        PushInfo { kind: PushKind::Invalidate, data: vec![keys] }
    }

    #[test]
    fn a_message_ends_the_epoch_of_its_bucket_only() {
        let generations = Generations::default();
        let (one, other) = (generations.of(b"1"), generations.of(b"2"));
        one.learn(0, 7);
        other.learn(0, 8);
        generations.hear(&changed("1"));
        assert_eq!((one.known(), other.known()), ((1, None), (0, Some(8))));
        // An answer of before the message is not believed.
        one.learn(0, 7);
        assert_eq!(one.known(), (1, None));
        generations.hear(&PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] });
        assert_eq!((one.epoch(), other.known()), (2, (1, None)));
    }

    #[test]
    fn generations_of_dropped_buckets_are_not_kept() {
        let generations = Generations::default();
        for n in 0..10_000 {
            generations.of(n.to_string().as_bytes());
        }
        assert!(generations.known.lock().len() < 100);
    }
}
