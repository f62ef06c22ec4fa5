//! What all handles on a store share, and where the calls of a bucket go.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join;
use kv_core::local::Hub;
use kv_core::{Effect, Error, Result};
use parking_lot::Mutex;
use redis::{Pipeline, Value};
use tokio::runtime::Id;

use crate::attempt::current;
use crate::background::Background;
use crate::config::Reads;
use crate::connection::Live;
use crate::error::{Call, odd, refused};
use crate::generation::{Generation, Newest, number};
use crate::large::Large;
use crate::layout::{BucketKeys, Group, Namespace, slot};
use crate::links::{Ask, Lane, Links, Sent};
use crate::redirect::Chase;
use crate::script;
use crate::sweep;
use crate::watch::Feeds;

/// Runtimes whose ways a bucket remembers: the caller's and the store's own, and some.
const WAYS: usize = 4;

/// How long the registry is believed to have a bucket: its primary may lose it without anybody's notice.
const REGISTER_AGAIN: Duration = Duration::from_secs(60);

/// How long reads go to a primary before a replica is looked for again.
const NO_REPLICA: Duration = Duration::from_secs(1);

/// A store, without its handles.
pub(crate) struct Inner {
    pub(crate) links: Arc<Links>,
    pub(crate) namespace: Namespace,
    pub(crate) registry: Box<str>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) feeds: Feeds,
    pub(crate) background: Arc<Background>,
    /// Whether a task removes what dropped buckets left.
    pub(crate) is_sweeping: AtomicBool,
    /// Whether it was looked for what earlier processes left.
    pub(crate) has_looked: AtomicBool,
    known: Mutex<HashMap<Box<str>, Weak<Known>>>,
}

/// What a store knows of a bucket, whichever handle learnt it.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) newest: Newest,
    /// The generation, and the version of the topology, in which the registry has the bucket, and since when.
    registered: Mutex<Option<(u64, u64, Instant)>>,
}

impl Inner {
    pub(crate) fn new(links: Links) -> Self {
        let config = links.config();
        let namespace = Namespace::new(&config.namespace, config.address.is_cluster());
        Self {
            background: Arc::clone(&links.background),
            links: Arc::new(links),
            registry: namespace.registry().into(),
            namespace,
            hub: Arc::default(),
            feeds: Feeds::default(),
            is_sweeping: AtomicBool::new(false),
            has_looked: AtomicBool::new(false),
            known: Mutex::default(),
        }
    }

    /// Sends commands on keys of one slot to the primary that has it, of which the last one carries the write if any.
    pub(crate) async fn send(&self, slot: u16, doing: &str, call: Call, commands: &Pipeline) -> Result<Vec<Value>> {
        let mut chase = Chase::default();
        loop {
            let live = self.links.primary(slot, self.links.lane(call)).await?;
            match self.links.send(&live, doing, call, commands, Ask::Follow, &mut chase).await? {
                Sent::Answers(answers) | Sent::Asked(answers) => return Ok(answers),
                Sent::Elsewhere => {}
            }
        }
    }

    /// Sends one command on keys of one slot; a refusal is an error.
    pub(crate) async fn one(&self, slot: u16, doing: &str, call: Call, command: redis::Cmd) -> Result<Value> {
        let mut commands = redis::pipe();
        commands.add_command(command);
        match self.send(slot, doing, call, &commands).await?.pop() {
            Some(Value::ServerError(error)) => Err(refused(doing, &error)),
            Some(value) => Ok(value),
            None => Err(odd(doing, call)),
        }
    }

    /// What is known of a bucket; the same for all who ask.
    pub(crate) fn known(&self, keys: &BucketKeys) -> Arc<Known> {
        let mut all = self.known.lock();
        if let Some(found) = all.get(&keys.bucket).and_then(Weak::upgrade) {
            return found;
        }
        if all.len() == all.capacity() {
            all.retain(|_, known| known.strong_count() > 0);
        }
        let made = Arc::new(Known::default());
        all.insert(keys.bucket.clone(), Arc::downgrade(&made));
        made
    }
}

/// An open bucket.
#[derive(Clone)]
pub(crate) struct Bucket(Arc<State>);

/// What the clones of a handle share.
pub(crate) struct State {
    pub(crate) inner: Arc<Inner>,
    pub(crate) name: Box<str>,
    pub(crate) keys: BucketKeys,
    /// Keys whose values are large.
    pub(crate) large: Large,
    pub(crate) known: Arc<Known>,
    /// By group.
    ways: Box<[Mutex<Vec<Arc<Way>>>]>,
}

/// How calls on a group go from one runtime, as long as the nodes stay the same.
pub(crate) struct Way {
    runtime: Id,
    version: u64,
    /// When to look again, where there was no replica to read from.
    until: Option<Instant>,
    pub(crate) group: Group,
    pub(crate) reads: Side,
    pub(crate) writes: Side,
}

