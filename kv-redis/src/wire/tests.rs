use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::PushKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::time::Instant;

use super::*;

const LONG: Duration = Duration::from_secs(30);
/// What makes the server of the last test send what it keeps back.
const LAST: u64 = i64::MAX as u64;
const PUSH: &[u8] = b">2\r\n+invalidate\r\n_\r\n";

fn start(space: usize, timeout: Duration) -> (Arc<Wire>, DuplexStream) {
    let (ours, theirs) = duplex(space);
    (Arc::new(Wire::start(ours, timeout, |_| {})), theirs)
}

/// Reads so many bytes.
async fn received(theirs: &mut DuplexStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    theirs.read_exact(&mut bytes).await.unwrap();
    bytes
}

fn word(text: &'static str) -> impl FnOnce(&mut Vec<u8>) + Unpin {
    move |out| out.extend_from_slice(text.as_bytes())
}

fn int(number: i64, heard: u64) -> Result<Answer<Value>, Fault> {
    Ok(Answer { value: Value::Int(number), heard })
}

/// Polls once, which sends, and expects no answer.
async fn begin<T>(mut call: Pin<&mut impl Future<Output = T>>) {
    let is_pending = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending);
}

#[tokio::test]
async fn answers_tell_what_was_heard_before() {
    let (wire, mut theirs) = start(1 << 16, LONG);
    let mut one = pin!(wire.call(word("1")));
    let mut several = pin!(wire.pipeline(2, word("23")));
    let mut last = pin!(wire.call(word("4")));
    begin(one.as_mut()).await;
    begin(several.as_mut()).await;
    begin(last.as_mut()).await;
    assert_eq!(received(&mut theirs, 4).await, b"1234");
    theirs.write_all(&[b":1\r\n", PUSH, b":2\r\n", PUSH, b":3\r\n:4\r\n"].concat()).await.unwrap();
    assert_eq!(last.await, int(4, 2));
    assert_eq!(several.await, Ok(Answer { value: vec![Value::Int(2), Value::Int(3)], heard: 2 }));
    assert_eq!(one.await, int(1, 0));
}

#[tokio::test]
async fn what_nobody_waits_for_reaches_nobody() {
    let (wire, mut theirs) = start(1 << 16, LONG);
    drop(wire.call(word("unsent")));
    {
        let mut dropped = pin!(wire.call(word("1")));
        begin(dropped.as_mut()).await;
        let mut several = pin!(wire.pipeline(2, word("23")));
        begin(several.as_mut()).await;
    }
    let mut kept = pin!(wire.call(word("4")));
    begin(kept.as_mut()).await;
    assert_eq!(received(&mut theirs, 4).await, b"1234");
    theirs.write_all(b":1\r\n:2\r\n:3\r\n:4\r\n").await.unwrap();
    assert_eq!(kept.await, int(4, 0));
    let state = wire.shared.state.lock();
    assert_eq!(state.free.len(), state.slots.len());
}

#[tokio::test]
async fn late_answers_are_thrown_away() {
    let timeout = Duration::from_millis(100);
    let (wire, mut theirs) = start(1 << 16, timeout);
    let begun = Instant::now();
    let late = wire.call(word("1")).await;
    let took = begun.elapsed();
    assert_eq!(late, Err(Fault { why: Why::Timeout, may_be_sent: true }));
    assert!(took >= timeout && took < timeout + LONG / 10, "{took:?}");
    assert!(!wire.is_lost());
    let mut next = pin!(wire.call(word("2")));
    begin(next.as_mut()).await;
    theirs.write_all(b":1\r\n:2\r\n").await.unwrap();
    assert_eq!(next.await, int(2, 0));
}

