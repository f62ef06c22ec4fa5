//! Versioned guards: the server watches the key (`WATCH`) for a connection of the guard's own.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Guard, GuardSwap, IncomingValue, Result};
use redis::{Pipeline, Value};

use crate::call::{bytes, none_refused, not_executed, unguarded};
use crate::connection::Watching;
use crate::error::{Call, lost, odd, too_few};
use crate::generation::number;
use crate::redirect::Chase;
use crate::store::Bucket;
use crate::wire::Why;

const TAKING: &str = "taking a guard";
const SWAPPING: &str = "swapping an entry";

/// A key as it was at one instant, and the connection for which the server watches it since (CAS-2).
pub(crate) struct KeyGuard {
    bucket: Bucket,
    key: Box<str>,
    generation: u64,
    lease: Lease,
    current: Option<IncomingValue>,
}

/// A connection that goes back to the idle ones.
struct Lease {
    bucket: Bucket,
    connection: Option<Watching>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|connection| !connection.is_lost()) {
            self.bucket.inner.links.give_back(connection);
        }
    }
}

impl KeyGuard {
    pub(crate) async fn take(bucket: &Bucket, key: &str) -> Result<Self> {
        let (group, links) = (bucket.keys.group(key), &bucket.inner.links);
        let mut chase = Chase::default();
        loop {
            let (way, epoch, generation) = bucket.generation(group, Call::Write, &mut chase).await?;
            let (connection, is_idle) = links.watching(&way.writes.live.target).await?;
            let mut commands = redis::pipe();
            // What the connection watched for the guard before.
            commands.cmd("UNWATCH");
            look(bucket, generation, key, &mut commands);
            let answers = match connection.send(&commands).await {
                Ok(answers) => answers,
                // It was lost while it was idle.
                Err(fault) if is_idle && fault.why != Why::Timeout => continue,
                Err(fault) => {
                    links.suspect();
                    return Err(lost(TAKING, Call::Read, fault));
                }
            };
            if let Some(redirect) = links.any_redirect(&way.writes.live.target, &answers) {
                links.follow(redirect, TAKING, &mut chase).await?;
                continue;
            }
            let lease = Lease { bucket: bucket.clone(), connection: Some(connection) };
            let (found, current) = seen(TAKING, answers)?;
            if found == generation {
                return Ok(Self { bucket: bucket.clone(), key: key.into(), generation, lease, current });
            }
            way.writes.generation.correct(epoch);
        }
    }
}

/// Begins to watch, and reads.
fn look(bucket: &Bucket, generation: u64, key: &str, commands: &mut Pipeline) {
    let (physical, noted) = (bucket.keys.entry(generation, key), bucket.keys.generation(bucket.keys.group(key)));
    commands.cmd("WATCH").arg(&noted).arg(&physical);
    commands.cmd("GET").arg(&noted);
    commands.cmd("GET").arg(&physical);
}

/// What [`look`] found: the bucket's generation and the value.
fn seen(doing: &str, mut answers: Vec<Value>) -> Result<(u64, Option<IncomingValue>)> {
    none_refused(doing, Call::Read, &answers)?;
    let (Some(value), Some(generation)) = (answers.pop(), answers.pop()) else { return Err(odd(doing, Call::Read)) };
    let generation = number(&generation).ok_or_else(|| odd(doing, Call::Read))?;
    Ok((generation, bytes(doing, value)?.map(|value| Bytes::from(value).into())))
}

#[async_trait]
impl Guard for KeyGuard {
    fn current(&self) -> Option<&IncomingValue> {
        self.current.as_ref()
    }

    async fn swap(self: Box<Self>, value: Bytes) -> Result<GuardSwap> {
        let bucket = self.bucket.clone();
        let swap = |_| async move {
            Ok(match self.swap_here(value).await? {
                None => GuardSwap::Swapped,
                Some(fresh) => GuardSwap::Lost(Box::new(fresh)),
            })
        };
        bucket.aside(SWAPPING, Call::Write, swap).await
    }
}

impl KeyGuard {
    /// Swaps on the thread that drives the connection; a fresh guard if a write came first.
    async fn swap_here(self, value: Bytes) -> Result<Option<Self>> {
        let Self { bucket, key, generation, lease, current: _ } = self;
        bucket.inner.links.check_open()?;
        let primary = bucket.inner.links.topology.primary(bucket.keys.slot(bucket.keys.group(&key)));
        let is_good = |connection: &&Watching| !connection.is_lost() && primary.as_ref() == Some(&connection.target);
        let Some(connection) = lease.connection.as_ref().filter(is_good) else {
            // A guard that was lost with its connection or its primary counts as written to.
            drop(lease);
            return Ok(Some(Self::take(&bucket, &key).await?));
        };
        let (group, links) = (bucket.keys.group(&key), &bucket.inner.links);
        bucket.register(generation, group).await?;
        let mut commands = redis::pipe();
        commands.cmd("MULTI");
        commands.cmd("SET").arg(bucket.keys.entry(generation, &key)).arg(&*value);
        bucket.list(group, generation, [&*key], &mut commands);
        commands.cmd("EXEC");
        let until = commands.len();
        let wanted = links.config().wait_replicas;
        if wanted > 0 {
            commands.add_command(links.wait());
        }
        // At once, so that the outcome and the value that won come back together.
        look(&bucket, generation, &key, &mut commands);
        let mut answers = connection.send(&commands).await.map_err(|fault| {
            links.suspect();
            lost(SWAPPING, Call::Write, fault)
        })?;
        bucket.large.note(&key, value.len());
        let mut after = answers.split_off(until.min(answers.len()));
        let waited = (wanted > 0 && !after.is_empty()).then(|| after.remove(0));
        match answers.pop() {
            Some(Value::Array(done)) => {
                none_refused(SWAPPING, Call::Write, &done)?;
                match waited {
                    None => Ok(None),
                    Some(Value::Int(got)) if got >= i64::from(wanted) => Ok(None),
                    Some(Value::Int(got)) => Err(too_few(SWAPPING, got, wanted)),
                    Some(Value::ServerError(error)) => Err(unguarded(SWAPPING, &error)),
                    Some(_) => Err(odd(SWAPPING, Call::Write)),
                }
            }
            Some(Value::Nil) => match seen(SWAPPING, after) {
                Ok((found, current)) if found == generation => {
                    Ok(Some(Self { bucket, key, generation, lease, current }))
                }
                _ => {
                    drop(lease);
                    Ok(Some(Self::take(&bucket, &key).await?))
                }
            },
            Some(Value::ServerError(of_exec)) => {
                answers.push(Value::ServerError(of_exec.clone()));
                if links.any_redirect(&connection.target, &answers).is_some() || is_replica(&answers) {
                    // Another is the primary, so the guard is lost.
                    links.suspect();
                    drop(lease);
                    return Ok(Some(Self::take(&bucket, &key).await?));
                }
                answers.pop();
                Err(not_executed(SWAPPING, Call::Write, &answers, &of_exec))
            }
            _ => Err(odd(SWAPPING, Call::Write)),
        }
    }
}

/// Whether a transaction was refused because its server has become a replica.
fn is_replica(answers: &[Value]) -> bool {
    answers.iter().any(|answer| matches!(answer, Value::ServerError(error) if error.code() == "READONLY"))
}