/// A connection, and the group's generation as it is known there.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) live: Arc<Live>,
    pub(crate) generation: Arc<Generation>,
}

impl Way {
    /// Where a call goes. One that a replica has sent elsewhere goes to the primary.
    pub(crate) fn side(&self, call: Call, chase: &Chase) -> &Side {
        match call {
            Call::Read if !chase.has_begun() => &self.reads,
            _ => &self.writes,
        }
    }
}

impl Deref for Bucket {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl Bucket {
    pub(crate) fn new(inner: Arc<Inner>, name: &str) -> Self {
        let keys = inner.namespace.bucket(name);
        Self(Arc::new(State {
            known: inner.known(&keys),
            inner,
            name: name.into(),
            large: Large::default(),
            ways: keys.groups().map(|_| Mutex::default()).collect(),
            keys,
        }))
    }

    /// How calls on a group go from the runtime that this is called on.
    pub(crate) async fn way(&self, group: Group) -> Result<Arc<Way>> {
        let links = &self.inner.links;
        links.check_open()?;
        let (runtime, version) = (current()?.id(), links.topology.version());
        let is_good = |way: &&Arc<Way>| {
            let is_lost = way.reads.live.is_lost() || way.writes.live.is_lost();
            let is_current = way.until.is_none_or(|until| Instant::now() < until);
            way.runtime == runtime && way.version == version && !is_lost && is_current
        };
        if let Some(ways) = self.ways.get(group.number())
            && let Some(way) = ways.lock().iter().find(is_good)
        {
            return Ok(Arc::clone(way));
        }
        // Boxed, so that the usual future stays small.
        Box::pin(self.find_way(group, runtime)).await
    }

    async fn find_way(&self, group: Group, runtime: Id) -> Result<Arc<Way>> {
        let links = &self.inner.links;
        let slot = self.keys.slot(group);
        // Before the look, so that a change meanwhile has it looked up again.
        let version = links.topology.version();
        let usual = links.primary(slot, Lane::Usual).await?;
        let side = |live: Arc<Live>| Side { generation: live.generation_of(&self.keys.generation(group)), live };
        let mut until = None;
        let reads = match links.config().reads {
            Reads::Primary => side(Arc::clone(&usual)),
            Reads::Replica => match links.replica(slot) {
                Some(replica) => side(replica),
                None => {
                    until = Some(Instant::now() + NO_REPLICA);
                    links.suspect();
                    side(Arc::clone(&usual))
                }
            },
        };
        let writes = match links.lane(Call::Write) {
            Lane::Waiting => side(links.primary(slot, Lane::Waiting).await?),
            _ => side(usual),
        };
        sweep::look(&self.inner);
        let way = Arc::new(Way { runtime, version, until, group, reads, writes });
        if let Some(ways) = self.ways.get(group.number()) {
            let mut ways = ways.lock();
            ways.retain(|other| other.runtime != runtime);
            ways.truncate(WAYS - 1);
            ways.insert(0, Arc::clone(&way));
        }
        Ok(way)
    }

    /// The way of a group, the epoch, and the bucket's generation as far as it is known.
    pub(crate) async fn generation(&self, group: Group, call: Call, chase: &mut Chase) -> Result<(Arc<Way>, u64, u64)> {
        loop {
            let way = self.way(group).await?;
            let known = way.side(call, chase).generation.known();
            let (epoch, number) = match known {
                (epoch, Some(number)) => (epoch, number),
                // Boxed, so that the usual future stays small.
                _ => match Box::pin(self.learn(&way, call, chase)).await? {
                    Some(learnt) => learnt,
                    None => continue,
                },
            };
            if !self.inner.namespace.is_spread() {
                return Ok((way, epoch, number));
            }
            let newest = match self.known.newest.get() {
                Some(_) => self.known.newest.see(number),
                None => {
                    Box::pin(self.ask_first()).await?;
                    self.known.newest.see(number)
                }
            };
            if call == Call::Read || (number == newest && way.writes.generation.is_made()) {
                return Ok((way, epoch, newest));
            }
            // The group has not heard of the drop yet, or was never written to.
            Box::pin(self.inner.raise(&self.keys, group, newest)).await?;
            way.writes.generation.correct(epoch);
            if let Some((_, number)) = Box::pin(self.learn(&way, call, chase)).await?
                && number >= newest
            {
                way.writes.generation.set_made();
            }
        }
    }

