//! Which node has what: one server has all, a sentinel names the primary, a cluster tells its slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};
use parking_lot::RwLock;
use rand::seq::SliceRandom;
use redis::{Cmd, Value};
use tokio::task::JoinSet;

use crate::attempt::Attempt;
use crate::background::Background;
use crate::config::{Address, Node, Reads};
use crate::driver::{Dialer, Role, Target};
use crate::error::{Call, lost, odd, refused};
use crate::layout::SLOTS;
use crate::wire::Wire;

/// How long one node has to say where the slots are before the next is asked as well: one that is frozen holds nobody up.
const NEXT_AFTER: Duration = Duration::from_millis(100);

/// How long what was learnt is not asked for again, whatever calls met.
const FRESH: Duration = Duration::from_millis(50);

/// What the text of errors begins with.
const DOING: &str = "looking for the primary";

/// The nodes, and their slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map {
    shards: Vec<Shard>,
    /// Which of the shards has the slot, where not all are the first one's.
    slots: Vec<u16>,
}

/// A primary and the replicas that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shard {
    primary: Target,
    replicas: Vec<Target>,
}

impl Map {
    fn of_one(primary: Target, replicas: Vec<Target>) -> Self {
        Self { shards: vec![Shard { primary, replicas }], slots: Vec::new() }
    }

    fn shard(&self, slot: u16) -> Option<&Shard> {
        let at = match self.slots.get(usize::from(slot)) {
            Some(at) => usize::from(*at),
            None => 0,
        };
        self.shards.get(at)
    }

    fn nodes(&self) -> impl Iterator<Item = &Target> {
        self.shards.iter().flat_map(|shard| std::iter::once(&shard.primary).chain(&shard.replicas))
    }

    /// Whether calls go where they go by another map.
    fn leads_as(&self, other: &Self, reads: Reads) -> bool {
        let same = |one: Option<&Shard>, other: Option<&Shard>| match reads {
            Reads::Primary => one.map(|shard| &shard.primary) == other.map(|shard| &shard.primary),
            Reads::Replica => one == other,
        };
        (0..SLOTS).all(|slot| same(self.shard(slot), other.shard(slot)))
    }

    /// The same, with one slot at another node.
    fn moved(&self, slot: u16, to: Target) -> Self {
        let mut map = self.clone();
        map.slots.resize(usize::from(SLOTS), u16::MAX);
        let at = map.shards.iter().position(|shard| shard.primary == to).unwrap_or_else(|| {
            map.shards.push(Shard { primary: to, replicas: Vec::new() });
            map.shards.len() - 1
        });
        if let (Some(place), Ok(at)) = (map.slots.get_mut(usize::from(slot)), u16::try_from(at)) {
            *place = at;
        }
        map
    }
}

/// What is known of the nodes, and how to learn it anew.
pub(crate) struct Topology {
    map: RwLock<Arc<Map>>,
    /// Counts up with each change of the map.
    version: AtomicU64,
    /// When the last look ended.
    look: Attempt<Instant>,
    dialer: Arc<Dialer>,
    background: Arc<Background>,
}

impl Topology {
    pub(crate) fn new(dialer: Arc<Dialer>, background: Arc<Background>) -> Self {
        let map = match &dialer.config().address {
            Address::Tcp { host, port, .. } => {
                Map::of_one(Target::Node(Node { host: host.clone(), port: *port }), Vec::new())
            }
            Address::Unix(path) => Map::of_one(Target::Unix(path.clone()), Vec::new()),
            Address::Sentinel { .. } | Address::Cluster { .. } => Map::default(),
        };
        let map = RwLock::new(Arc::new(map));
        Self { map, version: AtomicU64::new(0), look: Attempt::default(), dialer, background }
    }

    /// Counts up with each change: what was looked up in an earlier one has to be looked up again.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The node that takes a slot's writes, as far as it is known.
    pub(crate) fn primary(&self, slot: u16) -> Option<Target> {
        self.map.read().shard(slot).map(|shard| shard.primary.clone())
    }

    /// A replica of the node that has the slot, by chance.
    pub(crate) fn replica(&self, slot: u16) -> Option<Target> {
        let map = Arc::clone(&self.map.read());
        let replicas = &map.shard(slot)?.replicas;
        replicas.get(rand::random_range(0..replicas.len().max(1))).cloned()
    }

