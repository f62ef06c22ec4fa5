//! Changes: the server tells which keys changed (`CLIENT TRACKING … BCAST`), and their values are read.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use kv_core::local::Hub;
use kv_core::{Event, Events, Result, Watch};
use parking_lot::Mutex;
use rand::RngExt;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::connection::{Outcome, outcome};
use crate::error::{Call, closed, lost, odd, refused};
use crate::generation::number;
use crate::layout::BucketKeys;
use crate::store::{Bucket, Inner};

/// Values read in one go.
const READ_AT_ONCE: usize = 16;

/// Bytes of keys that may wait to be read; over that watchers are told that events are missing.
const HEARD_BYTES: usize = 16 << 20;

/// How long to wait before a lost connection is made again, at first and at most. Half of it is chance.
const BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_millis(400);

/// What feeds the watchers, by bucket: however many watch one, the server tells of it once.
#[derive(Default)]
pub(crate) struct Feeds(Mutex<HashMap<Box<str>, Weak<Feed>>>);

/// A task that feeds watchers, until the last of them is gone.
struct Feed {
    task: AbortHandle,
    /// Whether it hears of changes.
    ready: Outcome<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Watch for Bucket {
    async fn watch(&self, prefix: &str) -> Result<Events> {
        let feed = self.feed()?;
        outcome(feed.ready.clone()).await?;
        let events = self.inner.hub.watch(&self.name, prefix);
        // Closing ends the streams that there are.
        self.inner.links.check_open()?;
        Ok(Events::new(Fed { events, _feed: feed, _bucket: self.clone() }))
    }
}

/// A watcher's stream. The feed goes with the last one.
struct Fed {
    events: Events,
    _feed: Arc<Feed>,
    /// Keeps the store, with its thread.
    _bucket: Bucket,
}

impl Stream for Fed {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        Pin::new(&mut self.events).poll_next(cx)
    }
}

impl Bucket {
    fn feed(&self) -> Result<Arc<Feed>> {
        self.inner.links.check_open()?;
        let mut feeds = self.inner.feeds.0.lock();
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let running = feeds.get(&self.name).and_then(Weak::upgrade);
        // One that could not begin is tried again.
        if let Some(feed) = running.filter(|feed| !matches!(&*feed.ready.borrow(), Some(Err(_)))) {
            return Ok(feed);
        }
        let (sender, ready) = watch::channel(None);
        let (inner, hub) = (Arc::downgrade(&self.inner), Arc::clone(&self.inner.hub));
        let (name, keys) = (self.name.clone(), self.keys.clone());
        let task = self.inner.background.handle()?.spawn(async move {
            let (feeding, done) = match Feeding::start(inner, hub, name, keys).await {
                Ok(feeding) => (Some(feeding), Ok(())),
                Err(error) => (None, Err(Arc::new(error))),
            };
            // Nobody may be waiting any more.
            let _ = sender.send(Some(done));
            if let Some(feeding) = feeding {
                feeding.run().await;
            }
        });
        let feed = Arc::new(Feed { task: task.abort_handle(), ready });
        feeds.insert(self.name.clone(), Arc::downgrade(&feed));
        Ok(feed)
    }
}

/// What the server told and nobody has looked at yet.
#[derive(Default)]
struct Ear {
    heard: Mutex<Heard>,
    notify: Notify,
}

#[derive(Default)]
struct Heard {
    /// In the order in which they were told first.
    keys: Vec<Vec<u8>>,
    known: HashSet<Vec<u8>>,
    bytes: usize,
    is_lost: bool,
}

impl Ear {
    fn hear(&self, message: PushInfo) {
        let mut heard = self.heard.lock();
        match (message.kind, message.data.into_iter().next()) {
            (PushKind::Disconnection, _) => heard.is_lost = true,
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                for key in keys {
                    if let Value::BulkString(key) = key
                        && heard.known.insert(key.clone())
                    {
                        heard.bytes += key.len();
                        heard.keys.push(key);
                    }
                }
                if heard.bytes > HEARD_BYTES {
                    // Further behind than anybody should be: what is there now has to be looked for.
                    *heard = Heard { is_lost: true, ..Heard::default() };
                }
            }
            // The database was flushed: what is there now has to be looked for.
            (PushKind::Invalidate, _) => heard.is_lost = true,
            _ => return,
        }
        drop(heard);
        self.notify.notify_one();
    }

    /// Waits for something.
    async fn next(&self) -> Heard {
        loop {
            {
                let mut heard = self.heard.lock();
                if heard.is_lost || !heard.keys.is_empty() {
                    return std::mem::take(&mut *heard);
                }
            }
            self.notify.notified().await;
        }
    }
}