    /// Asks for a group's generation, and remembers it if changes will be told; `None` if the way leads nowhere.
    async fn learn(&self, way: &Way, call: Call, chase: &mut Chase) -> Result<Option<(u64, u64)>> {
        const DOING: &str = "looking the bucket up";
        let Side { live, generation } = way.side(call, chase);
        let epoch = generation.epoch();
        let mut ask = redis::pipe();
        ask.cmd("CLIENT").arg("CACHING").arg("YES");
        ask.cmd("GET").arg(self.keys.generation(way.group));
        let (answers, is_told) = match self.inner.links.send(live, DOING, Call::Read, &ask, Ask::Follow, chase).await? {
            Sent::Answers(answers) => (answers, true),
            Sent::Asked(answers) => (answers, false),
            Sent::Elsewhere => return Ok(None),
        };
        if let Some(Value::ServerError(error)) = answers.iter().find(|answer| matches!(answer, Value::ServerError(_))) {
            return Err(refused(DOING, error));
        }
        let number = answers.last().and_then(number).ok_or_else(|| odd(DOING, Call::Read))?;
        if is_told {
            let is_noted = !matches!(answers.last(), Some(Value::Nil));
            generation.learn(epoch, is_noted.then_some(number));
        }
        Ok(Some((epoch, number)))
    }

    /// Learns what the group that counts has, once: a group that has not heard of a drop must not be believed.
    async fn ask_first(&self) -> Result<()> {
        const DOING: &str = "looking the bucket up";
        let mut ask = redis::cmd("GET");
        ask.arg(self.keys.generation(Group::FIRST));
        let found = self.inner.one(self.keys.slot(Group::FIRST), DOING, Call::Read, ask).await?;
        self.known.newest.see(number(&found).ok_or_else(|| odd(DOING, Call::Read))?);
        Ok(())
    }

    /// Has the registry list a generation of the bucket before something is written to it, where that can't be one step.
    pub(crate) async fn register(&self, generation: u64, group: Group) -> Result<()> {
        const DOING: &str = "making the bucket known before the write";
        if !self.inner.namespace.is_spread() {
            return Ok(());
        }
        let version = self.inner.links.topology.version();
        let is_known = |(of, by, since): &(u64, u64, Instant)| {
            (*of, *by) == (generation, version) && since.elapsed() < REGISTER_AGAIN
        };
        if self.known.registered.lock().as_ref().is_some_and(is_known) {
            return Ok(());
        }
        let registry = &*self.inner.registry;
        let mut add = redis::cmd("ZADD");
        add.arg(registry).arg(0).arg(self.keys.member(generation));
        let hints = self.inner.namespace.hints();
        let mut hint = redis::cmd("HSETNX");
        hint.arg(&hints).arg(self.keys.member(generation)).arg(group.number());
        let add = self.inner.one(slot(registry), DOING, Call::Write, add);
        let (added, _) = join(add, self.inner.one(slot(&hints), DOING, Call::Read, hint)).await;
        added.map_err(before)?;
        *self.known.registered.lock() = Some((generation, version, Instant::now()));
        Ok(())
    }

    /// Runs a call that moves large values on the store's own thread.
    pub(crate) async fn aside<T, F>(
        &self,
        doing: &str,
        call: Call,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.inner.links.check_open()?;
        self.inner.background.run(doing, call, work(self.clone())).await
    }
}

impl Inner {
    /// Raises a group's generation to at least this; gives what it was, or `None` where it was not noted.
    pub(crate) async fn raise(&self, keys: &BucketKeys, group: Group, to: u64) -> Result<Option<u64>> {
        const DOING: &str = "telling of a dropped bucket";
        let fill = |command: &mut redis::Cmd| {
            command.arg(1).arg(keys.generation(group)).arg(to);
        };
        match script::run_on(self, keys.slot(group), DOING, Call::Read, &script::RAISE, fill).await? {
            Value::Int(was) => Ok(u64::try_from(was).ok()),
            _ => Err(odd(DOING, Call::Read)),
        }
    }

    /// The registry, where it can be changed in one step with entries: not in a cluster.
    pub(crate) fn registry_beside(&self) -> Option<&str> {
        (!self.namespace.is_spread()).then_some(&*self.registry)
    }

    /// Notes a dropped generation whose entries are to be removed.
    pub(crate) async fn note_garbage(&self, keys: &BucketKeys, generation: u64) -> Result<()> {
        let trash = self.namespace.trash();
        let mut note = redis::cmd("SADD");
        note.arg(&trash).arg(keys.member(generation));
        self.one(slot(&trash), "noting garbage", Call::Read, note).await.map(drop)
    }
}

/// The error of what is done before a write: nothing was done yet that counts.
fn before(error: Error) -> Error {
    match error.effect() {
        Effect::None => error,
        Effect::Unknown => Error::new(error.kind(), Effect::None, error.to_string()),
    }
}
