//! What a cluster answers instead of doing something: that another node has the slot, or will soon.

use std::time::{Duration, Instant};

use kv_core::{Effect, Error, ErrorKind, Result};
use redis::{Pipeline, ServerError, Value};

use crate::config::Node;
use crate::driver::Target;

/// How long a slot that is on its way is waited for at first, and at most.
const WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Redirections in a row that one call follows.
const HOPS: u32 = 16;

/// Where to go instead. Nothing ran.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// The slot is at this node from now on.
    Moved(u16, Target),
    /// The slot is being moved, and what this is about is at that node already.
    Ask(Target),
    /// The slot is being moved, and what this is about is partly here, partly there.
    Wait,
}

/// The redirection in the answers to commands of which the last one carries the write, if any: then nothing ran.
pub(crate) fn of(answers: &[Value], asked: &Target) -> Option<Redirect> {
    match answers.last()? {
        Value::ServerError(last) if last.code() == "EXECABORT" => any(answers, asked),
        Value::ServerError(last) => of_error(last, asked),
        _ => None,
    }
}

/// The first redirection in answers to commands that have not written, whichever of them it answers.
pub(crate) fn any(answers: &[Value], asked: &Target) -> Option<Redirect> {
    answers.iter().find_map(|answer| match answer {
        Value::ServerError(error) => of_error(error, asked),
        _ => None,
    })
}

fn of_error(error: &ServerError, asked: &Target) -> Option<Redirect> {
    let place = || {
        let (slot, place) = error.details()?.split_once(' ')?;
        let (host, port) = place.trim().rsplit_once(':')?;
        let host = match (host.trim_matches(['[', ']']), asked) {
            ("", Target::Node(asked)) => asked.host.clone(),
            (host, _) => host.to_owned(),
        };
        Some((slot.parse().ok()?, Target::Node(Node { host, port: port.parse().ok()? })))
    };
    match error.code() {
        "MOVED" => place().map(|(slot, target)| Redirect::Moved(slot, target)),
        "ASK" => place().map(|(_, target)| Redirect::Ask(target)),
        "TRYAGAIN" => Some(Redirect::Wait),
        _ => None,
    }
}

/// The same commands, each of which may be about a slot that the node is only about to get.
pub(crate) fn asking(commands: &Pipeline) -> (Pipeline, Vec<usize>) {
    let (mut pipeline, mut kept, mut is_transaction) = (redis::pipe(), Vec::new(), false);
    let mut at = 0;
    for command in commands.cmd_iter() {
        let is = |name: &str| command.args_iter().next() == Some(redis::Arg::Simple(name.as_bytes()));
        // Within a transaction the permission lasts.
        if !is_transaction {
            pipeline.cmd("ASKING");
            at += 1;
        }
        is_transaction = (is_transaction || is("MULTI")) && !is("EXEC");
        pipeline.add_command(command.clone());
        kept.push(at);
        at += 1;
    }
    (pipeline, kept)
}

/// How often and how long one call has been sent elsewhere.
#[derive(Default)]
pub(crate) struct Chase {
    hops: u32,
    begun: Option<Instant>,
}

impl Chase {
    /// Whether the call has been sent elsewhere.
    pub(crate) fn has_begun(&self) -> bool {
        self.hops > 0
    }

    /// Counts one more; an error if it is too many.
    pub(crate) fn hop(&mut self, doing: &str) -> Result<()> {
        self.hops += 1;
        if self.hops > HOPS {
            let text = format!("{doing}: the cluster's nodes send us to and fro");
            return Err(Error::new(ErrorKind::Unavailable, Effect::None, text));
        }
        Ok(())
    }

    /// Waits a little for a slot that is on its way; an error after `longest`.
    pub(crate) async fn wait(&mut self, doing: &str, longest: Duration) -> Result<()> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if begun.elapsed() > longest {
            let text = format!("{doing}: the cluster is still moving the entry");
            return Err(Error::new(ErrorKind::Unavailable, Effect::None, text));
        }
        tokio::time::sleep(WAIT.max(begun.elapsed() / 4).min(LONGEST_WAIT)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &[&str]) -> Vec<Value> {
        text.iter().map(|text| redis::parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap()).collect()
    }

    fn target(host: &str, port: u16) -> Target {
        Target::Node(Node { host: host.to_owned(), port })
    }

    #[test]
    fn the_last_answer_tells_where_to_go() {
        let asked = target("here", 1);
        let redirect = |text: &[&str]| of(&answers(text), &asked);
        assert_eq!(redirect(&["+OK"]), None);
        assert_eq!(redirect(&["-ERR no"]), None);
        assert_eq!(redirect(&["-MOVED 5 h:2"]), Some(Redirect::Moved(5, target("h", 2))));
        assert_eq!(redirect(&["-MOVED 5 :2"]), Some(Redirect::Moved(5, target("here", 2))));
        assert_eq!(redirect(&["-ASK 5 ::1:2"]), Some(Redirect::Ask(target("::1", 2))));
        assert_eq!(redirect(&["-TRYAGAIN later"]), Some(Redirect::Wait));
        let aborted = ["+OK", "-ASK 5 h:2", "-EXECABORT no"];
        assert_eq!(redirect(&aborted), Some(Redirect::Ask(target("h", 2))));
        // The write ran.
        assert_eq!(redirect(&["-MOVED 5 h:2", "+OK"]), None);
    }

    #[test]
    fn each_command_or_transaction_asks() {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg("k").cmd("MULTI").cmd("SET").arg("k").arg("v").cmd("EXEC").cmd("GET").arg("k");
        let (asking, kept) = asking(&commands);
        let name = |command: &redis::Cmd| match command.args_iter().next() {
            Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        };
        let names: Vec<String> = asking.cmd_iter().map(name).collect();
        assert_eq!(names, ["ASKING", "GET", "ASKING", "MULTI", "SET", "EXEC", "ASKING", "GET"]);
        assert_eq!(kept, [1, 3, 4, 5, 7]);
    }
}
