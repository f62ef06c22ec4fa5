//! Which generation of a bucket is the living one, known without asking.
//!
//! Dropping a bucket counts its generation up, and the entries of the old one are nobody's from then on. A client has the
//! server tell it of that (`CLIENT TRACKING`) on the very connection that carries its calls. The server writes the message
//! at the instant of the drop, so whoever has not heard of one when an answer is there knows that its command ran before
//! any. A call compares the *epoch* in which it was sent with the one in which its answer is looked at; if they differ it
//! asks for the number. If that is another a read is sent again. A write can't be repeated on suspicion (ERR-6): it asks
//! whether its answer came before the message that ended the epoch, see `call`.
//!
//! In a cluster each group of a bucket notes the generation for itself, on its own node, and the first group counts. A drop
//! counts there and then raises the others; [`Newest`] has a store go by the highest number that it has seen of a bucket, so
//! that the drop is one step for it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use redis::{PushInfo, PushKind, Value};

/// Ends of epochs that are remembered: more than calls are under way for in practice.
const ENDS: usize = 64;

/// A bucket's generation as one connection knows it.
pub(crate) struct Generation {
    /// How often the server said that it changed.
    epoch: AtomicU64,
    /// One more than the number; 0 while it is not known.
    number: AtomicU64,
    /// For those who change it. Readers take nothing: what they read is of this epoch or of a later one, and then the
    /// epoch that they read first is not that of their answer.
    changing: Mutex<History>,
    /// Whether the key that holds it is there. In a cluster it has to be before writes that touch several keys: while a
    /// slot is being moved, those with an absent key among them have to wait.
    is_made: AtomicBool,
    /// Of the connection, see [`tells_all`](Self::tells_all).
    has_forgotten: Arc<AtomicBool>,
}

/// What became of a generation's epochs.
#[derive(Default)]
struct History {
    /// What the key held when it was last asked for; nothing is an answer, too.
    last: Option<Option<u64>>,
    /// How the last epochs ended, the last one first.
    ends: VecDeque<(u64, End)>,
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Which message of the connection it was; 0 if it was none.
    message: u64,
    /// Whether it was about this key alone.
    is_of_key: bool,
}

impl End {
    /// Whether an answer with this many messages before it came before the end.
    pub(crate) fn is_after(self, heard: u64) -> bool {
        heard < self.message
    }

    /// Whether the server said that this key had changed.
    pub(crate) fn is_of_key(self) -> bool {
        self.is_of_key
    }
}

impl Generation {
    fn new(has_forgotten: Arc<AtomicBool>) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            number: AtomicU64::new(0),
            changing: Mutex::default(),
            is_made: AtomicBool::new(false),
            has_forgotten,
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The epoch, and the number where it is known.
    pub(crate) fn known(&self) -> (u64, Option<u64>) {
        let epoch = self.epoch();
        (epoch, self.number.load(Ordering::Acquire).checked_sub(1))
    }

    /// Notes what was read in an epoch, unless that has ended.
    pub(crate) fn learn(&self, epoch: u64, noted: Option<u64>) {
        let mut history = self.changing.lock();
        // Others may have asked in the same epoch, and had the same answer.
        if self.epoch() != epoch || self.number.load(Ordering::Acquire) != 0 {
            return;
        }
        self.number.store(noted.unwrap_or(0) + 1, Ordering::Release);
        let was_told = history.ends.front().is_some_and(|(_, end)| end.is_of_key);
        if history.last.replace(noted) == Some(noted) && was_told {
            self.has_forgotten.store(true, Ordering::Relaxed);
        }
    }

    /// How an epoch ended, as far as it is remembered.
    pub(crate) fn end_of(&self, epoch: u64) -> Option<End> {
        self.changing.lock().ends.iter().find(|(ended, _)| *ended == epoch).map(|(_, end)| *end)
    }

    /// Whether the server was never seen to tell of a change that was none, on this connection. One that does may have no
    /// room to remember whom to tell, and then a change that is one goes untold. It is seen where the same number is read
    /// after a message.
    pub(crate) fn tells_all(&self) -> bool {
        !self.has_forgotten.load(Ordering::Relaxed)
    }

