use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::{Bucket, Fill, IncomingValue, OutgoingValue, Result};

/// What [`Bucket::get_or_set`] found (TTL-4).
#[derive(Debug)]
pub enum GetOrSet {
    /// The entry is there.
    Occupied(IncomingValue),
    /// The entry is absent and this caller alone is to fill it.
    Vacant(Vacancy),
}

/// The right and duty to fill one absent entry (TTL-4).
///
/// The other callers of this store wait for it. Dropping it unfilled wakes one of them, which gets a vacancy of
/// its own.
pub struct Vacancy {
    bucket: Bucket,
    seat: Seat,
}

impl Vacancy {
    /// Stores the value, with a deadline where `ttl` is given, unless another write came first: then that
    /// write's value is the answer and nothing is stored (TTL-4).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a time to live outside its range,
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) for a value over the limit, and what the backend has.
    /// The vacancy is given up either way.
    pub async fn fill(self, value: impl Into<OutgoingValue>, ttl: Option<Duration>) -> Result<Fill> {
        let Self { bucket, mut seat } = self;
        let ended = bucket.fill(&seat.key.1, value.into(), ttl).await;
        seat.filled = ended.is_ok();
        ended
    }
}

impl fmt::Debug for Vacancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacancy").field("bucket", &self.bucket.name()).field("key", &self.seat.key.1).finish()
    }
}

type Key = (String, String);

/// The vacancies of a store: who fills and who waits.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Key, VecDeque<Arc<Waiter>>>>);

/// The one place from which a key may be filled. Dropping it hands it to the next that waits.
struct Seat {
    flights: Arc<Flights>,
    key: Key,
    /// Whether all that wait are to look again, instead of one taking the seat.
    filled: bool,
}

#[derive(Default)]
struct Waiter(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    told: Option<Told>,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// The key was filled: look again.
    Look,
    /// The seat is yours.
    Seated,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flights {
    /// Finds the entry, or takes its one vacancy, waiting for others that hold it.
    pub(crate) async fn get_or_set(self: &Arc<Self>, bucket: &Bucket, key: &str) -> Result<GetOrSet> {
        loop {
            if let Some(value) = bucket.get(key).await? {
                return Ok(GetOrSet::Occupied(value));
            }
            if let Some(vacancy) = self.vacancy(bucket, key).await? {
                return Ok(GetOrSet::Vacant(vacancy));
            }
        }
    }

    /// Takes the vacancy of an entry that was absent, waiting for others that hold it; `None` if the entry is there now.
    pub(crate) async fn vacancy(self: &Arc<Self>, bucket: &Bucket, key: &str) -> Result<Option<Vacancy>> {
        let Some(mut seat) = self.sit((bucket.name().to_owned(), key.to_owned())).await else { return Ok(None) };
        // Between the look and the seat another may have filled and left.
        seat.filled = bucket.exists(key).await?;
        Ok((!seat.filled).then(|| Vacancy { bucket: bucket.clone(), seat }))
    }

    /// Takes the seat; `None` if it was filled while waiting.
    async fn sit(self: &Arc<Self>, key: Key) -> Option<Seat> {
        let waiter = {
            let mut flights = lock(&self.0);
            let Some(waiters) = flights.get_mut(&key) else {
                flights.insert(key.clone(), VecDeque::new());
                drop(flights);
                return Some(Seat { flights: Arc::clone(self), key, filled: false });
            };
            let waiter = Arc::new(Waiter::default());
            waiters.push_back(Arc::clone(&waiter));
            waiter
        };
        let mut place = Place { flights: self, key: Some(key), waiter };
        let told = poll_fn(|cx| {
            let mut waiting = lock(&place.waiter.0);
            match waiting.told {
                Some(told) => Poll::Ready(told),
                None => {
                    waiting.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        let key = place.key.take()?;
        (told == Told::Seated).then(|| Seat { flights: Arc::clone(self), key, filled: false })
    }
}

/// A waiter's place in the queue; leaving early must not swallow a seat that was just handed over (CAN-1).
struct Place<'a> {
    flights: &'a Arc<Flights>,
    key: Option<Key>,
    waiter: Arc<Waiter>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut flights = lock(&self.flights.0);
        if let Some(waiters) = flights.get_mut(&key) {
            waiters.retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
        }
        // Handing over happens under the table's lock, so this can't change any more.
        let seated = lock(&self.waiter.0).told == Some(Told::Seated);
        drop(flights);
        if seated {
            drop(Seat { flights: Arc::clone(self.flights), key, filled: false });
        }
    }
}

impl Waiter {
    /// Passes the word on; wake what this returns once no lock is held.
    fn tell(&self, told: Told) -> Option<Waker> {
        let mut waiting = lock(&self.0);
        waiting.told = Some(told);
        waiting.waker.take()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights.0);
        let wakers: Vec<Waker> = if self.filled {
            let waiters = flights.remove(&self.key).unwrap_or_default();
            waiters.iter().filter_map(|waiter| waiter.tell(Told::Look)).collect()
        } else {
            match flights.get_mut(&self.key).and_then(VecDeque::pop_front) {
                Some(next) => next.tell(Told::Seated).into_iter().collect(),
                None => {
                    flights.remove(&self.key);
                    Vec::new()
                }
            }
        };
        drop(flights);
        wakers.into_iter().for_each(Waker::wake);
    }
}
