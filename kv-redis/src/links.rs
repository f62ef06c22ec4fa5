//! A store's connections: for each runtime that uses it one to each node, which all of its calls share, and some for guards.
//!
//! A connection is driven by a task of the runtime that made it, so no runtime uses another one's: that one may have ended,
//! or may not be running just now. The store's own thread (see `background`) is such a runtime: large values take its
//! connections, so that small calls never queue behind them, and guards live there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kv_core::{Effect, Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};
use redis::{Cmd, Pipeline, PushInfo, Value};
use tokio::runtime::Id;
use tokio::task::AbortHandle;

use crate::attempt::{Attempt, current};
use crate::background::Background;
use crate::config::{Address, Config};
use crate::connection::{Live, Watching};
use crate::driver::{Dialer, Role, Target};
use crate::error::{Call, closed, lost, odd, refused, too_few};
use crate::generation::Generations;
use crate::redirect::{self, Chase, Redirect};
use crate::topology::Topology;
use crate::wire::Wire;

/// Connections for guards that are kept for the next ones.
const IDLE_GUARDS: usize = 16;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Calls to a primary.
    Usual,
    /// Writes that wait for replicas, and hold up what is behind them.
    Waiting,
    /// Reads from a replica.
    Replica,
}

/// The store's connections.
pub(crate) struct Links {
    dialer: Arc<Dialer>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) background: Arc<Background>,
    by_runtime: RwLock<Vec<(Id, Arc<Link>)>>,
    idle_guards: Mutex<Vec<Watching>>,
    is_closed: AtomicBool,
}

type Connected = Result<Arc<Live>>;

/// A connection that is made when it is needed, and made again when it was lost.
type Line = Attempt<Arc<Live>>;

/// The connections of one runtime.
struct Link {
    lines: Mutex<HashMap<(Target, Lane), Arc<Line>>>,
    /// Ends with the runtime.
    has_ended: Arc<AtomicBool>,
    watcher: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// What to do when a slot is being moved and its node asks us to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Go there.
    Follow,
    /// Wait until all of the slot is there: for commands about keys that they do not name.
    Wait,
}

/// What became of commands.
pub(crate) enum Sent {
    Answers(Vec<Value>),
    /// Another node answered, which does not tell us of changes.
    Asked(Vec<Value>),
    /// Nothing ran, and the slot has to be looked up again.
    Elsewhere,
}

