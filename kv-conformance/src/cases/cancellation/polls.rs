//! Calls whose polls are counted, and the calls that there are.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use kv_core::{Bucket, Declared, GetOrSet, OutgoingValue, Store};
use tokio::sync::Notify;

use super::super::store::entries::{noise, prompt};
use crate::{Context, Stop};

/// Polls after which a call counts as endless.
pub(super) const MOST_POLLS: usize = 200;

/// How long a write's entry lives where it has a deadline.
const LONG: Duration = Duration::from_secs(600);

/// A call that was not begun yet.
pub(super) type Call = Pin<Box<dyn Future<Output = kv_core::Result<()>> + Send>>;

/// Tells that a call wants its next poll.
#[derive(Default)]
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// A call whose polls are ours: each when it asks for it, with the runtime's turn between two.
pub(in crate::cases) struct Stepped<T> {
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    bell: Arc<Bell>,
    is_begun: bool,
}

impl<T> Stepped<T> {
    pub(in crate::cases) fn new(call: Pin<Box<dyn Future<Output = T> + Send>>) -> Self {
        Self { call, bell: Arc::default(), is_begun: false }
    }

    /// Polls once, after the call has asked for it; gives how it ended, if it did.
    pub(in crate::cases) async fn step(&mut self) -> Result<Option<T>, Stop> {
        if self.is_begun {
            // Also renews this task's budget.
            tokio::task::yield_now().await;
            prompt("the waking of a call that waits", self.bell.0.notified()).await?;
        }
        self.is_begun = true;
        let waker = Waker::from(Arc::clone(&self.bell));
        let poll = poll_fn(|_| Poll::Ready(self.call.as_mut().poll(&mut TaskContext::from_waker(&waker)))).await;
        Ok(match poll {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        })
    }
}

/// Polls the call at most `most` times and drops it; gives how it ended, if it did.
pub(super) async fn drop_after<T>(
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    most: usize,
) -> Result<Option<T>, Stop> {
    let mut call = Stepped::new(call);
    for _ in 0..most {
        if let Some(ended) = call.step().await? {
            return Ok(Some(ended));
        }
    }
    Ok(None)
}

/// A write of one key, in each form that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Set,
    Delete,
    SetMany,
    DeleteMany,
    Increment,
    CompareAndSwap,
    CompareAndRemove,
    Swap,
    SetWithTtl,
    Fill,
}

impl Write {
    const ALL: [Self; 10] = [
        Self::Set,
        Self::Delete,
        Self::SetMany,
        Self::DeleteMany,
        Self::Increment,
        Self::CompareAndSwap,
        Self::CompareAndRemove,
        Self::Swap,
        Self::SetWithTtl,
        Self::Fill,
    ];

    /// The writes that the provider has.
    pub(super) fn declared(declared: &Declared) -> impl Iterator<Item = Self> + Send {
        let (atomic, cache) = (declared.atomic, declared.cache);
        Self::ALL.into_iter().filter(move |write| match write {
            Self::Set | Self::Delete | Self::SetMany | Self::DeleteMany => true,
            Self::Increment | Self::CompareAndSwap | Self::CompareAndRemove | Self::Swap => atomic,
            Self::SetWithTtl | Self::Fill => cache,
        })
    }

    /// What the key holds before.
    pub(super) fn before(self) -> Option<Bytes> {
        match self {
            Self::Fill => None,
            Self::Increment => Some(Bytes::from_static(b"41")),
            _ => Some(noise(1, 3_000)),
        }
    }

    /// What it holds once written: longer than before, so that a mixture shows.
    pub(super) fn after(self) -> Option<Bytes> {
        match self {
            Self::Delete | Self::DeleteMany | Self::CompareAndRemove => None,
            Self::Increment => Some(Bytes::from_static(b"42")),
            _ => Some(noise(2, 5_000)),
        }
    }

    /// The call, not begun.
    pub(super) fn call(self, bucket: &Bucket, key: &str) -> Call {
        let (bucket, key) = (bucket.clone(), key.to_owned());
        let new = self.after().unwrap_or_default();
        Box::pin(async move {
            match self {
                Self::Set => bucket.set(&key, new).await,
                Self::Delete => bucket.delete(&key).await,
                Self::SetMany => bucket.set_many([(twin(&key), new.clone()), (key, new)]).await,
                Self::DeleteMany => bucket.delete_many(&[twin(&key), key]).await,
                Self::Increment => bucket.increment(&key, 1).await.map(drop),
                Self::CompareAndSwap => {
                    let new = Some(OutgoingValue::from(new));
                    bucket.compare_and_swap(&key, self.before().as_deref(), new).await.map(drop)
                }
                Self::CompareAndRemove => bucket.compare_and_swap(&key, self.before().as_deref(), None).await.map(drop),
                Self::Swap => bucket.cas(&key).await?.swap(new).await.map(drop),
                Self::SetWithTtl => bucket.set_with_ttl(&key, new, LONG).await,
                Self::Fill => match bucket.get_or_set(&key).await? {
                    GetOrSet::Vacant(vacancy) => vacancy.fill(new, Some(LONG)).await.map(drop),
                    GetOrSet::Occupied(_) => Ok(()),
                },
            }
        })
    }
}

/// The second key of a batch of two.
pub(super) fn twin(key: &str) -> String {
    format!("{key} twin")
}

/// Every call that changes nothing, not begun, by name. Made anew each time.
pub(super) fn reads(cx: &Context, store: &Store, bucket: &Bucket) -> Vec<(&'static str, Call)> {
    /// A call on clones, its answer let go.
    macro_rules! read {
        ($of:expr, |$name:ident| $call:expr) => {{
            let $name = $of.clone();
            Box::pin(async move { $call.await.map(drop) }) as Call
        }};
    }
    let mut reads = vec![
        ("get", read!(bucket, |b| b.get("k"))),
        ("get of an absent key", read!(bucket, |b| b.get("absent"))),
        ("exists", read!(bucket, |b| b.exists("k"))),
        ("get_many", read!(bucket, |b| b.get_many(&["k", "absent", "k"]))),
        ("keys", read!(bucket, |b| b.keys("", None, 10))),
        ("buckets", read!(store, |s| s.buckets())),
        ("info", read!(store, |s| s.info())),
        ("open_bucket", read!(store, |s| s.open_bucket("another"))),
    ];
    if cx.declared().atomic {
        reads.push(("cas", read!(bucket, |b| b.cas("k"))));
        reads.push(("a failing increment", read!(bucket, |b| refused(b.increment("k", 1)))));
        reads.push(("a failing compare_and_swap", read!(bucket, |b| b.compare_and_swap("k", None, Some("x".into())))));
    }
    if cx.declared().cache {
        reads.push(("ttl", read!(bucket, |b| b.ttl("k"))));
        reads.push(("get_or_set", read!(bucket, |b| b.get_or_set("k"))));
        reads.push(("get_or_set of an absent key", read!(bucket, |b| b.get_or_set("absent"))));
    }
    if cx.declared().watch.is_some() {
        reads.push(("watch", read!(bucket, |b| b.watch(""))));
    }
    reads
}

/// A call whose error is expected.
async fn refused(call: impl Future<Output = kv_core::Result<i64>>) -> kv_core::Result<()> {
    drop(call.await);
    Ok(())
}
