use std::task::{Context, Poll, Waker};

use kv_core::Store;

use super::*;
use crate::{Config, Provider};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// A flusher without a thread: the test plays it.
fn flusher(expected: usize) -> Flusher {
    let shared = Shared {
        durability: Durability::Process,
        state: Mutex::new(State { expected, ..State::default() }),
        wake: Condvar::new(),
        dirty: AtomicBool::new(false),
        flushes: AtomicU64::new(0),
    };
    Flusher { shared: Arc::new(shared), thread: Mutex::new(None) }
}

/// Begins to wait for a flush.
fn wait(flusher: &Flusher) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + '_>> {
    let mut waiting = Box::pin(flusher.acknowledge());
    assert!(matches!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    waiting
}

#[test]
fn a_flush_is_held_back_for_those_of_the_last_one_but_not_for_ever() {
    let flusher = flusher(2);
    let _one = wait(&flusher);
    let hold = Duration::from_millis(20);
    let begun = Instant::now();
    assert_eq!(flusher.shared.next(hold).0.len(), 1);
    assert!(begun.elapsed() >= hold);
    // Nobody else came, so nobody else is waited for the next time.
    let _one = wait(&flusher);
    let begun = Instant::now();
    assert_eq!(flusher.shared.next(LONG).0.len(), 1);
    assert!(begun.elapsed() < LONG);
}

#[test]
fn a_flush_begins_when_all_are_there() {
    let flusher = flusher(2);
    let _one = wait(&flusher);
    let begun = Instant::now();
    let shared = Arc::clone(&flusher.shared);
    let thread = std::thread::spawn(move || shared.next(LONG).0.len());
    let _other = wait(&flusher);
    assert_eq!(thread.join().unwrap(), 2);
    assert!(begun.elapsed() < LONG);
}

#[test]
fn stopping_waits_for_nobody() {
    let flusher = flusher(2);
    let _one = wait(&flusher);
    flusher.stop();
    let begun = Instant::now();
    let (waiting, stop) = flusher.shared.next(LONG);
    assert!(stop && waiting.len() == 1 && begun.elapsed() < LONG);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_share_flushes() {
    const CALLERS: u64 = 64;
    const WRITES: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(Config::new(folder.path())).await.unwrap();
    let inner = provider.inner();
    let store = Store::new(provider);
    let bucket = store.open_bucket("b").await.unwrap();
    let callers = (0..CALLERS).map(|caller| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            for n in 0..WRITES {
                bucket.set(&format!("{caller}"), format!("{n}")).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let flushes = inner.flusher.flushes();
    drop(inner);
    store.close().await.unwrap();
    // No caller has two writes in one flush. How many callers share one is the scheduler's doing.
    assert!((WRITES..WRITES * CALLERS / 2).contains(&flushes), "{flushes} flushes");
}