#[tokio::test]
async fn loss_tells_what_may_have_left() {
    let heard = Arc::new(AtomicU64::new(0));
    let (ours, mut theirs) = duplex(4);
    let count = Arc::clone(&heard);
    let wire = Wire::start(ours, LONG, move |message| {
        assert_eq!(message.kind, PushKind::Disconnection);
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut half = pin!(wire.call(word("12345678")));
    begin(half.as_mut()).await;
    received(&mut theirs, 2).await;
    let mut unsent = pin!(wire.call(word("unsent")));
    begin(unsent.as_mut()).await;
    drop(theirs);
    let lost = |fault: Fault| (matches!(fault.why, Why::Lost(_)), fault.may_be_sent);
    assert_eq!(lost(half.await.unwrap_err()), (true, true));
    assert_eq!(lost(unsent.await.unwrap_err()), (true, false));
    assert_eq!(lost(wire.call(word("1")).await.unwrap_err()), (true, false));
    assert_eq!((wire.is_lost(), heard.load(Ordering::SeqCst)), (true, 1));
}

#[tokio::test]
async fn garbage_ends_the_connection_but_not_what_was_before() {
    for garbage in [&b"HTTP/1.1 400\r\n"[..], b":3\r\n"] {
        let (wire, mut theirs) = start(1 << 16, LONG);
        let mut one = pin!(wire.call(word("1")));
        begin(one.as_mut()).await;
        let mut two = pin!(wire.call(word("2")));
        begin(two.as_mut()).await;
        received(&mut theirs, 2).await;
        let answers: &[u8] = if garbage == b":3\r\n" { b":1\r\n:2\r\n" } else { b":1\r\n" };
        theirs.write_all(&[answers, garbage].concat()).await.unwrap();
        assert_eq!(one.await, int(1, 0));
        let fault = Err(Fault { why: Why::Garbage, may_be_sent: true });
        // An answer that nobody has asked for is no better.
        assert_eq!(two.await, if garbage == b":3\r\n" { int(2, 0) } else { fault });
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
        assert!(wire.is_lost());
    }
}

/// A runtime that nobody runs for a while, as one between two calls of `block_on`.
#[test]
fn time_in_which_nobody_drives_the_connection_does_not_count() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let timeout = Duration::from_millis(100);
    let (wire, mut theirs) = {
        let _inside = runtime.enter();
        start(1 << 16, timeout)
    };
    for round in 0..3 {
        let answer = runtime.block_on(async {
            let mut call = pin!(wire.call(word("1")));
            begin(call.as_mut()).await;
            let answering = async {
                received(&mut theirs, 1).await;
                // As long as a server may take.
                tokio::time::sleep(Duration::from_millis(1)).await;
                theirs.write_all(b":1\r\n").await.unwrap();
            };
            tokio::join!(call, answering).0
        });
        assert_eq!(answer, int(1, 0), "round {round}");
        std::thread::sleep(2 * timeout);
    }
}

/// A stream that keeps what it is given until it is flushed, and takes several tries for that, or fails half-way, as TLS may.
struct Sluggish {
    inner: DuplexStream,
    kept: Vec<u8>,
    tries: usize,
    fails: bool,
}

impl AsyncWrite for Sluggish {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.fails {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            let sent = Pin::new(&mut self.inner).poll_write(cx, half);
            assert!(matches!(sent, Poll::Ready(Ok(_))));
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.kept.extend_from_slice(bytes);
        // So many that the first is not done when the next comes.
        self.tries = 200;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.tries > 0 {
            self.tries -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let this = &mut *self;
        while !this.kept.is_empty() {
            let count = std::task::ready!(Pin::new(&mut this.inner).poll_write(cx, &this.kept))?;
            this.kept.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncRead for Sluggish {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, space)
    }
}

fn sluggish(fails: bool) -> (Wire, DuplexStream) {
    let (inner, theirs) = duplex(1 << 22);
    (Wire::start(Sluggish { inner, kept: Vec::new(), tries: 0, fails }, LONG, |_| {}), theirs)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_holds_bytes_back_is_flushed() {
    let (wire, mut theirs) = sluggish(false);
    let mut small = pin!(wire.call(word("1")));
    begin(small.as_mut()).await;
    tokio::task::yield_now().await;
    // More than one turn writes, while the flush of the first is not done.
    let mut large = pin!(wire.call(|out: &mut Vec<u8>| out.resize(1 << 20, b'2')));
    begin(large.as_mut()).await;
    let begun = Instant::now();
    received(&mut theirs, 1 + (1 << 20)).await;
    // No timer had to come to its help.
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn what_failed_half_way_may_have_left() {
    let (wire, _theirs) = sluggish(true);
    let mut one = pin!(wire.call(word("1")));
    let mut two = pin!(wire.call(word("2")));
    begin(one.as_mut()).await;
    begin(two.as_mut()).await;
    for fault in [one.await.unwrap_err(), two.await.unwrap_err()] {
        assert!(fault.may_be_sent, "{fault:?}");
    }
}

/// Over what may be gathered calls wait, and go on in their order though nobody polls them.
#[tokio::test]
async fn those_who_wait_for_room_need_not_be_polled() {
    let (wire, mut theirs) = start(1 << 16, LONG);
    let mut first = pin!(wire.call(|out: &mut Vec<u8>| out.resize(GATHERED_BYTES, b'1')));
    begin(first.as_mut()).await;
    let mut waiting = pin!(wire.call(word("2")));
    begin(waiting.as_mut()).await;
    {
        let mut dropped = pin!(wire.call(word("unsent")));
        begin(dropped.as_mut()).await;
    }
    let mut last = pin!(wire.call(word("3")));
    begin(last.as_mut()).await;
    assert_eq!(wire.shared.state.lock().queue.len(), 3);
    assert!(received(&mut theirs, GATHERED_BYTES + 2).await.ends_with(b"123"));
    theirs.write_all(b":1\r\n:2\r\n:3\r\n").await.unwrap();
    assert_eq!(last.await, int(3, 0));
    assert_eq!((first.await, waiting.await), (int(1, 0), int(2, 0)));
    let state = wire.shared.state.lock();
    assert_eq!(state.free.len(), state.slots.len());
}

#[tokio::test]
async fn the_last_handle_closes() {
    let (wire, mut theirs) = start(1 << 16, LONG);
    drop(wire);
    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_that_turns_one_away_answers_the_first_call() {
    let (wire, mut theirs) = start(1 << 16, LONG);
    theirs.write_all(b"-ERR max number of clients reached\r\n").await.unwrap();
    tokio::task::yield_now().await;
    let answer = wire.call(word("HELLO")).await.unwrap();
    assert!(matches!(answer.value, Value::ServerError(_)));
}

/// More than may wait to be written: further calls wait, in turn, and give their turns on when they are dropped.
#[tokio::test]
async fn calls_wait_for_room_in_turn() {
    const BYTES: usize = GATHERED_BYTES / 4;
    let (wire, mut theirs) = start(16, LONG);
    let mut calls: Vec<_> =
        (0..20_u8).map(|n| Box::pin(wire.call(move |out: &mut Vec<u8>| out.extend_from_slice(&[n; BYTES])))).collect();
    for call in &mut calls {
        begin(call.as_mut()).await;
        // The driver takes what there is.
        tokio::task::yield_now().await;
    }
    let waiting = wire.shared.state.lock().queue.len();
    assert!((8..16).contains(&waiting), "{waiting}");
    // The next in turn, one amid the others, and the last.
    for gone in [19, 17, 20 - waiting] {
        drop(calls.remove(gone));
    }
    let server = async {
        let mut seen = Vec::new();
        for _ in 0..17 {
            let bytes = received(&mut theirs, BYTES).await;
            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
            theirs.write_all(format!(":{}\r\n", bytes[0]).as_bytes()).await.unwrap();
            seen.push(usize::from(bytes[0]));
        }
        seen
    };
    let answers = futures_util::future::join_all(calls);
    let (seen, answers) = tokio::join!(server, answers);
    let kept: Vec<usize> = (0..20).filter(|n| ![19, 17, 20 - waiting].contains(n)).collect();
    assert_eq!(seen, kept);
    for (answer, n) in answers.into_iter().zip(kept) {
        assert_eq!(answer, int(n as i64, 0));
    }
}

#[tokio::test]
async fn waiting_for_room_is_timed_too() {
    let (wire, _theirs) = start(16, Duration::from_millis(50));
    let big = |out: &mut Vec<u8>| out.resize(out.len() + GATHERED_BYTES, 0);
    let (one, two, three) = tokio::join!(wire.call(big), wire.call(big), wire.call(big));
    let fault = |may_be_sent| Err(Fault { why: Why::Timeout, may_be_sent });
    assert_eq!((one, three), (fault(true), fault(false)));
    assert!(two.is_err());
}

/// Callers on several threads that give up at random get their own answers and no others, with the right count of what
/// was heard before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_answer_reaches_another_caller() {
    let (wire, mut theirs) = start(1_000, LONG);
    let server = tokio::spawn(async move {
        let (mut random, mut pushes) = (StdRng::seed_from_u64(1), 0);
        let (mut bytes, mut out) = ([0; 8], Vec::new());
        while theirs.read_exact(&mut bytes).await.is_ok() {
            let asked = u64::from_le_bytes(bytes);
            while random.random_bool(0.2) {
                out.extend_from_slice(PUSH);
                pushes += 1;
            }
            out.extend_from_slice(format!("*2\r\n:{asked}\r\n:{pushes}\r\n").as_bytes());
            // In pieces that have nothing to do with answers.
            let some = out.len() - out.len().min(random.random_range(0..20));
            theirs.write_all(&out[..if asked == LAST { out.len() } else { some }]).await.unwrap();
            out.drain(..if asked == LAST { out.len() } else { some });
        }
    });
    let ask = |number: u64| move |out: &mut Vec<u8>| out.extend_from_slice(&number.to_le_bytes());
    let callers: Vec<_> = (0..64_u64)
        .map(|caller| {
            let wire = Arc::clone(&wire);
            tokio::spawn(async move {
                let mut random = StdRng::seed_from_u64(caller);
                for n in 0..500 {
                    let asked = caller << 32 | n << 1;
                    let check = |answer: &Value, asked: u64| match answer {
                        Value::Array(parts) => match parts[..] {
                            [Value::Int(answered), Value::Int(pushes)] => {
                                assert_eq!(answered as u64, asked);
                                pushes as u64
                            }
                            _ => panic!("{parts:?}"),
                        },
                        other => panic!("{other:?}"),
                    };
                    let polls = random.random_range(0..4);
                    if random.random_bool(0.5) {
                        let call = wire.call(ask(asked));
                        if let Some(answer) = perhaps(call, polls).await {
                            assert_eq!(check(&answer.value, asked), answer.heard);
                        }
                    } else {
                        let both = move |out: &mut Vec<u8>| {
                            ask(asked)(out);
                            ask(asked + 1)(out);
                        };
                        if let Some(answer) = perhaps(wire.pipeline(2, both), polls).await {
                            check(&answer.value[0], asked);
                            assert_eq!(check(&answer.value[1], asked + 1), answer.heard);
                        }
                    }
                }
            })
        })
        .collect();
    // The server keeps a little back until it is asked this.
    let mut callers = pin!(futures_util::future::join_all(callers));
    loop {
        let tick = wire.call(ask(LAST));
        match futures_util::future::select(callers.as_mut(), pin!(tick)).await {
            futures_util::future::Either::Left((ended, _)) => {
                ended.into_iter().for_each(|ended| ended.unwrap());
                break;
            }
            futures_util::future::Either::Right((tick, _)) => drop(tick.unwrap()),
        }
    }
    wire.call(ask(LAST)).await.unwrap();
    {
        let state = wire.shared.state.lock();
        assert_eq!((state.free.len(), state.calls.len()), (state.slots.len(), 0));
    }
    drop(wire);
    server.await.unwrap();
}

/// Waits for an answer, or gives it up after some polls.
async fn perhaps<T>(call: impl Future<Output = Result<T, Fault>>, polls: u32) -> Option<T> {
    let mut call = pin!(call);
    let mut polled = 0;
    poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer.unwrap())),
        Poll::Pending if polls > 0 && polled == polls => Poll::Ready(None),
        Poll::Pending => {
            polled += 1;
            if polls > 0 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }
    })
    .await
}
