use std::pin::pin;
use std::task::Wake;
use std::thread::Thread;

use super::*;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

type Waiting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), Arc<Error>>> + 'a>>;

/// A committer without a thread: the test plays it.
fn committer(expected: usize) -> Committer {
    let shared = Shared::new();
    shared.lock().expected = expected;
    Committer { shared: Arc::new(shared), thread: Mutex::new(None) }
}

fn poll(waiting: &mut Waiting<'_>) -> Poll<Result<(), Arc<Error>>> {
    waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Begins to wait for a round.
fn wait(committer: &Committer) -> Waiting<'_> {
    let mut waiting: Waiting<'_> = Box::pin(committer.acknowledge());
    assert!(poll(&mut waiting).is_pending());
    waiting
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park_timeout(LONG),
        }
    }
}

fn failure() -> Error {
    Error::new(ErrorKind::ResourceExhausted, Effect::Unknown, "the disk is full")
}

#[test]
fn a_round_is_held_back_for_those_of_the_last_one_but_not_for_ever() {
    let committer = committer(2);
    let _one = wait(&committer);
    let hold = Duration::from_millis(20);
    let begun = Instant::now();
    committer.shared.begin(hold);
    assert!(begun.elapsed() >= hold);
    // Nobody else came, so nobody else is waited for the next time.
    let _one = wait(&committer);
    let begun = Instant::now();
    committer.shared.begin(LONG);
    assert!(begun.elapsed() < LONG);
}

#[test]
fn a_round_begins_when_all_are_there() {
    let committer = committer(2);
    let _one = wait(&committer);
    let begun = Instant::now();
    let shared = Arc::clone(&committer.shared);
    let thread = std::thread::spawn(move || shared.begin(LONG));
    let _other = wait(&committer);
    thread.join().unwrap();
    assert_eq!(committer.shared.lock().begun.len(), 2);
    assert!(begun.elapsed() < LONG);
}

#[test]
fn stopping_waits_for_nobody() {
    let committer = committer(2);
    let mut one = wait(&committer);
    committer.stop();
    let begun = Instant::now();
    let (round, is_last) = committer.shared.begin(LONG);
    assert!(is_last && begun.elapsed() < LONG);
    // One who comes during the last round did its write before.
    let unpark = Arc::new(Unpark(std::thread::current()));
    let mut late: Waiting<'_> = Box::pin(committer.acknowledge());
    assert!(late.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&unpark)))).is_pending());
    committer.shared.end(round, Ok(()), is_last);
    assert_eq!(Arc::strong_count(&unpark), 1, "it was woken");
    let mut later: Waiting<'_> = Box::pin(committer.acknowledge());
    assert!([&mut one, &mut late, &mut later].into_iter().all(|waiting| matches!(poll(waiting), Poll::Ready(Ok(())))));
}

#[test]
fn a_round_serves_only_those_who_waited_when_it_began() {
    let committer = committer(0);
    let mut first = wait(&committer);
    let (round, is_last) = committer.shared.begin(LONG);
    let mut second = wait(&committer);
    committer.shared.end(round, Ok(()), is_last);
    assert!(matches!(poll(&mut first), Poll::Ready(Ok(()))) && poll(&mut second).is_pending());
    let (round, is_last) = committer.shared.begin(LONG);
    committer.shared.end(round, Err(failure()), is_last);
    let Poll::Ready(Err(error)) = poll(&mut second) else { panic!("the second round failed") };
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    // Nor is anything acknowledged after a failure, whatever a later round says.
    let mut third = wait(&committer);
    let (round, is_last) = committer.shared.begin(LONG);
    committer.shared.end(round, Ok(()), is_last);
    assert!(matches!(poll(&mut third), Poll::Ready(Err(_))));
}

#[test]
fn a_waker_that_was_replaced_is_the_one_that_is_woken() {
    for is_begun in [false, true] {
        let committer = committer(0);
        let mut waiting = wait(&committer);
        let mut round = None;
        if is_begun {
            round = Some(committer.shared.begin(LONG));
        }
        let unpark = Arc::new(Unpark(std::thread::current()));
        let waker = Waker::from(Arc::clone(&unpark));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&unpark), 2, "it is kept");
        let (round, is_last) = round.unwrap_or_else(|| committer.shared.begin(LONG));
        assert_eq!(committer.shared.lock().begun.len(), 1, "and counts once");
        committer.shared.end(round, Ok(()), is_last);
        assert_eq!(Arc::strong_count(&unpark), 1, "it was woken");
    }
}

#[test]
fn many_callers_share_rounds_until_the_end() {
    const CALLERS: u64 = 16;
    const WRITES: u64 = 200;
    let committer = Committer::start("committer", |_| Ok(())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| (0..WRITES).for_each(|_| block_on(committer.acknowledge()).unwrap()));
        }
    });
    // No caller has two writes in one round.
    assert!((WRITES..=WRITES * CALLERS).contains(&committer.rounds()));
    committer.join();
    block_on(committer.acknowledge()).unwrap();
}

#[test]
fn what_nobody_waits_for_is_made_durable_too() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let committer = Committer::start("committer", move |is_last| {
        sender.send(is_last).unwrap();
        Ok(())
    })
    .unwrap();
    committer.note();
    assert!(!receiver.recv_timeout(LONG).unwrap());
    committer.join();
    assert!(receiver.recv_timeout(LONG).unwrap());
}

#[test]
fn a_panic_leaves_nobody_waiting() {
    let committer = Committer::start("committer", |_| std::panic::resume_unwind(Box::new("on purpose"))).unwrap();
    let error = block_on(committer.acknowledge()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    committer.join();
}
