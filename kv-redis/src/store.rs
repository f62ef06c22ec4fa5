//! What all handles on a store share, and how calls on one bucket run.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kv_core::local::Hub;
use kv_core::{Effect, Error, ErrorKind, Result};
use parking_lot::Mutex;
use redis::{Cmd, Pipeline, ServerError, Value};
use tokio::runtime::Id;

use crate::background::Background;
use crate::connection::{Links, Live, current};
use crate::error::{Call, odd, refused};
use crate::generation::{Generation, number};
use crate::large::Large;
use crate::layout::{BucketKeys, Namespace};
use crate::script::{self, STALE, Script};
use crate::session::{Session, Sessions};
use crate::sweep;
use crate::watch::Feeds;

/// A store, without its handles.
pub(crate) struct Inner {
    pub(crate) links: Arc<Links>,
    pub(crate) namespace: Namespace,
    pub(crate) hub: Arc<Hub>,
    pub(crate) feeds: Feeds,
    pub(crate) background: Background,
    /// Whether a task removes what dropped buckets left.
    pub(crate) is_sweeping: AtomicBool,
    /// Whether it was looked for what earlier processes left.
    has_looked: AtomicBool,
}

impl Inner {
    pub(crate) fn new(links: Links) -> Self {
        let namespace = Namespace::new(&links.config().namespace);
        Self {
            links: Arc::new(links),
            namespace,
            hub: Arc::default(),
            feeds: Feeds::default(),
            background: Background::default(),
            is_sweeping: AtomicBool::new(false),
            has_looked: AtomicBool::new(false),
        }
    }

    /// The connection of the runtime that this is called on.
    pub(crate) async fn here(self: &Arc<Self>) -> Result<Arc<Live>> {
        let live = self.links.here().await?;
        if !self.has_looked.load(Ordering::Relaxed) {
            let mut look = redis::cmd("EXISTS");
            look.arg(self.namespace.trash());
            // Space, not truth: the next process looks again.
            let found = live.call("looking for garbage", Call::Read, &look).await;
            self.has_looked.store(true, Ordering::Relaxed);
            if found.is_ok_and(|found| found == Value::Int(1)) {
                sweep::start(self);
            }
        }
        Ok(live)
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
    /// Where the last call went that was not a small one.
    last: Mutex<Option<Here>>,
    sessions: Sessions,
}

/// A connection, and the bucket's generation as it is known there.
#[derive(Clone)]
pub(crate) struct Here {
    runtime: Id,
    pub(crate) live: Arc<Live>,
    pub(crate) generation: Arc<Generation>,
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
            inner,
            name: name.into(),
            keys,
            large: Large::default(),
            last: Mutex::default(),
            sessions: Sessions::default(),
        }))
    }

    /// The connection of the runtime that this is called on, and the generation there.
    pub(crate) async fn here(&self) -> Result<Here> {
        self.inner.links.check_open()?;
        let runtime = current()?.id();
        if let Some(here) = self.last.lock().as_ref().filter(|here| here.runtime == runtime && !here.live.is_lost()) {
            return Ok(here.clone());
        }
        let live = self.inner.here().await?;
        let here = Here { runtime, generation: live.generation_of(&self.keys), live };
        *self.last.lock() = Some(here.clone());
        Ok(here)
    }

    /// What a small call needs, with the number of the bucket's generation and the epoch in which it holds.
    async fn session(&self) -> Result<(Session, u64, u64)> {
        self.inner.links.check_open()?;
        let runtime = current()?.id();
        if let Some(session) = self.sessions.take(runtime)
            && let (epoch, Some(number)) = session.generation.known()
        {
            return Ok((session, epoch, number));
        }
        // Boxed, so that the usual future stays small.
        Box::pin(async move {
            let here = self.here().await?;
            let (epoch, number) = here.live.learn(&self.keys, &here.generation).await?;
            Ok((Session::new(runtime, here.live, here.generation), epoch, number))
        })
        .await
    }

    /// Reads from one entry: `command` and its key. Sent again if it met a dropped generation.
    pub(crate) async fn read(&self, doing: &str, command: &str, key: &str) -> Result<Value> {
        loop {
            let (mut session, epoch, number) = self.session().await?;
            let mut read = redis::cmd(command);
            read.arg(self.keys.entry(number, key));
            let answer = session.call(doing, Call::Read, &read).await?;
            // A message may have another cause than a drop: the server forgets what it was to tell of.
            let is_alive = session.generation.epoch() == epoch
                || session.live.learn(&self.keys, &session.generation).await?.1 == number;
            self.sessions.put(session);
            if is_alive {
                return Ok(answer);
            }
        }
    }

    /// Writes to one entry that is there already: `write` adds the command for the physical key, and answers nothing if
    /// the entry is absent.
    ///
    /// The generation is read right before it. If it is another one, the write met a dropped generation, for generations
    /// only count up: nobody saw what it did, and it is sent again. If it is the same and a drop slips in between the two,
    /// the write was before the drop as far as anybody can tell.
    pub(crate) async fn overwrite(
        &self,
        doing: &str,
        key: &str,
        write: impl Fn(&[u8], &mut Pipeline),
    ) -> Result<Value> {
        loop {
            let (mut session, epoch, generation) = self.session().await?;
            let mut commands = redis::pipe();
            commands.cmd("GET").arg(&*self.keys.generation);
            write(&self.keys.entry(generation, key), &mut commands);
            let mut answers = session.pipeline(doing, Call::Write, &commands).await?;
            let (Some(answer), Some(found)) = (answers.pop(), answers.pop()) else {
                return Err(odd(doing, Call::Write));
            };
            let found = match &found {
                Value::ServerError(error) => return Err(unguarded(doing, error)),
                found => number(found).ok_or_else(|| odd(doing, Call::Write))?,
            };
            if found == generation {
                self.sessions.put(session);
                return match answer {
                    Value::ServerError(error) => Err(refused(doing, &error)),
                    answer => Ok(answer),
                };
            }
            session.generation.correct(epoch);
        }
    }

    /// Runs commands as one step (`MULTI`); `fill` adds them for a generation. Gives their answers, refusals among them.
    pub(crate) async fn transact(
        &self,
        doing: &str,
        call: Call,
        fill: impl Fn(u64, &mut Pipeline),
    ) -> Result<Vec<Value>> {
        let (mut here, mut epoch, mut generation) = self.generation().await?;
        loop {
            let mut commands = redis::pipe();
            commands.cmd("MULTI");
            commands.cmd("GET").arg(&*self.keys.generation);
            fill(generation, &mut commands);
            commands.cmd("EXEC");
            let answers = here.live.pipeline(doing, call, &commands).await?;
            let mut answers = executed(doing, call, answers)?;
            if answers.is_empty() {
                return Err(odd(doing, call));
            }
            match number(&answers.remove(0)) {
                Some(found) if found == generation => return Ok(answers),
                None => return Err(odd(doing, call)),
                Some(_) if call == Call::Write => self.throw_away(&here, generation).await,
                Some(_) => {}
            }
            here.generation.correct(epoch);
            (here, epoch, generation) = self.generation().await?;
        }
    }

    /// Runs a script that begins by comparing the generation; `fill` adds keys and arguments for one.
    pub(crate) async fn script(
        &self,
        doing: &str,
        call: Call,
        script: &Script,
        fill: impl Fn(u64, &mut Cmd),
    ) -> Result<Vec<Value>> {
        loop {
            let (here, epoch, generation) = self.generation().await?;
            let answer = script::run(&here.live, doing, call, script, |command| fill(generation, command)).await?;
            match answer {
                Value::Array(answers) if answers.first() == Some(&Value::Int(STALE)) => here.generation.correct(epoch),
                Value::Array(answers) => return Ok(answers),
                _ => return Err(odd(doing, call)),
            }
        }
    }

    /// The connection, the epoch, and the generation that lives as far as it knows.
    pub(crate) async fn generation(&self) -> Result<(Here, u64, u64)> {
        let here = self.here().await?;
        let (epoch, generation) = here.live.learn(&self.keys, &here.generation).await?;
        Ok((here, epoch, generation))
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

    /// Has what was written to a dropped generation removed.
    async fn throw_away(&self, here: &Here, generation: u64) {
        let mut note = redis::cmd("SADD");
        note.arg(&*self.keys.trash).arg(self.keys.garbage(generation));
        // Space, not truth: nobody sees those entries.
        if here.live.call("noting garbage", Call::Write, &note).await.is_ok() {
            sweep::start(&self.inner);
        }
    }
}

