//! How calls on one group of a bucket run: reads, overwriting writes, transactions and scripts, each of which makes sure that
//! it met the bucket's living generation.

use std::sync::Arc;

use kv_core::{Effect, Error, ErrorKind, Result};
use redis::{Cmd, Pipeline, ServerError, Value};

use crate::connection::Live;
use crate::error::{Call, odd, refused};
use crate::generation::{End, number};
use crate::layout::Group;
use crate::links::{Ask, Lane, Sent};
use crate::redirect::{Chase, Redirect};
use crate::script::{self, STALE, Script};
use crate::store::{Bucket, Side, Way};
use crate::sweep;
use crate::wire::Answer;

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It may add entries.
    Create,
    /// It changes or removes what is there.
    Change,
}

impl Bucket {
    /// Reads from one entry: `command` and its key. Sent again if it met a dropped generation.
    pub(crate) async fn read(&self, doing: &str, command: &str, key: &str) -> Result<Value> {
        let group = self.keys.group(key);
        let mut chase = Chase::default();
        loop {
            let (way, epoch, generation) = self.generation(group, Call::Read, &mut chase).await?;
            let mut read = redis::cmd(command);
            read.arg(self.keys.entry(generation, key));
            let side = way.side(Call::Read, &chase).clone();
            let answer = match side.live.raw(doing, Call::Read, &read).await {
                Ok(Value::ServerError(error)) if self.inner.namespace.is_spread() => {
                    // Boxed, so that the usual future stays small.
                    let followed = self.read_elsewhere(&side.live, doing, read, Value::ServerError(error), &mut chase);
                    match Box::pin(followed).await? {
                        Some(answer) => answer,
                        None => continue,
                    }
                }
                Ok(answer) => answer,
                Err(error) => {
                    self.inner.links.suspect();
                    return Err(error);
                }
            };
            // A message may have another cause than a drop: the server forgets what it was to tell of.
            if side.generation.epoch() == epoch || self.generation(group, Call::Read, &mut chase).await?.2 == generation
            {
                return match answer {
                    Value::ServerError(error) => {
                        let refused = refused(doing, &error);
                        self.inner.links.note(&side.live, &Value::ServerError(error));
                        Err(refused)
                    }
                    answer => Ok(answer),
                };
            }
        }
    }

    /// What a read gives that a node may have sent elsewhere; `None` to begin again.
    async fn read_elsewhere(
        &self,
        live: &Live,
        doing: &str,
        read: Cmd,
        answer: Value,
        chase: &mut Chase,
    ) -> Result<Option<Value>> {
        let links = &self.inner.links;
        let answers = [answer];
        match links.redirect(&live.target, &answers) {
            None => Ok(answers.into_iter().next()),
            Some(Redirect::Ask(_)) => {
                let mut commands = redis::pipe();
                commands.add_command(read);
                match links.send(live, doing, Call::Read, &commands, Ask::Follow, chase).await? {
                    Sent::Answers(mut answers) | Sent::Asked(mut answers) => Ok(answers.pop()),
                    Sent::Elsewhere => Ok(None),
                }
            }
            Some(redirect) => links.follow(redirect, doing, chase).await.map(|()| None),
        }
    }

