use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::fail::Fail;
use crate::resources::OpenBucket;

/// The cursors of a guest whose shape has numbers for them: the oldest are forgotten first.
pub(crate) struct Cursors {
    known: HashMap<u64, Place>,
    order: VecDeque<u64>,
    most: usize,
    given: u64,
    /// Makes numbers that nobody guesses.
    hasher: RandomState,
}

struct Place {
    /// The rule that gave the bucket: two may lead to buckets of one name in different stores.
    rule: usize,
    bucket: Box<str>,
    cursor: String,
}

impl Cursors {
    pub(crate) fn new(most: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), most, given: 0, hasher: RandomState::new() }
    }

    /// Keeps a cursor and gives the number for it.
    pub(crate) fn keep(&mut self, open: &OpenBucket, cursor: String) -> u64 {
        while self.order.len() >= self.most.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        let number = loop {
            self.given += 1;
            let number = self.hasher.hash_one(self.given);
            if !self.known.contains_key(&number) {
                break number;
            }
        };
        self.known.insert(number, Place { rule: open.rule, bucket: open.bucket.name().into(), cursor });
        self.order.push_back(number);
        number
    }

    /// The cursor behind a number, in the bucket that it was given for.
    pub(crate) fn find(&self, open: &OpenBucket, number: u64) -> Result<String, Fail> {
        match self.known.get(&number) {
            Some(place) if place.rule == open.rule && *place.bucket == *open.bucket.name() => Ok(place.cursor.clone()),
            _ => Err(Fail::other("invalid cursor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Rights};

    #[tokio::test]
    async fn cursors_are_known_in_their_bucket_until_newer_ones_take_their_place() {
        let (store, other) = (kv_memory::open_named("").unwrap(), kv_memory::open_named("").unwrap());
        let access = Access::none()
            .bucket("a", &store, None, Rights::ALL)
            .bucket("b", &store, None, Rights::ALL)
            .bucket("another store's a", &other, Some("a".to_owned()), Rights::ALL);
        let [a, b, others] = [
            access.open("a").await.unwrap(),
            access.open("b").await.unwrap(),
            access.open("another store's a").await.unwrap(),
        ];
        let mut cursors = Cursors::new(2);
        let first = cursors.keep(&a, "x".to_owned());
        assert_eq!(cursors.find(&a, first).unwrap(), "x");
        assert!(cursors.find(&b, first).is_err() && cursors.find(&others, first).is_err());
        assert!((0..1_000).all(|made_up| made_up == first || cursors.find(&a, made_up).is_err()));
        let (second, third) = (cursors.keep(&a, "y".to_owned()), cursors.keep(&b, "z".to_owned()));
        assert!(cursors.find(&a, first).is_err());
        assert_eq!((cursors.find(&a, second).unwrap(), cursors.find(&b, third).unwrap()), ("y".into(), "z".into()));
        assert_eq!(cursors.known.len(), 2);
    }
}