/// The answers of a transaction's commands; an error if it did not run.
pub(crate) fn executed(doing: &str, call: Call, mut answers: Vec<Value>) -> Result<Vec<Value>> {
    match answers.pop() {
        Some(Value::Array(answers)) => Ok(answers),
        Some(Value::ServerError(of_exec)) => Err(not_executed(doing, call, &answers, &of_exec)),
        _ => Err(odd(doing, call)),
    }
}

/// Why a transaction did not run, by the answers to its commands and to `EXEC`. The first refusal says why.
pub(crate) fn not_executed(doing: &str, call: Call, answers: &[Value], of_exec: &ServerError) -> Error {
    let first = answers.iter().find_map(|answer| match answer {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
    let error = first.unwrap_or(of_exec);
    match (call, answers.first()) {
        // Its commands ran one by one.
        (Call::Write, Some(Value::ServerError(_)) | None) => unguarded(doing, error),
        _ => refused(doing, error),
    }
}

/// The error of a write whose guard was refused while it may have run itself.
fn unguarded(doing: &str, error: &ServerError) -> Error {
    let error = refused(doing, error);
    Error::new(error.kind(), Effect::Unknown, error.to_string())
}

/// Fails if any of these answers is a refusal. Others of the same transaction may have run.
pub(crate) fn none_refused(doing: &str, call: Call, answers: &[Value]) -> Result<()> {
    for answer in answers {
        if let Value::ServerError(error) = answer {
            let error = refused(doing, error);
            return Err(match (call, answers.len()) {
                (Call::Read, _) | (_, 1) => error,
                _ => Error::new(error.kind(), Effect::Unknown, error.to_string()),
            });
        }
    }
    Ok(())
}

/// The bytes of a value, where there is one.
pub(crate) fn bytes(doing: &str, value: Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::ServerError(error) => Err(refused(doing, &error)),
        _ => Err(Error::new(
            ErrorKind::Other,
            Effect::None,
            format!("{doing}: the server's answer has an unexpected form"),
        )),
    }
}