    /// Whether there is such a node, as far as it is known.
    pub(crate) fn knows(&self, target: &Target) -> bool {
        self.map.read().nodes().any(|node| node == target)
    }

    /// All primaries.
    pub(crate) fn primaries(&self) -> Vec<Target> {
        self.map.read().shards.iter().map(|shard| shard.primary.clone()).collect()
    }

    /// A node said that another one has the slot.
    pub(crate) fn moved(&self, slot: u16, to: Target) {
        let mut map = self.map.write();
        if map.shard(slot).is_none_or(|shard| shard.primary != to) {
            *map = Arc::new(map.moved(slot, to));
            self.version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Asks where everything is, unless that was done just now; one asks for all, on the store's own thread, which goes on
    /// whatever becomes of the caller's runtime.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<()> {
        if !self.dialer.config().address.may_move() {
            return Ok(());
        }
        let this = Arc::clone(self);
        let look = move || async move {
            let map = look(&this).await?;
            let mut known = this.map.write();
            if !map.leads_as(&known, this.dialer.config().reads) {
                this.version.fetch_add(1, Ordering::AcqRel);
            }
            *known = Arc::new(map);
            drop(known);
            Ok(Instant::now())
        };
        self.look.get(&self.background.handle()?, |looked| looked.elapsed() < FRESH, look).await.map(drop)
    }

    /// Something failed that may mean that a node is gone: looks in the background.
    pub(crate) fn suspect(self: &Arc<Self>) {
        if !self.dialer.config().address.may_move() || self.look.made(|looked| looked.elapsed() < FRESH).is_some() {
            return;
        }
        if let Ok(runtime) = self.background.handle() {
            let this = Arc::clone(self);
            // A failure shows with the next call.
            runtime.spawn(async move { drop(this.refresh().await) });
        }
    }
}

/// Asks the nodes one after another, and takes the first answer.
async fn look(topology: &Topology) -> Result<Map> {
    let dialer = &topology.dialer;
    let target = |node: &Node| Target::Node(node.clone());
    let (mut asked, role): (Vec<Target>, _) = match &dialer.config().address {
        Address::Sentinel { sentinels, .. } => (sentinels.iter().map(target).collect(), Role::Sentinel),
        Address::Cluster { nodes, .. } => {
            let mut all: Vec<Target> = topology.map.read().nodes().cloned().collect();
            all.shuffle(&mut rand::rng());
            for node in nodes.iter().map(target) {
                if !all.contains(&node) {
                    all.push(node);
                }
            }
            (all, Role::Server)
        }
        Address::Tcp { .. } | Address::Unix(_) => (Vec::new(), Role::Server),
    };
    let mut asking = JoinSet::new();
    let mut wait = Duration::ZERO;
    for target in asked.drain(..) {
        let dialer = Arc::clone(dialer);
        let begin = wait;
        wait += NEXT_AFTER;
        asking.spawn(async move {
            tokio::time::sleep(begin).await;
            let wire = dialer.dial(&target, role, drop).await?;
            match &dialer.config().address {
                Address::Sentinel { primary, .. } => ask_sentinel(&wire, primary, &target).await,
                _ => ask_cluster(&wire, &target).await,
            }
        });
    }
    let mut worst: Option<Error> = None;
    while let Some(answer) = asking.join_next().await {
        match answer {
            Ok(Ok(map)) => return Ok(map),
            // One that says what is wrong says more than one that can't be reached.
            Ok(Err(error)) if worst.as_ref().is_none_or(|worst| worst.kind() == ErrorKind::Unavailable) => {
                worst = Some(error);
            }
            _ => {}
        }
    }
    Err(worst.unwrap_or_else(|| none_left("no node could be asked")))
}

fn none_left(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, Effect::None, format!("{DOING}: {why}"))
}

async fn ask(wire: &Wire, command: &Cmd) -> Result<Value> {
    match wire.command(command).await.map_err(|fault| lost(DOING, Call::Read, fault))?.value {
        Value::ServerError(error) => Err(refused(DOING, &error)),
        value => Ok(value),
    }
}

/// The error of a server that does not know what it is asked.
fn not(error: Error, asked: &Target, what: &str) -> Error {
    match error.kind() {
        ErrorKind::Other => Error::new(ErrorKind::InvalidArgument, Effect::None, format!("{DOING}: {asked} is {what}")),
        _ => error,
    }
}

