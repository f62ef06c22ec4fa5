//! Connections: one for each runtime that uses the store, which all of its calls share, and some for guards.
//!
//! A connection is driven by a task of the runtime that made it, so no runtime uses another one's: that one may have ended,
//! or may not be running just now. The store's own thread (see `background`) is such a runtime: large values take its
//! connection, so that small calls never queue behind them, and guards live there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};
use rand::RngExt;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, Pipeline, PushInfo, PushKind, RedisResult, Value};
use tokio::runtime::{Handle, Id};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::config::Config;
use crate::driver;
use crate::error::{Call, closed, lost, odd, refused, unreachable};
use crate::generation::{Generation, Generations, number};
use crate::layout::BucketKeys;

/// After this many answers in a row that did not come in time a connection is given up.
const TIMEOUTS: u32 = 3;

/// How long calls fail at once after connecting failed, at first and at most. Half of it is chance, so that clients do not
/// come back all together.
const BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_millis(400);

/// Connections for guards that are kept for the next ones.
const IDLE_GUARDS: usize = 16;

/// The store's connections.
pub(crate) struct Links {
    config: Config,
    client: Client,
    by_runtime: RwLock<Vec<(Id, Arc<Link>)>>,
    idle_guards: Mutex<Vec<Watching>>,
    is_closed: AtomicBool,
}

/// The connection of one runtime.
struct Link {
    line: Arc<Line>,
    /// Ends with the runtime.
    has_ended: Arc<AtomicBool>,
    watcher: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// A connection that is made when it is needed, and made again when it was lost.
#[derive(Default)]
struct Line(Mutex<Connecting>);

#[derive(Default)]
struct Connecting {
    live: Option<Arc<Live>>,
    /// Where the outcome of the attempt under way will be.
    attempt: Option<Outcome<Arc<Live>>>,
    /// Attempts in a row that failed.
    failed: u32,
    /// Until when the last failure is the answer.
    last: Option<(Instant, Arc<Error>)>,
}

/// How something that a task does for all who wait ended.
pub(crate) type Outcome<T> = watch::Receiver<Option<Result<T, Arc<Error>>>>;

fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.effect(), error.to_string())
}

/// Waits for a task that others may be waiting for too.
pub(crate) async fn outcome<T: Clone>(mut of: Outcome<T>) -> Result<T> {
    match of.wait_for(Option::is_some).await.map(|ended| (*ended).clone()) {
        Ok(Some(Ok(done))) => Ok(done),
        Ok(Some(Err(error))) => Err(again(&error)),
        _ => Err(Error::new(ErrorKind::Unavailable, Effect::None, "connecting: the runtime ended before it was done")),
    }
}

/// A connection.
pub(crate) struct Live {
    connection: MultiplexedConnection,
    generations: Arc<Generations>,
    is_lost: Arc<AtomicBool>,
    /// Answers in a row that did not come in time.
    timeouts: AtomicU32,
}

/// A connection for which the server watches a key.
pub(crate) struct Watching {
    connection: MultiplexedConnection,
    is_lost: Arc<AtomicBool>,
}

impl Watching {
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    pub(crate) async fn send(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let answers = self.connection.clone().send_packed_commands(commands, 0, commands.len()).await;
        if answers.is_err() {
            // Whatever it was, what the server watches is not known any more.
            self.is_lost.store(true, Ordering::Release);
        }
        answers
    }
}

