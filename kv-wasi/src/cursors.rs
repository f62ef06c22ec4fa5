use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use crate::fail::Fail;
use crate::resources::OpenBucket;

/// The cursors of a guest whose shape has numbers for them: those that were not used for the longest time are forgotten first.
pub(crate) struct Cursors {
    known: HashMap<u64, Known>,
    /// The numbers, by when they were used last.
    order: BTreeMap<u64, u64>,
    most: usize,
    /// Counts the uses.
    clock: u64,
    /// Makes numbers that nobody guesses.
    hasher: RandomState,
}

struct Known {
    place: Place,
    used: u64,
}

#[derive(Hash, PartialEq, Eq)]
struct Place {
    /// The rule that gave the bucket: two may lead to buckets of one name in different stores.
    rule: usize,
    bucket: Box<str>,
    cursor: String,
}

impl Cursors {
    pub(crate) fn new(most: usize) -> Self {
        Self { known: HashMap::new(), order: BTreeMap::new(), most, clock: 0, hasher: RandomState::new() }
    }

    /// Keeps a cursor and gives the number for it: the same one for the same cursor, so that many who list one bucket take no
    /// more room than one does.
    pub(crate) fn keep(&mut self, open: &OpenBucket, cursor: String) -> u64 {
        let place = Place { rule: open.rule, bucket: open.bucket.name().into(), cursor };
        let mut numbers = (0_u64..).map(|nth| self.hasher.hash_one((nth, &place)));
        let free = |number: &u64| self.known.get(number).is_none_or(|known| known.place == place);
        // Another cursor has the first one as seldom as two hashes of 64 bits are the same.
        let number = numbers.find(free).unwrap_or_default();
        if !self.touch(number) {
            while self.known.len() >= self.most.max(1) {
                let Some((_, oldest)) = self.order.pop_first() else { break };
                self.known.remove(&oldest);
            }
            self.clock += 1;
            self.known.insert(number, Known { place, used: self.clock });
            self.order.insert(self.clock, number);
        }
        number
    }

    /// The cursor behind a number, in the bucket that it was given for.
    pub(crate) fn find(&mut self, open: &OpenBucket, number: u64) -> Result<String, Fail> {
        let place = self.known.get(&number).map(|known| &known.place);
        let fits = |place: &&Place| place.rule == open.rule && *place.bucket == *open.bucket.name();
        let cursor = place.filter(fits).map(|place| place.cursor.clone());
        let cursor = cursor.ok_or_else(|| Fail::other("invalid cursor"))?;
        self.touch(number);
        Ok(cursor)
    }

    /// Notes that a number is used; says whether it is known.
    fn touch(&mut self, number: u64) -> bool {
        let Some(known) = self.known.get_mut(&number) else { return false };
        self.clock += 1;
        self.order.remove(&known.used);
        known.used = self.clock;
        self.order.insert(self.clock, number);
        true
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
        assert_eq!((cursors.known.len(), cursors.order.len()), (2, 2));
    }

    #[tokio::test]
    async fn a_cursor_in_use_stays_and_the_same_one_has_its_old_number() {
        let store = kv_memory::open_named("").unwrap();
        let access = Access::all_of(&store);
        let (a, b) = (access.open("a").await.unwrap(), access.open("b").await.unwrap());
        let mut cursors = Cursors::new(2);
        let first = cursors.keep(&a, "x".to_owned());
        for n in 0..10 {
            assert_eq!(cursors.find(&a, first).unwrap(), "x");
            cursors.keep(&a, n.to_string());
        }
        // A slow reader of the first pages, and many new ones.
        for _ in 0..10 {
            assert_eq!(cursors.keep(&a, "x".to_owned()), first);
            let second = cursors.keep(&b, "x".to_owned());
            assert!(second != first && cursors.keep(&b, "x".to_owned()) == second);
        }
        assert_eq!(cursors.find(&a, first).unwrap(), "x");
        assert_eq!((cursors.known.len(), cursors.order.len()), (2, 2));
    }
}