    pub(crate) fn is_made(&self) -> bool {
        self.is_made.load(Ordering::Relaxed)
    }

    pub(crate) fn set_made(&self) {
        self.is_made.store(true, Ordering::Relaxed);
    }

    /// The number that was known in an epoch proved wrong, and nobody told: it has to be asked for.
    pub(crate) fn correct(&self, epoch: u64) {
        let history = self.changing.lock();
        if self.epoch() == epoch {
            self.end(history, End { message: 0, is_of_key: false });
        }
    }

    fn forget(&self, end: End) {
        self.end(self.changing.lock(), end);
    }

    fn end(&self, mut history: MutexGuard<'_, History>, end: End) {
        self.number.store(0, Ordering::Release);
        self.is_made.store(false, Ordering::Relaxed);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel);
        history.ends.truncate(ENDS - 1);
        history.ends.push_front((epoch, end));
    }
}

/// The generations that a connection knows, by the keys that hold them.
#[derive(Default)]
pub(crate) struct Generations {
    known: Mutex<HashMap<Box<[u8]>, Weak<Generation>>>,
    /// Messages so far.
    heard: AtomicU64,
    has_forgotten: Arc<AtomicBool>,
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
        let made = Arc::new(Generation::new(Arc::clone(&self.has_forgotten)));
        known.insert(key.into(), Arc::downgrade(&made));
        made
    }

    /// Takes in a message of the server. Called by the connection's driver for each, between the answers before it and
    /// those behind it.
    pub(crate) fn hear(&self, message: &PushInfo) {
        let nth = self.heard.fetch_add(1, Ordering::AcqRel) + 1;
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
                        generation.forget(End { message: nth, is_of_key: true });
                    }
                }
            }
            // A database was flushed, this one or another.
            _ => {
                let end = End { message: nth, is_of_key: false };
                known.values().filter_map(Weak::upgrade).for_each(|generation| generation.forget(end));
            }
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
        one.learn(0, Some(7));
        other.learn(0, Some(8));
        generations.hear(&changed("1"));
        assert_eq!((one.known(), other.known()), ((1, None), (0, Some(8))));
        // An answer of before the message is not believed.
        one.learn(0, Some(7));
        assert_eq!(one.known(), (1, None));
        generations.hear(&PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] });
        assert_eq!((one.epoch(), other.known()), (2, (1, None)));
    }

    #[test]
    fn an_answer_is_before_or_after_the_end_of_its_epoch() {
        let generations = Generations::default();
        let one = generations.of(b"1");
        generations.hear(&changed("other"));
        generations.hear(&changed("1"));
        generations.hear(&PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] });
        let (told, flushed) = (one.end_of(0).unwrap(), one.end_of(1).unwrap());
        assert_eq!([told.is_after(1), told.is_after(2), told.is_of_key()], [true, false, true]);
        assert_eq!([flushed.is_after(2), flushed.is_after(3), flushed.is_of_key()], [true, false, false]);
        one.correct(2);
        assert_eq!([one.end_of(2).unwrap().is_after(0), one.end_of(2).unwrap().is_of_key()], [false, false]);
        for _ in 0..ENDS {
            generations.hear(&changed("1"));
        }
        assert_eq!((one.end_of(2), one.end_of(3).is_some()), (None, true));
    }

    #[test]
    fn a_message_of_no_change_tells_of_a_server_that_forgets() {
        let generations = Generations::default();
        let (one, other) = (generations.of(b"1"), generations.of(b"2"));
        // It was changed, was made, and went with the database.
        for (noted, end) in [(None, "1"), (Some(0), "1"), (Some(1), "")] {
            one.learn(one.epoch(), noted);
            let flushed = PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] };
            generations.hear(&if end.is_empty() { flushed } else { changed(end) });
        }
        // Two asked at once.
        one.learn(one.epoch(), Some(1));
        one.learn(one.epoch(), Some(1));
        generations.hear(&changed("1"));
        one.learn(one.epoch(), Some(2));
        one.learn(one.epoch(), Some(2));
        assert!(other.tells_all());
        generations.hear(&changed("1"));
        one.learn(one.epoch(), Some(2));
        assert!(!other.tells_all());
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
