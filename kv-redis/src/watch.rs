//! Changes: the server tells which keys changed (`CLIENT TRACKING … BCAST`), and their values are read.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::future::try_join_all;
use kv_core::local::Hub;
use kv_core::{Event, Events, Result, Watch};
use parking_lot::Mutex;
use rand::RngExt;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::attempt::{Outcome, outcome};
use crate::call::bytes;
use crate::error::{Call, closed, odd};
use crate::generation::number;
use crate::layout::{BucketKeys, Group};
use crate::store::{Bucket, Inner};
use crate::wire::Wire;

/// Values read in one go.
const READ_AT_ONCE: usize = 16;

/// Bytes of keys that may wait to be read; over that watchers are told that events are missing.
const HEARD_BYTES: usize = 16 << 20;

/// How often it is looked whether the primaries are still the same, where they may change.
const LOOK_AFTER: Duration = Duration::from_secs(2);

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

/// What the server tells of a bucket's changes, and the bucket as it was when it began to.
struct Listening {
    /// One to each primary.
    _connections: Vec<Wire>,
    /// Of the topology: another one may have primaries that are not heard.
    version: u64,
    generation: u64,
}

/// Begins to hear of a bucket's changes.
async fn listen(inner: &Arc<Inner>, keys: &BucketKeys, ear: &Arc<Ear>) -> Result<Listening> {
    let links = &inner.links;
    if links.config().address.may_move() {
        links.refresh().await?;
    }
    let version = links.topology.version();
    let primaries = links.topology.primaries();
    let prefixes: [&str; 2] = [&keys.entries, &keys.generations];
    let listeners = primaries.iter().map(|target| {
        let to = Arc::clone(ear);
        links.listener(target, &prefixes, move |message| to.hear(message))
    });
    let connections = try_join_all(listeners).await?;
    let generation = generation(inner, keys, &keys.generation(Group::FIRST)).await?;
    Ok(Listening { _connections: connections, version, generation })
}

async fn generation(inner: &Arc<Inner>, keys: &BucketKeys, noted: &[u8]) -> Result<u64> {
    const DOING: &str = "looking the bucket up";
    let group = keys.groups().find(|group| keys.generation(*group) == noted).unwrap_or(Group::FIRST);
    let mut ask = redis::cmd("GET");
    ask.arg(noted);
    let found = inner.one(keys.slot(group), DOING, Call::Read, ask).await?;
    number(&found).ok_or_else(|| odd(DOING, Call::Read))
}

/// The task's own notes.
struct Feeding {
    inner: Weak<Inner>,
    hub: Arc<Hub>,
    name: Box<str>,
    keys: BucketKeys,
    ear: Arc<Ear>,
    listening: Listening,
}

impl Feeding {
    async fn start(inner: Weak<Inner>, hub: Arc<Hub>, name: Box<str>, keys: BucketKeys) -> Result<Self> {
        let ear = Arc::default();
        let listening = match inner.upgrade() {
            Some(inner) => listen(&inner, &keys, &ear).await?,
            None => return Err(closed()),
        };
        Ok(Self { inner, hub, name, keys, ear, listening })
    }

    async fn run(mut self) {
        let mut looked = Instant::now();
        loop {
            let heard = tokio::time::timeout(LOOK_AFTER, self.ear.next()).await.unwrap_or_default();
            let is_whole = match self.inner.upgrade() {
                None => return,
                Some(inner) => {
                    // Nobody tells us of what a primary does that is not known.
                    if looked.elapsed() >= LOOK_AFTER {
                        inner.links.suspect();
                        looked = Instant::now();
                    }
                    let is_current = inner.links.topology.version() == self.listening.version;
                    !heard.is_lost && is_current && self.tell(&inner, heard.keys).await.is_ok()
                }
            };
            if !is_whole {
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
                // What the old connections still tell is of no use.
                self.ear = Arc::default();
                if let Ok(listening) = listen(&inner, &self.keys, &self.ear).await {
                    self.listening = listening;
                    return true;
                }
            }
            let chance = rand::rng().random_range(0.5..1.0);
            tokio::time::sleep(wait.mul_f64(chance)).await;
            wait = (wait * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Publishes what became of keys that changed.
    async fn tell(&mut self, inner: &Arc<Inner>, changed: Vec<Vec<u8>>) -> Result<()> {
        let (mut entries, mut noted) = (Vec::new(), None);
        let living = self.listening.generation;
        for physical in changed {
            match self.keys.split(&physical) {
                Some((generation, key)) => entries.push((generation, key, physical)),
                None if self.keys.is_generation(&physical) => noted = Some(physical),
                // Of a bucket whose name begins with this one's.
                None => {}
            }
        }
        if noted.is_none() && entries.iter().any(|(generation, ..)| *generation > living) {
            noted = Some(self.keys.generation(Group::FIRST));
        }
        if let Some(noted) = noted {
            let now = generation(inner, &self.keys, &noted).await?;
            if now > living || (now != living && !inner.namespace.is_spread()) {
                self.listening.generation = now;
                self.hub.publish_dropped(&self.name);
            }
        }
        entries.retain(|(generation, ..)| *generation == self.listening.generation);
        for some in entries.chunks(READ_AT_ONCE) {
            const DOING: &str = "reading what changed";
            let values = try_join_all(some.iter().map(|(_, key, physical)| {
                let mut read = redis::cmd("GET");
                read.arg(physical);
                inner.one(self.keys.slot(self.keys.group(key)), DOING, Call::Read, read)
            }));
            for ((_, key, _), value) in some.iter().zip(values.await?) {
                match bytes(DOING, value)? {
                    Some(value) => {
                        let value = Bytes::from(value);
                        let event = || Event::Set { key: key.clone(), value: value.clone().into() };
                        self.hub.publish(&self.name, key, event);
                    }
                    None => self.hub.publish(&self.name, key, || Event::Deleted { key: key.clone() }),
                }
            }
        }
        Ok(())
    }
}