impl Links {
    pub(crate) fn new(config: Config) -> Result<Self> {
        let client = driver::client(&config)?;
        Ok(Self {
            config,
            client,
            by_runtime: RwLock::default(),
            idle_guards: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Lets go of all connections; later calls answer that the store is closed.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let links = std::mem::take(&mut *self.by_runtime.write());
        for (_, link) in links {
            link.line.0.lock().live.take();
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
        let link = Arc::new(Link { line: Arc::default(), has_ended, watcher: watcher.abort_handle() });
        links.push((id, Arc::clone(&link)));
        Ok(link)
    }

    /// The connection of the runtime that this is called on.
    pub(crate) async fn here(self: &Arc<Self>) -> Result<Arc<Live>> {
        let link = self.link()?;
        link.line.get(self).await
    }

    /// A connection for one guard alone: `WATCH` belongs to a connection. Tells whether it was idle before, so that it may
    /// have been lost.
    pub(crate) async fn watching(&self) -> Result<(Watching, bool)> {
        self.check_open()?;
        let idle = self.idle_guards.lock().pop();
        if let Some(idle) = idle {
            return Ok((idle, true));
        }
        let is_lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_lost);
        let hear = move |message: PushInfo| {
            if message.kind == PushKind::Disconnection {
                flag.store(true, Ordering::Release);
            }
        };
        let connection = self.dial(hear).await?;
        Ok((Watching { connection, is_lost }, false))
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
        prefixes: &[&str],
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection> {
        self.check_open()?;
        let mut connection = self.dial(hear).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in prefixes {
            tracking.arg("PREFIX").arg(*prefix);
        }
        let doing = "asking to hear of changes";
        match connection.send_packed_command(&tracking).await.map_err(|cause| lost(doing, Call::Read, cause))? {
            Value::ServerError(error) => Err(refused(doing, &error)),
            _ => Ok(connection),
        }
    }

    /// Makes a connection; what the server tells of its own accord goes to `hear`.
    async fn dial(&self, hear: impl Fn(PushInfo) + Send + Sync + 'static) -> Result<MultiplexedConnection> {
        let settings = driver::settings(&self.config).set_push_sender(move |message| {
            hear(message);
            Ok::<(), ()>(())
        });
        let made = self.client.get_multiplexed_async_connection_with_config(&settings).await;
        made.map_err(|cause| unreachable(&self.config.place(), cause))
    }

    async fn connect(&self) -> Result<Live> {
        let generations = Arc::new(Generations::default());
        let is_lost = Arc::new(AtomicBool::new(false));
        let hear = {
            let (generations, is_lost) = (Arc::clone(&generations), Arc::clone(&is_lost));
            move |message: PushInfo| {
                if message.kind == PushKind::Disconnection {
                    is_lost.store(true, Ordering::Release);
                }
                generations.hear(&message);
            }
        };
        let connection = self.dial(hear).await?;
        let live = Live { connection, generations, is_lost, timeouts: AtomicU32::new(0) };
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("OPTIN");
        live.call("asking to hear of dropped buckets", Call::Read, &tracking).await?;
        Ok(live)
    }
}

impl Line {
    async fn get(self: &Arc<Self>, links: &Arc<Links>) -> Result<Arc<Live>> {
        let attempt = {
            let mut connecting = self.0.lock();
            if let Some(live) = connecting.live.as_ref().filter(|live| !live.is_lost()) {
                return Ok(Arc::clone(live));
            }
            match &connecting.attempt {
                Some(attempt) => attempt.clone(),
                None => {
                    if let Some((until, error)) = &connecting.last
                        && Instant::now() < *until
                    {
                        return Err(again(error));
                    }
                    let attempt = self.attempt(links)?;
                    connecting.attempt = Some(attempt.clone());
                    attempt
                }
            }
        };
        outcome(attempt).await
    }

    /// Connects in a task of its own: a caller that is not polled any more must not hold the others up.
    fn attempt(self: &Arc<Self>, links: &Arc<Links>) -> Result<Outcome<Arc<Live>>> {
        let (sender, receiver) = watch::channel(None);
        let (line, links) = (Arc::clone(self), Arc::clone(links));
        current()?.spawn(async move {
            let done = links.connect().await.and_then(|live| links.check_open().map(|()| Arc::new(live)));
            let done = done.map_err(Arc::new);
            let mut connecting = line.0.lock();
            connecting.attempt = None;
            match &done {
                Ok(live) => *connecting = Connecting { live: Some(Arc::clone(live)), ..Connecting::default() },
                Err(error) => {
                    let wait = BACKOFF.saturating_mul(1 << connecting.failed.min(5)).min(LONGEST_BACKOFF);
                    connecting.failed += 1;
                    let chance = rand::rng().random_range(0.5..1.0);
                    connecting.last = Some((Instant::now() + wait.mul_f64(chance), Arc::clone(error)));
                }
            }
            drop(connecting);
            // Nobody may be waiting any more.
            let _ = sender.send(Some(done));
        });
        Ok(receiver)
    }
}

impl Live {
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// A handle of the driver's, which is cloned at a cost.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// A bucket's generation, as this connection knows it.
    pub(crate) fn generation_of(&self, keys: &BucketKeys) -> Arc<Generation> {
        self.generations.of(&keys.generation)
    }

    /// The number of a bucket's generation and the epoch in which it holds.
    pub(crate) async fn learn(&self, keys: &BucketKeys, generation: &Generation) -> Result<(u64, u64)> {
        const DOING: &str = "looking the bucket up";
        loop {
            let (epoch, known) = generation.known();
            if let Some(number) = known {
                return Ok((epoch, number));
            }
            let mut ask = redis::pipe();
            ask.cmd("CLIENT").arg("CACHING").arg("YES");
            ask.cmd("GET").arg(&*keys.generation);
            let found = self.pipeline(DOING, Call::Read, &ask).await?;
            if let Some(Value::ServerError(error)) = found.iter().find(|answer| matches!(answer, Value::ServerError(_)))
            {
                return Err(refused(DOING, error));
            }
            let found = found.last().and_then(number);
            generation.learn(epoch, found.ok_or_else(|| odd(DOING, Call::Read))?);
        }
    }

    /// Sends a command and waits for the answer; a refusal is an error.
    pub(crate) async fn call(&self, doing: &str, call: Call, command: &Cmd) -> Result<Value> {
        match self.raw(doing, call, command).await? {
            Value::ServerError(error) => Err(refused(doing, &error)),
            value => Ok(value),
        }
    }

    /// Sends a command and waits for the answer, a refusal among them.
    pub(crate) async fn raw(&self, doing: &str, call: Call, command: &Cmd) -> Result<Value> {
        let answer = self.connection.clone().send_packed_command(command).await;
        self.check(doing, call, answer)
    }

    /// Sends commands in one go and waits for all answers, refusals among them.
    pub(crate) async fn pipeline(&self, doing: &str, call: Call, commands: &Pipeline) -> Result<Vec<Value>> {
        let answers = self.connection.clone().send_packed_commands(commands, 0, commands.len()).await;
        self.check(doing, call, answers)
    }

    /// Takes in how a call ended.
    pub(crate) fn check<T>(&self, doing: &str, call: Call, answer: RedisResult<T>) -> Result<T> {
        match answer {
            Ok(answer) => {
                if self.timeouts.load(Ordering::Relaxed) != 0 {
                    self.timeouts.store(0, Ordering::Relaxed);
                }
                Ok(answer)
            }
            Err(cause) => {
                let is_timeout = cause.is_timeout();
                if !is_timeout || self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS {
                    self.is_lost.store(true, Ordering::Release);
                }
                Err(lost(doing, call, cause))
            }
        }
    }
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The runtime that this is called on.
pub(crate) fn current() -> Result<Handle> {
    Handle::try_current().map_err(|cause| {
        let text = "calling a Redis store outside of a tokio runtime; call it from a task or block_on";
        Error::new(ErrorKind::Unsupported, Effect::None, text).with_source(cause)
    })
}