impl Links {
    pub(crate) fn new(config: Config) -> Result<Self> {
        let (dialer, background) = (Arc::new(Dialer::new(config)?), Arc::<Background>::default());
        Ok(Self {
            topology: Arc::new(Topology::new(Arc::clone(&dialer), Arc::clone(&background))),
            dialer,
            background,
            by_runtime: RwLock::default(),
            idle_guards: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    pub(crate) fn config(&self) -> &Config {
        self.dialer.config()
    }

    /// Lets go of all connections; later calls answer that the store is closed.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let links = std::mem::take(&mut *self.by_runtime.write());
        for (_, link) in links {
            for line in link.lines.lock().values() {
                if let Some(live) = line.forget() {
                    live.close();
                }
            }
        }
        self.idle_guards.lock().clear();
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Relaxed) { Err(closed()) } else { Ok(()) }
    }

    fn link(&self) -> Result<Arc<Link>> {
        self.check_open()?;
        let runtime = current()?;
        let id = runtime.id();
        let found = self.by_runtime.read().iter().find(|(of, _)| *of == id).map(|(_, link)| Arc::clone(link));
        if let Some(found) = found {
            return Ok(found);
        }
        let mut links = self.by_runtime.write();
        links.retain(|(_, link)| !link.has_ended.load(Ordering::Relaxed));
        if let Some((_, link)) = links.iter().find(|(of, _)| *of == id) {
            return Ok(Arc::clone(link));
        }
        let has_ended = Arc::new(AtomicBool::new(false));
        let guard = SetOnDrop(Arc::clone(&has_ended));
        let watcher = runtime.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let link = Arc::new(Link { lines: Mutex::default(), has_ended, watcher: watcher.abort_handle() });
        links.push((id, Arc::clone(&link)));
        Ok(link)
    }

    /// This runtime's connection to a node, and how to make it.
    fn line(
        self: &Arc<Self>,
        target: &Target,
        lane: Lane,
    ) -> Result<(Arc<Line>, impl Future<Output = Connected> + Send + 'static + use<>)> {
        let link = self.link()?;
        let mut lines = link.lines.lock();
        if !lines.contains_key(&(target.clone(), lane)) {
            // Nodes come and go.
            lines
                .retain(|(target, _), line| self.topology.knows(target) || line.made(|live| !live.is_lost()).is_some());
        }
        let line = Arc::clone(lines.entry((target.clone(), lane)).or_default());
        let (links, target) = (Arc::clone(self), target.clone());
        let connect = async move {
            let live = links.connect(target, lane).await?;
            links.check_open()?;
            Ok(Arc::new(live))
        };
        Ok((line, connect))
    }

    /// This runtime's connection to a node.
    async fn live(self: &Arc<Self>, target: &Target, lane: Lane) -> Result<Arc<Live>> {
        let (line, connect) = self.line(target, lane)?;
        line.get(&current()?, |live| !live.is_lost(), || connect).await
    }

    /// This runtime's connection to the primary that has a slot.
    pub(crate) async fn primary(self: &Arc<Self>, slot: u16, lane: Lane) -> Result<Arc<Live>> {
        let mut looked = false;
        loop {
            let failed = match self.topology.primary(slot) {
                None => Error::new(ErrorKind::Unavailable, Effect::None, "no node of the cluster has the slot"),
                Some(target) => match self.live(&target, lane).await {
                    Ok(live) => return Ok(live),
                    Err(error) if !self.config().address.may_move() => return Err(error),
                    // Another may be the primary by now.
                    Err(error) => {
                        self.check_open()?;
                        if looked && self.topology.primary(slot).is_none_or(|now| now == target) {
                            return Err(error);
                        }
                        error
                    }
                },
            };
            if looked && self.topology.primary(slot).is_none() {
                return Err(failed);
            }
            self.topology.refresh().await?;
            looked = true;
        }
    }

    /// This runtime's connection to a primary.
    pub(crate) async fn at(self: &Arc<Self>, target: &Target) -> Result<Arc<Live>> {
        self.live(target, Lane::Usual).await
    }

    /// This runtime's connection to a replica of a slot, if there is one by now; else it is being made.
    pub(crate) fn replica(self: &Arc<Self>, slot: u16) -> Option<Arc<Live>> {
        let target = self.topology.replica(slot)?;
        let (line, connect) = self.line(&target, Lane::Replica).ok()?;
        let found = line.made(|live| !live.is_lost());
        if found.is_none() {
            let runtime = current().ok()?;
            // Nobody waits for it: the primary answers meanwhile.
            let making = runtime.clone();
            runtime.spawn(async move { drop(line.get(&making, |live| !live.is_lost(), || connect).await) });
        }
        found
    }

    /// The lane of calls to a primary.
    pub(crate) fn lane(&self, call: Call) -> Lane {
        if call == Call::Write && self.config().wait_replicas > 0 { Lane::Waiting } else { Lane::Usual }
    }

    /// Sends commands of one slot, of which the last one carries the write if any, and follows where a cluster sends us.
    pub(crate) async fn send(
        self: &Arc<Self>,
        live: &Live,
        doing: &str,
        call: Call,
        commands: &Pipeline,
        ask: Ask,
        chase: &mut Chase,
    ) -> Result<Sent> {
        let answers = self.pipeline(live, doing, call, commands).await?;
        match self.redirect(&live.target, &answers) {
            None => Ok(Sent::Answers(answers)),
            Some(Redirect::Ask(target)) if ask == Ask::Follow => {
                chase.hop(doing)?;
                let live = self.live(&target, self.lane(call)).await?;
                let (asking, kept) = redirect::asking(commands);
                let mut answers = self.pipeline(&live, doing, call, &asking).await?;
                let answers: Vec<Value> =
                    kept.iter().filter_map(|at| answers.get_mut(*at).map(std::mem::take)).collect();
                match self.redirect(&live.target, &answers) {
                    None => Ok(Sent::Asked(answers)),
                    // On its way, and not quite there.
                    Some(_) => self.follow(Redirect::Wait, doing, chase).await.map(|()| Sent::Elsewhere),
                }
            }
            Some(redirect) => self.follow(redirect, doing, chase).await.map(|()| Sent::Elsewhere),
        }
    }

    /// The redirection in the answers to commands of which the last one carries the write, if any.
    pub(crate) fn redirect(&self, asked: &Target, answers: &[Value]) -> Option<Redirect> {
        if self.config().address.is_cluster() { redirect::of(answers, asked) } else { None }
    }

    /// The redirection in any of these answers, none of which has written.
    pub(crate) fn any_redirect(&self, asked: &Target, answers: &[Value]) -> Option<Redirect> {
        if self.config().address.is_cluster() { redirect::any(answers, asked) } else { None }
    }

    /// Takes in a refusal: it may mean that another is the primary.
    pub(crate) fn note(&self, live: &Live, answer: &Value) {
        let Value::ServerError(error) = answer else { return };
        if !self.config().address.may_move() || !matches!(error.code(), "READONLY" | "CLUSTERDOWN" | "MASTERDOWN") {
            return;
        }
        if error.code() == "READONLY" {
            live.give_up();
        }
        self.suspect();
    }

    /// Notes where a slot went, or waits for it.
    pub(crate) async fn follow(&self, redirect: Redirect, doing: &str, chase: &mut Chase) -> Result<()> {
        match redirect {
            Redirect::Moved(slot, target) => {
                chase.hop(doing)?;
                self.topology.moved(slot, target);
                self.suspect();
                Ok(())
            }
            Redirect::Ask(_) | Redirect::Wait => chase.wait(doing, self.config().timeout).await,
        }
    }

    /// Sends commands in one go and waits for all answers; a write waits for replicas too, where the store does.
    pub(crate) async fn pipeline(
        &self,
        live: &Live,
        doing: &str,
        call: Call,
        commands: &Pipeline,
    ) -> Result<Vec<Value>> {
        let wanted = if call == Call::Write { self.config().wait_replicas } else { 0 };
        let answers = if wanted == 0 {
            live.pipeline(doing, call, commands).await
        } else {
            let mut all = commands.clone();
            all.add_command(self.wait());
            live.pipeline(doing, call, &all).await
        };
        let mut answers = answers.inspect_err(|_| self.suspect())?;
        let waited = if wanted == 0 { None } else { answers.pop() };
        match (waited, answers.last()) {
            (_, Some(Value::ServerError(_))) => {
                answers.iter().for_each(|answer| self.note(live, answer));
                Ok(answers)
            }
            // Where nothing was written, no replica is to have it.
            (None, _) | (_, Some(Value::Nil)) => Ok(answers),
            (Some(Value::Int(got)), _) if got >= i64::from(wanted) => Ok(answers),
            (Some(Value::Int(got)), _) => Err(too_few(doing, got, wanted)),
            (Some(Value::ServerError(error)), _) => {
                let error = refused(doing, &error);
                Err(Error::new(error.kind(), Effect::Unknown, error.to_string()))
            }
            _ => Err(odd(doing, call)),
        }
    }

    /// Waits until replicas have what this connection has written.
    pub(crate) fn wait(&self) -> Cmd {
        let config = self.config();
        let mut wait = redis::cmd("WAIT");
        // A little less than an answer may take, so that the answer comes.
        let millis = u64::try_from(config.timeout.as_millis()).unwrap_or(u64::MAX) * 9 / 10;
        wait.arg(config.wait_replicas).arg(millis.max(1));
        wait
    }

    /// A connection for one guard alone: `WATCH` belongs to a connection. Tells whether it was idle before, so that it may
    /// have been lost.
    pub(crate) async fn watching(&self, target: &Target) -> Result<(Watching, bool)> {
        self.check_open()?;
        let idle = {
            let mut idle = self.idle_guards.lock();
            idle.retain(|guard| !guard.is_lost());
            idle.iter().position(|guard| guard.target == *target).map(|at| idle.swap_remove(at))
        };
        if let Some(idle) = idle {
            return Ok((idle, true));
        }
        let wire = self.dialer.dial(target, Role::Server, drop).await?;
        Ok((Watching::new(wire, target.clone()), false))
    }

    /// Keeps a guard's connection for the next one.
    pub(crate) fn give_back(&self, connection: Watching) {
        let mut idle = self.idle_guards.lock();
        if idle.len() < IDLE_GUARDS && !self.is_closed.load(Ordering::SeqCst) {
            idle.push(connection);
        }
    }

    /// A connection that hears of every change of keys that begin with one of these, for a watcher. What it hears goes to
    /// `hear`.
    pub(crate) async fn listener(
        &self,
        target: &Target,
        prefixes: &[&str],
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Wire> {
        self.check_open()?;
        let wire = self.dialer.dial(target, Role::Server, hear).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in prefixes {
            tracking.arg("PREFIX").arg(*prefix);
        }
        let doing = "asking to hear of changes";
        match wire.command(&tracking).await.map_err(|fault| lost(doing, Call::Read, fault))?.value {
            Value::ServerError(error) => Err(refused(doing, &error)),
            _ => Ok(wire),
        }
    }

    /// Something failed that may mean that a node is gone.
    pub(crate) fn suspect(&self) {
        self.topology.suspect();
    }

    /// Asks where everything is, unless that was done just now.
    pub(crate) async fn refresh(&self) -> Result<()> {
        self.topology.refresh().await
    }

    async fn connect(&self, target: Target, lane: Lane) -> Result<Live> {
        let generations = Arc::new(Generations::default());
        let to = Arc::clone(&generations);
        let wire = self.dialer.dial(&target, Role::Server, move |message| to.hear(&message)).await?;
        let live = Live::new(wire, target, generations);
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("OPTIN");
        live.call("asking to hear of dropped buckets", Call::Read, &tracking).await?;
        match (&self.config().address, lane) {
            (Address::Cluster { .. }, Lane::Replica) => {
                live.call("asking to read from a replica", Call::Read, &redis::cmd("READONLY")).await?;
            }
            // Sentinels may be behind.
            (Address::Sentinel { .. }, Lane::Usual | Lane::Waiting) => self.check_role(&live).await?,
            _ => {}
        }
        Ok(live)
    }

    async fn check_role(&self, live: &Live) -> Result<()> {
        let doing = "asking whether this is the primary";
        let mut ask = redis::cmd("INFO");
        ask.arg("REPLICATION");
        if fact(&info(doing, live.call(doing, Call::Read, &ask).await?)?, "role") == "master" {
            return Ok(());
        }
        let text = format!("connecting to {}: it is not the primary any more; another one is being made", live.target);
        Err(Error::new(ErrorKind::Unavailable, Effect::None, text))
    }
}

/// The text that `INFO` answers.
pub(crate) fn info(doing: &str, answer: Value) -> Result<String> {
    match answer {
        Value::VerbatimString { text, .. } => Ok(text),
        Value::BulkString(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(odd(doing, Call::Read)),
    }
}

/// One fact of it.
pub(crate) fn fact(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or("unknown").trim().to_owned()
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
