use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::fail::Fail;

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
    bucket: String,
    cursor: String,
}

impl Cursors {
    pub(crate) fn new(most: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), most, given: 0, hasher: RandomState::new() }
    }

    /// Keeps a cursor and gives the number for it.
    pub(crate) fn keep(&mut self, bucket: &str, cursor: String) -> u64 {
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
        self.known.insert(number, Place { bucket: bucket.to_owned(), cursor });
        self.order.push_back(number);
        number
    }

    /// The cursor behind a number, in the bucket that it was given for.
    pub(crate) fn find(&self, bucket: &str, number: u64) -> Result<String, Fail> {
        match self.known.get(&number) {
            Some(place) if place.bucket == bucket => Ok(place.cursor.clone()),
            _ => Err(Fail::other("invalid cursor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_known_in_their_bucket_until_newer_ones_take_their_place() {
        let mut cursors = Cursors::new(2);
        let first = cursors.keep("a", "x".to_owned());
        assert_eq!(cursors.find("a", first).unwrap(), "x");
        assert!(cursors.find("b", first).is_err());
        assert!((0..1_000).all(|made_up| made_up == first || cursors.find("a", made_up).is_err()));
        let (second, third) = (cursors.keep("a", "y".to_owned()), cursors.keep("b", "z".to_owned()));
        assert!(cursors.find("a", first).is_err());
        assert_eq!((cursors.find("a", second).unwrap(), cursors.find("b", third).unwrap()), ("y".into(), "z".into()));
        assert_eq!(cursors.known.len(), 2);
    }
}