    /// Writes to one entry that is there already: `write` gives the command for the physical key, which answers nothing if the
    /// entry is absent.
    ///
    /// One command, where the server tells of drops and the call need not wait for replicas. It is sent again only where it
    /// is proved to have met a dropped generation (ERR-6), see [`came_first`](Self::came_first).
    pub(crate) async fn overwrite(&self, doing: &str, key: &str, write: impl Fn(&[u8]) -> Cmd) -> Result<Value> {
        let group = self.keys.group(key);
        let links = &self.inner.links;
        let mut chase = Chase::default();
        loop {
            let (way, epoch, generation) = self.generation(group, Call::Write, &mut chase).await?;
            let Side { live, generation: known } = &way.writes;
            let is_told = known.tells_all() && known.known() == (epoch, Some(generation));
            if !is_told || links.lane(Call::Write) == Lane::Waiting {
                return Box::pin(self.overwrite_beside(doing, key, write)).await;
            }
            let command = write(&self.keys.entry(generation, key));
            let Answer { value, heard } =
                live.told(doing, Call::Write, &command).await.inspect_err(|_| links.suspect())?;
            if let Value::ServerError(error) = &value {
                match links.redirect(&live.target, std::slice::from_ref(&value)) {
                    None => {
                        links.note(live, &value);
                        return Err(refused(doing, error));
                    }
                    Some(Redirect::Ask(_)) => return Box::pin(self.overwrite_beside(doing, key, write)).await,
                    Some(redirect) => links.follow(redirect, doing, &mut chase).await?,
                }
                continue;
            }
            // What found nothing wrote nothing, whatever lives.
            if known.epoch() == epoch || value == Value::Nil {
                return Ok(value);
            }
            // Boxed, so that the usual future stays small.
            let came_first = Box::pin(self.came_first(doing, &way, (epoch, generation), heard));
            if came_first.await.map_err(|error| Error::new(error.kind(), Effect::Unknown, error.to_string()))? {
                return Ok(value);
            }
        }
    }

    /// Whether a write to a generation, of an epoch that has ended, came before any drop; else nobody saw what it did.
    ///
    /// It did if its answer came before the message that ended the epoch. If it came behind it and the number is the same
    /// there was no drop. If it is another the message is taken to be of the drop, on a connection whose server was not seen
    /// to tell of what is no change, see [`tells_all`](crate::generation::Generation::tells_all). Not if the number is now
    /// another node's: then the message may have been of the note's move.
    async fn came_first(&self, doing: &str, way: &Way, (epoch, generation): (u64, u64), heard: u64) -> Result<bool> {
        let known = &way.writes.generation;
        let end = known.end_of(epoch);
        if end.is_some_and(|end| end.is_after(heard)) {
            return Ok(true);
        }
        let mut chase = Chase::default();
        let (now, _, living) = self.generation(way.group, Call::Write, &mut chase).await?;
        if living == generation {
            return Ok(true);
        }
        let is_same_node = Arc::ptr_eq(&now.writes.live, &way.writes.live) && !chase.has_begun();
        if is_same_node && end.is_some_and(End::is_of_key) && known.tells_all() {
            return Ok(false);
        }
        let text = format!(
            "{doing}: the bucket was dropped at the same time, and it can't be told whether the write came before; look at \
             the entry, and write it again if it should be there"
        );
        Err(Error::new(ErrorKind::Unavailable, Effect::Unknown, text))
    }

    /// [`overwrite`](Self::overwrite) with the generation read beside the write, in one trip.
    ///
    /// The generation is read right before it. If it is another one, the write met a dropped generation, for generations
    /// only count up: nobody saw what it did, and it is sent again. If it is the same and a drop slips in between the two,
    /// the write was before the drop as far as anybody can tell.
    async fn overwrite_beside(&self, doing: &str, key: &str, write: impl Fn(&[u8]) -> Cmd) -> Result<Value> {
        let group = self.keys.group(key);
        let links = &self.inner.links;
        let mut chase = Chase::default();
        loop {
            let (way, epoch, generation) = self.generation(group, Call::Write, &mut chase).await?;
            let mut commands = redis::pipe();
            commands.cmd("GET").arg(self.keys.generation(group));
            commands.add_command(write(&self.keys.entry(generation, key)));
            let mut answers = links.pipeline(&way.writes.live, doing, Call::Write, &commands).await?;
            match links.redirect(&way.writes.live.target, &answers) {
                None => {}
                // On its way: then both have to be one step.
                Some(Redirect::Ask(_)) => {
                    let write = |generation: u64, commands: &mut Pipeline| {
                        commands.add_command(write(&self.keys.entry(generation, key)));
                    };
                    let mut answers = Box::pin(self.transact(doing, group, Step::Change, write)).await?;
                    none_refused(doing, Call::Write, &answers)?;
                    return answers.pop().ok_or_else(|| odd(doing, Call::Write));
                }
                Some(redirect) => {
                    links.follow(redirect, doing, &mut chase).await?;
                    continue;
                }
            }
            let (Some(answer), Some(found)) = (answers.pop(), answers.pop()) else {
                return Err(odd(doing, Call::Write));
            };
            if let Value::ServerError(error) = &answer {
                return Err(refused(doing, error));
            }
            let found = match &found {
                // The generation is at another node already, or this one has just lost the slot. It may be asked for
                // afterwards: if it is the same now, it was then.
                Value::ServerError(error) if matches!(error.code(), "ASK" | "MOVED") => {
                    way.writes.generation.correct(epoch);
                    let (_, _, now) = Box::pin(self.generation(group, Call::Write, &mut chase)).await?;
                    if now != generation {
                        return Err(unguarded(doing, error));
                    }
                    now
                }
                Value::ServerError(error) => return Err(unguarded(doing, error)),
                found => number(found).ok_or_else(|| odd(doing, Call::Write))?,
            };
            if self.is_living(found, generation) {
                return Ok(answer);
            }
            way.writes.generation.correct(epoch);
        }
    }

