//! What a small call needs, kept from one call to the next: made anew for each it would have every thread write to the
//! same few counters of references.

use std::array;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use kv_core::Result;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};
use tokio::runtime::Id;

use crate::connection::Live;
use crate::error::{Call, refused};
use crate::generation::Generation;

/// Threads share what is kept in so many parts, so that they rarely meet.
const PARTS: usize = 8;

/// Sessions that are kept in a part: as many calls may be under way at once without making new ones.
const KEPT: usize = 128;

/// A connection, and the bucket's generation as it is known there.
pub(crate) struct Session {
    pub(crate) runtime: Id,
    pub(crate) live: Arc<Live>,
    pub(crate) generation: Arc<Generation>,
    connection: MultiplexedConnection,
}

impl Session {
    pub(crate) fn new(runtime: Id, live: Arc<Live>, generation: Arc<Generation>) -> Self {
        let connection = live.connection();
        Self { runtime, live, generation, connection }
    }

    /// Sends commands in one go and waits for all answers, refusals among them.
    pub(crate) async fn pipeline(&mut self, doing: &str, call: Call, commands: &Pipeline) -> Result<Vec<Value>> {
        let answers = self.connection.send_packed_commands(commands, 0, commands.len()).await;
        self.live.check(doing, call, answers)
    }

    /// Sends a command and waits for the answer; a refusal is an error.
    pub(crate) async fn call(&mut self, doing: &str, call: Call, command: &Cmd) -> Result<Value> {
        let answer = self.connection.send_packed_command(command).await;
        match self.live.check(doing, call, answer)? {
            Value::ServerError(error) => Err(refused(doing, &error)),
            value => Ok(value),
        }
    }
}

/// The sessions of a bucket that no call is using.
pub(crate) struct Sessions([CachePadded<Mutex<Vec<Session>>>; PARTS]);

impl Default for Sessions {
    fn default() -> Self {
        Self(array::from_fn(|_| CachePadded::default()))
    }
}

impl Sessions {
    /// Takes one of this runtime whose connection is not lost.
    pub(crate) fn take(&self, runtime: Id) -> Option<Session> {
        let mut kept = self.part().lock();
        while let Some(session) = kept.pop() {
            if session.runtime == runtime && !session.live.is_lost() {
                return Some(session);
            }
        }
        None
    }

    /// Keeps one for the next call.
    pub(crate) fn put(&self, session: Session) {
        let mut kept = self.part().lock();
        if kept.len() < KEPT {
            kept.push(session);
        }
    }

    fn part(&self) -> &Mutex<Vec<Session>> {
        let [first, ..] = &self.0;
        self.0.get(thread() % PARTS).unwrap_or(first)
    }
}

/// A number for each thread.
fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    OWN.get()
}
