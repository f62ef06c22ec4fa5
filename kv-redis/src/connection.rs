//! One connection: that of all calls of a runtime to a node, or that of one guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kv_core::Result;
use redis::{Cmd, Pipeline, Value};

use crate::driver::Target;
use crate::error::{Call, lost, refused};
use crate::generation::{Generation, Generations};
use crate::wire::{Fault, Why, Wire};

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
        answers
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
        self.check(doing, call, answer)
    }

    /// Sends commands in one go and waits for all answers, refusals among them.
    pub(crate) async fn pipeline(&self, doing: &str, call: Call, commands: &Pipeline) -> Result<Vec<Value>> {
        let answers = self.wire.commands(commands).await;
        self.check(doing, call, answers)
    }

    /// Whether the server has told of every change that it was to tell of: it has room to remember many more keys than it
    /// does. `false` also where it does not say.
    pub(crate) async fn remembers(&self, doing: &str) -> Result<bool> {
        let mut ask = redis::pipe();
        ask.cmd("INFO").arg("stats");
        ask.cmd("CONFIG").arg("GET").arg("tracking-table-max-keys");
        let mut answers = self.pipeline(doing, Call::Read, &ask).await?.into_iter();
        let (stats, limit) = (answers.next().unwrap_or(Value::Nil), answers.next().unwrap_or(Value::Nil));
        Ok(has_room(&stats, limit))
    }

    /// Takes in how a call ended.
    fn check<T>(&self, doing: &str, call: Call, answer: Result<T, Fault>) -> Result<T> {
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

/// Whether a server remembers fewer than half of the keys that it may, by its statistics and its setting. It forgets above
/// that number only, and does not lose half of them within a call.
fn has_room(stats: &Value, limit: Value) -> bool {
    let text = match stats {
        Value::BulkString(text) => String::from_utf8_lossy(text),
        Value::VerbatimString { text, .. } => text.into(),
        _ => return false,
    };
    let remembered =
        text.lines().find_map(|line| line.strip_prefix("tracking_total_keys:")?.trim().parse::<u64>().ok());
    let limit = redis::from_redis_value::<std::collections::HashMap<String, u64>>(limit)
        .ok()
        .and_then(|settings| settings.into_values().next());
    // 0 is no limit.
    remembered.zip(limit).is_some_and(|(remembered, limit)| limit == 0 || remembered < limit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_room_if_it_says_so() {
        let stats = |count: u64| Value::BulkString(format!("# Stats\r\ntracking_total_keys:{count}\r\n").into());
        let limit = |limit: &str| {
            let [name, limit] = ["tracking-table-max-keys", limit].map(|text| Value::BulkString(text.into()));
            Value::Map(vec![(name, limit)])
        };
        assert!(has_room(&stats(499_999), limit("1000000")));
        assert!(!has_room(&stats(500_000), limit("1000000")));
        assert!(has_room(&stats(5), limit("0")));
        assert!(!has_room(&stats(0), limit("1")));
        assert!(!has_room(&stats(1), Value::Map(Vec::new())));
        assert!(!has_room(&Value::Nil, limit("1000000")));
    }
}