    /// Whether what was written to a generation counts, where the group had noted `found`. In a cluster a group may have
    /// lost what it had noted, with its primary.
    fn is_living(&self, found: u64, generation: u64) -> bool {
        found == generation || (found < generation && self.inner.namespace.is_spread())
    }

    /// Runs writes on a group as one step (`MULTI`); `fill` adds them for a generation. Gives their answers, refusals among
    /// them.
    pub(crate) async fn transact(
        &self,
        doing: &str,
        group: Group,
        step: Step,
        fill: impl Fn(u64, &mut Pipeline),
    ) -> Result<Vec<Value>> {
        let links = &self.inner.links;
        let call = Call::Write;
        let mut chase = Chase::default();
        loop {
            let (way, epoch, generation) = self.generation(group, call, &mut chase).await?;
            if step == Step::Create {
                self.register(generation, group).await?;
            }
            let mut commands = redis::pipe();
            commands.cmd("MULTI");
            commands.cmd("GET").arg(self.keys.generation(group));
            fill(generation, &mut commands);
            commands.cmd("EXEC");
            let side = &way.writes;
            let answers = match links.send(&side.live, doing, call, &commands, Ask::Follow, &mut chase).await? {
                Sent::Answers(answers) | Sent::Asked(answers) => answers,
                Sent::Elsewhere => continue,
            };
            let mut answers = executed(doing, call, answers)?;
            if answers.is_empty() {
                return Err(odd(doing, call));
            }
            match number(&answers.remove(0)) {
                Some(found) if self.is_living(found, generation) => {
                    if found != generation {
                        side.generation.correct(epoch);
                    }
                    return Ok(answers);
                }
                None => return Err(odd(doing, call)),
                Some(_) => self.throw_away(generation).await,
            }
            side.generation.correct(epoch);
        }
    }

    /// Runs a script on a group that begins by comparing the generation; `fill` adds keys and arguments for one.
    pub(crate) async fn script(
        &self,
        doing: &str,
        group: Group,
        call: Call,
        script: &Script,
        fill: impl Fn(u64, &mut Cmd),
    ) -> Result<Vec<Value>> {
        let mut chase = Chase::default();
        loop {
            let (way, epoch, generation) = self.generation(group, call, &mut chase).await?;
            if call == Call::Write {
                self.register(generation, group).await?;
            }
            let side = way.side(call, &chase).clone();
            let fill = |command: &mut Cmd| fill(generation, command);
            let links = &self.inner.links;
            match script::run(links, &side.live, doing, call, script, fill, &mut chase).await? {
                None => {}
                Some(Value::Array(answers)) if answers.first() == Some(&Value::Int(STALE)) => {
                    side.generation.correct(epoch);
                }
                Some(Value::Array(answers)) => return Ok(answers),
                Some(_) => return Err(odd(doing, call)),
            }
        }
    }

    /// Has what was written to a dropped generation removed.
    async fn throw_away(&self, generation: u64) {
        // Space, not truth: nobody sees those entries.
        if self.inner.note_garbage(&self.keys, generation).await.is_ok() {
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
pub(crate) fn unguarded(doing: &str, error: &ServerError) -> Error {
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