/// Begins to hear of a bucket's changes; gives its generation too.
async fn listen(inner: &Inner, keys: &BucketKeys, ear: &Arc<Ear>) -> Result<(MultiplexedConnection, u64)> {
    let to = Arc::clone(ear);
    let hear = move |message| to.hear(message);
    let mut connection = inner.links.listener(&[&keys.entries, &keys.generation], hear).await?;
    let generation = generation(&mut connection, keys).await?;
    Ok((connection, generation))
}

async fn generation(connection: &mut MultiplexedConnection, keys: &BucketKeys) -> Result<u64> {
    const DOING: &str = "looking the bucket up";
    let mut ask = redis::cmd("GET");
    ask.arg(&*keys.generation);
    match connection.send_packed_command(&ask).await.map_err(|cause| lost(DOING, Call::Read, cause))? {
        Value::ServerError(error) => Err(refused(DOING, &error)),
        found => number(&found).ok_or_else(|| odd(DOING, Call::Read)),
    }
}

/// The task's own notes.
struct Feeding {
    inner: Weak<Inner>,
    hub: Arc<Hub>,
    name: Box<str>,
    keys: BucketKeys,
    ear: Arc<Ear>,
    connection: MultiplexedConnection,
    generation: u64,
}

impl Feeding {
    async fn start(inner: Weak<Inner>, hub: Arc<Hub>, name: Box<str>, keys: BucketKeys) -> Result<Self> {
        let ear = Arc::default();
        let (connection, generation) = match inner.upgrade() {
            Some(inner) => listen(&inner, &keys, &ear).await?,
            None => return Err(closed()),
        };
        Ok(Self { inner, hub, name, keys, ear, connection, generation })
    }

    async fn run(mut self) {
        loop {
            let heard = self.ear.next().await;
            if heard.is_lost || self.tell(heard.keys).await.is_err() {
                if !self.listen_again().await {
                    return;
                }
                self.hub.publish_resync(&self.name);
            }
        }
    }

    /// Connects until it succeeds; false once the store is gone.
    async fn listen_again(&mut self) -> bool {
        let mut wait = BACKOFF;
        loop {
            {
                let Some(inner) = self.inner.upgrade() else { return false };
                if inner.links.check_open().is_err() {
                    return false;
                }
                // What the old connection still tells is of no use.
                self.ear = Arc::default();
                if let Ok((connection, generation)) = listen(&inner, &self.keys, &self.ear).await {
                    self.connection = connection;
                    self.generation = generation;
                    return true;
                }
            }
            let chance = rand::rng().random_range(0.5..1.0);
            tokio::time::sleep(wait.mul_f64(chance)).await;
            wait = (wait * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Publishes what became of keys that changed.
    async fn tell(&mut self, changed: Vec<Vec<u8>>) -> Result<()> {
        let mut entries = Vec::new();
        let mut is_newer = false;
        for physical in changed {
            match self.keys.split(&physical) {
                Some((generation, key)) => {
                    is_newer |= generation > self.generation;
                    entries.push((generation, key, physical));
                }
                // The bucket's own generation, or that of one whose name begins with its name.
                None => is_newer |= *physical == *self.keys.generation.as_bytes(),
            }
        }
        if is_newer {
            let now = generation(&mut self.connection, &self.keys).await?;
            if now != self.generation {
                self.generation = now;
                self.hub.publish_dropped(&self.name);
            }
        }
        entries.retain(|(generation, ..)| *generation == self.generation);
        for some in entries.chunks(READ_AT_ONCE) {
            const DOING: &str = "reading what changed";
            let mut read = redis::cmd("MGET");
            for (_, _, physical) in some {
                read.arg(physical);
            }
            let answer = self.connection.send_packed_command(&read).await;
            let Value::Array(values) = answer.map_err(|cause| lost(DOING, Call::Read, cause))? else {
                return Err(odd(DOING, Call::Read));
            };
            for ((_, key, _), value) in some.iter().zip(values) {
                match value {
                    Value::BulkString(value) => {
                        let value = Bytes::from(value);
                        let event = || Event::Set { key: key.clone(), value: value.clone().into() };
                        self.hub.publish(&self.name, key, event);
                    }
                    _ => self.hub.publish(&self.name, key, || Event::Deleted { key: key.clone() }),
                }
            }
        }
        Ok(())
    }
}
