//! Which generation of a bucket is the living one, known without asking.
//!
//! Dropping a bucket counts its generation up, and the entries of the old one are nobody's from then on. A client has the
//! server tell it of that (`CLIENT TRACKING`) on the very connection that carries its calls. The server writes the message
//! at the instant of the drop, so an answer that comes behind it is of a command that ran after the drop, and an answer
//! that comes before it of one that ran before. A call notes the *epoch* when it is sent and when its answer arrives: if
//! it is the same the generation lived when the command ran; if not, the command met a dead one, did nothing that
//! anybody sees, and is sent again for the living one.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};

/// A bucket's generation as one connection knows it.
#[derive(Default)]
pub(crate) struct Generation(Mutex<Known>);

#[derive(Clone, Copy, Default)]
struct Known {
    /// How often the server said that it changed.
    epoch: u64,
    number: Option<u64>,
}

impl Generation {
    pub(crate) fn epoch(&self) -> u64 {
        self.0.lock().epoch
    }

    /// The epoch, and the number where it is known.
    pub(crate) fn known(&self) -> (u64, Option<u64>) {
        let known = *self.0.lock();
        (known.epoch, known.number)
    }

    /// Notes what was read in an epoch, unless that has ended.
    pub(crate) fn learn(&self, epoch: u64, number: u64) {
        let mut known = self.0.lock();
        if known.epoch == epoch {
            known.number = Some(number);
        }
    }

    fn forget(&self) {
        let mut known = self.0.lock();
        known.epoch += 1;
        known.number = None;
    }
}

/// The generations that a connection knows, by the keys that hold them.
#[derive(Default)]
pub(crate) struct Generations {
    known: Mutex<HashMap<Box<[u8]>, Weak<Generation>>>,
}

impl Generations {
    /// The generation that `key` holds; the same for all who ask.
    pub(crate) fn of(&self, key: &str) -> Arc<Generation> {
        let mut known = self.known.lock();
        if let Some(found) = known.get(key.as_bytes()).and_then(Weak::upgrade) {
            return found;
        }
        if known.len() == known.capacity() {
            known.retain(|_, generation| generation.strong_count() > 0);
        }
        let made = Arc::new(Generation::default());
        known.insert(key.as_bytes().into(), Arc::downgrade(&made));
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

/// Notes the epoch in which a call's answer arrives. The driver wakes the caller when it hands the answer over, before
/// it goes on to the next message; by the time at which the caller is polled a drop may have come.
struct Witness {
    generation: Arc<Generation>,
    /// The epoch of the last wake.
    seen: AtomicU64,
    caller: Mutex<Option<Waker>>,
}

impl Wake for Witness {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.seen.store(self.generation.epoch(), Ordering::Release);
        let caller = self.caller.lock().clone();
        if let Some(caller) = caller {
            caller.wake();
        }
    }
}

/// Runs a call; gives its outcome with the epoch in which the answer arrived.
pub(crate) async fn witnessed<F: Future>(generation: &Arc<Generation>, call: F) -> (F::Output, u64) {
    let witness = Arc::new(Witness {
        generation: Arc::clone(generation),
        seen: AtomicU64::new(generation.epoch()),
        caller: Mutex::default(),
    });
    let waker = Waker::from(Arc::clone(&witness));
    let mut call = std::pin::pin!(call);
    let outcome = std::future::poll_fn(|cx| {
        let mut caller = witness.caller.lock();
        if !caller.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *caller = Some(cx.waker().clone());
        }
        drop(caller);
        Pin::as_mut(&mut call).poll(&mut Context::from_waker(&waker))
    })
    .await;
    (outcome, witness.seen.load(Ordering::Acquire))
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
    use std::task::Poll;

    use super::*;

    fn changed(key: &str) -> PushInfo {
        let keys = Value::Array(vec![Value::BulkString(key.into())]);
        PushInfo { kind: PushKind::Invalidate, data: vec![keys] }
    }

    #[test]
    fn a_message_ends_the_epoch_of_its_bucket_only() {
        let generations = Generations::default();
        let (one, other) = (generations.of("1"), generations.of("2"));
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
            generations.of(&n.to_string());
        }
        assert!(generations.known.lock().len() < 100);
    }

    #[tokio::test]
    async fn the_epoch_is_that_of_the_answer_not_that_of_the_caller() {
        let generations = Generations::default();
        let generation = generations.of("1");
        let (answer, call) = tokio::sync::oneshot::channel();
        let mut witnessed = std::pin::pin!(witnessed(&generation, call));
        let mut poll = || witnessed.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        answer.send(()).unwrap();
        generations.hear(&changed("1"));
        assert!(matches!(poll(), Poll::Ready((Ok(()), 0))));
        let (answer, call) = tokio::sync::oneshot::channel();
        let mut witnessed = std::pin::pin!(super::witnessed(&generation, call));
        let mut poll = || witnessed.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        generations.hear(&changed("1"));
        answer.send(()).unwrap();
        assert!(matches!(poll(), Poll::Ready((Ok(()), 2))));
    }
}
