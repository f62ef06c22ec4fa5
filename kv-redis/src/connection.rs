//! One connection: that of all calls of a runtime to a node, or that of one guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kv_core::Result;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};

use crate::driver::Target;
use crate::error::{Call, lost, refused};
use crate::generation::{Generation, Generations};

/// After this many answers in a row that did not come in time a connection is given up.
const TIMEOUTS: u32 = 3;

/// A connection that many calls share.
pub(crate) struct Live {
    connection: MultiplexedConnection,
    pub(crate) target: Target,
    generations: Arc<Generations>,
    is_lost: Arc<AtomicBool>,
    /// Answers in a row that did not come in time.
    timeouts: AtomicU32,
}

/// A connection for which the server watches a key.
pub(crate) struct Watching {
    connection: MultiplexedConnection,
    pub(crate) target: Target,
    is_lost: Arc<AtomicBool>,
}

impl Watching {
    /// `is_lost` is set by who hears that the connection is gone.
    pub(crate) fn new(connection: MultiplexedConnection, target: Target, is_lost: Arc<AtomicBool>) -> Self {
        Self { connection, target, is_lost }
    }

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

impl Live {
    /// `is_lost` is set by who hears that the connection is gone.
    pub(crate) fn new(
        connection: MultiplexedConnection,
        target: Target,
        generations: Arc<Generations>,
        is_lost: Arc<AtomicBool>,
    ) -> Self {
        Self { connection, target, generations, is_lost, timeouts: AtomicU32::new(0) }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// No further call takes this connection.
    pub(crate) fn give_up(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    /// What this connection knows of the generation that `key` holds.
    pub(crate) fn generation_of(&self, key: &[u8]) -> Arc<Generation> {
        self.generations.of(key)
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
    fn check<T>(&self, doing: &str, call: Call, answer: RedisResult<T>) -> Result<T> {
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
                    self.give_up();
                }
                Err(lost(doing, call, cause))
            }
        }
    }
}