async fn ask_sentinel(wire: &Wire, name: &str, asked: &Target) -> Result<Map> {
    let command = |word: &str| {
        let mut command = redis::cmd("SENTINEL");
        command.arg(word).arg(name);
        command
    };
    let address = ask(wire, &command("GET-MASTER-ADDR-BY-NAME")).await;
    let Value::Array(address) =
        address.map_err(|error| not(error, asked, "no sentinel; write redis:// for one server"))?
    else {
        let text = format!("{DOING}: the sentinels watch no primary of the name in the URL's path");
        return Err(Error::new(ErrorKind::InvalidArgument, Effect::None, text));
    };
    let primary = match address.as_slice() {
        [host, port] => node(host, port).ok_or_else(|| odd(DOING, Call::Read))?,
        _ => return Err(odd(DOING, Call::Read)),
    };
    let Value::Array(replicas) = ask(wire, &command("REPLICAS")).await? else {
        return Err(odd(DOING, Call::Read));
    };
    let replicas = replicas.iter().filter_map(|replica| {
        let facts = facts(replica);
        let fact = |name: &str| facts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let is_up = !fact("flags")?.contains("down") && fact("master-link-status") == Some("ok");
        let port = fact("port")?.parse().ok()?;
        is_up.then(|| Target::Node(Node { host: fact("ip").unwrap_or_default().to_owned(), port }))
    });
    let mut replicas: Vec<Target> = replicas.collect();
    replicas.sort_unstable();
    Ok(Map::of_one(primary, replicas))
}

/// Names and values, as a map or one after another.
fn facts(value: &Value) -> Vec<(&str, &str)> {
    let pairs: Vec<(&Value, &Value)> = match value {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
        Value::Array(values) => values.chunks_exact(2).filter_map(|pair| Some((pair.first()?, pair.last()?))).collect(),
        _ => Vec::new(),
    };
    pairs.into_iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

async fn ask_cluster(wire: &Wire, asked: &Target) -> Result<Map> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let answer = ask(wire, &command).await;
    let answer = answer.map_err(|error| not(error, asked, "not part of a cluster; write redis:// for one server"))?;
    let Value::Array(ranges) = answer else { return Err(odd(DOING, Call::Read)) };
    let mut map = Map { shards: Vec::new(), slots: vec![u16::MAX; usize::from(SLOTS)] };
    for range in ranges {
        let Value::Array(range) = range else { return Err(odd(DOING, Call::Read)) };
        let mut nodes = range.iter().skip(2).filter_map(|value| node_of_cluster(value, asked));
        let (Some(Value::Int(from)), Some(Value::Int(to)), Some(primary)) = (range.first(), range.get(1), nodes.next())
        else {
            return Err(odd(DOING, Call::Read));
        };
        let at = map.shards.iter().position(|shard| shard.primary == primary).unwrap_or_else(|| {
            // Nodes name them in any order.
            let mut replicas: Vec<Target> = nodes.collect();
            replicas.sort_unstable();
            map.shards.push(Shard { primary, replicas });
            map.shards.len() - 1
        });
        let (from, to) = (usize::try_from(*from).unwrap_or(0), usize::try_from(*to).unwrap_or(0));
        let at = u16::try_from(at).unwrap_or(u16::MAX);
        map.slots.get_mut(from..=to).ok_or_else(|| odd(DOING, Call::Read))?.fill(at);
    }
    if map.shards.is_empty() {
        return Err(none_left("the cluster has no slots"));
    }
    Ok(map)
}

fn node_of_cluster(value: &Value, asked: &Target) -> Option<Target> {
    let Value::Array(parts) = value else { return None };
    match (parts.first()?, parts.get(1)?) {
        // The node does not know under what name it is reached.
        (host, Value::Int(port)) if text(host).is_none_or(str::is_empty) => match asked {
            Target::Node(Node { host, .. }) => {
                Some(Target::Node(Node { host: host.clone(), port: u16::try_from(*port).ok()? }))
            }
            Target::Unix(_) => None,
        },
        (host, port) => node(host, port),
    }
}

fn node(host: &Value, port: &Value) -> Option<Target> {
    let port = match port {
        Value::Int(port) => u16::try_from(*port).ok()?,
        port => text(port)?.parse().ok()?,
    };
    Some(Target::Node(Node { host: text(host)?.to_owned(), port }))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
