//! One connection: that of all calls of a runtime to a node, or that of one guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kv_core::Result;
use redis::{Cmd, Pipeline, Value};

use crate::driver::Target;
use crate::error::{Call, lost, refused};
use crate::generation::{Generation, Generations};
use crate::wire::{Answer, Fault, Why, Wire};

/// After this many answers in a row that did not come in time a connection is given up.
const TIMEOUTS: u32 = 3;

/// A connection that many calls share.
pub(crate) struct Live {
    wire: Wire,
    pub(crate) target: Target,
    generations: Arc<Generations>,
    is_given_up: AtomicBool,
    /// Answers in a row that did not come in time.
    timeouts: AtomicU32,
}

/// A connection for which the server watches a key.
pub(crate) struct Watching {
    wire: Wire,
    pub(crate) target: Target,
    is_spoiled: AtomicBool,
}

impl Watching {
    pub(crate) fn new(wire: Wire, target: Target) -> Self {
        Self { wire, target, is_spoiled: AtomicBool::new(false) }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.wire.is_lost() || self.is_spoiled.load(Ordering::Acquire)
    }

    pub(crate) async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, Fault> {
        let answers = self.wire.commands(commands).await;
        if answers.is_err() {
            // Whatever it was, what the server watches is not known any more.
            self.is_spoiled.store(true, Ordering::Release);
        }
        answers.map(|answers| answers.value)
    }
}

impl Live {
    pub(crate) fn new(wire: Wire, target: Target, generations: Arc<Generations>) -> Self {
        Self { wire, target, generations, is_given_up: AtomicBool::new(false), timeouts: AtomicU32::new(0) }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.wire.is_lost() || self.is_given_up.load(Ordering::Acquire)
    }

    /// Closes it, whoever still holds it.
    pub(crate) fn close(&self) {
        self.wire.close();
    }

    /// No further call takes this connection.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
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
        let answer = self.wire.command(command).await;
        Ok(self.check(doing, call, answer)?.value)
    }

    /// Likewise, and tells how much the server had told before it.
    pub(crate) async fn told(&self, doing: &str, call: Call, command: &Cmd) -> Result<Answer<Value>> {
        let answer = self.wire.command(command).await;
        self.check(doing, call, answer)
    }

    /// Sends commands in one go and waits for all answers, refusals among them.
    pub(crate) async fn pipeline(&self, doing: &str, call: Call, commands: &Pipeline) -> Result<Vec<Value>> {
        let answers = self.wire.commands(commands).await;
        Ok(self.check(doing, call, answers)?.value)
    }

    /// Takes in how a call ended.
    fn check<T>(&self, doing: &str, call: Call, answer: Result<Answer<T>, Fault>) -> Result<Answer<T>> {
        match answer {
            Ok(answer) => {
                if self.timeouts.load(Ordering::Relaxed) != 0 {
                    self.timeouts.store(0, Ordering::Relaxed);
                }
                Ok(answer)
            }
            Err(fault) => {
                let is_timeout = fault.why == Why::Timeout;
                if !is_timeout || self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS {
                    self.give_up();
                }
                Err(lost(doing, call, fault))
            }
        }
    }
}
