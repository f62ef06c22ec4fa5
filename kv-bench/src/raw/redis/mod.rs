//! Redis by its own driver, and the server that both sides of a pair share.

mod server;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisWrite, ToRedisArgs, Value, from_redis_value};

pub(crate) use server::Server;

use crate::client::{Client, Raw, Result, SetNow, missing};

/// What the raw side's keys begin with: as long as what our provider puts before the same keys, so that both sides send
/// and the server compares as many bytes.
const PREFIX: &[u8] = b"them:e:bench:0:";

/// The sorted set of the raw side's keys.
const INDEX: &str = "them:i:bench:0";

/// How our provider sets the driver up by default, see kv-redis/README.md: what differs would be measured too.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const QUEUED_CALLS: usize = 1_024;

/// The driver as a program uses it that keeps a sorted set of its keys, to list them: one connection that all callers share,
/// each by a handle of its own.
#[derive(Clone)]
pub(crate) struct RawRedis(MultiplexedConnection);

impl RawRedis {
    /// Connects; the runtime that this is called on drives the connection.
    ///
    /// # Errors
    ///
    /// What the driver has.
    pub(crate) async fn connect(server: &Server) -> Result<Self> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(QUEUED_CALLS);
        Ok(Self(server.client()?.get_multiplexed_async_connection_with_config(&settings).await?))
    }

    /// Sends a command, without the box that `query_async` makes for the answer.
    async fn call(&mut self, command: &Cmd) -> Result<Value> {
        Ok(self.0.send_packed_command(command).await?.extract_error()?)
    }
}

/// A key behind the prefix, put together where the driver wants it.
struct Key<'a>(&'a str);

impl ToRedisArgs for Key<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut argument = out.writer_for_next_arg();
        // Writing into the command's buffer does not fail.
        let _ = argument.write_all(PREFIX).and_then(|()| argument.write_all(self.0.as_bytes()));
    }
}

impl Client for RawRedis {
    type Cursor = String;

    async fn get(&mut self, key: &str) -> Result<usize> {
        match self.call(redis::cmd("GET").arg(Key(key))).await? {
            Value::BulkString(value) => Ok(value.len()),
            _ => Err(missing(key).into()),
        }
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result {
        match self.call(redis::cmd("SET").arg(Key(key)).arg(&value[..]).arg("XX")).await? {
            Value::Okay => Ok(()),
            _ => Err(missing(key).into()),
        }
    }

    async fn get_many(&mut self, keys: &[String]) -> Result<usize> {
        let mut command = redis::cmd("MGET");
        for key in keys {
            command.arg(Key(key));
        }
        match self.call(&command).await? {
            Value::Array(found) => Ok(found.iter().filter(|value| matches!(value, Value::BulkString(_))).count()),
            _ => Err("MGET was not answered with an array".into()),
        }
    }

    async fn set_many(&mut self, entries: Vec<(&str, Bytes)>) -> Result {
        let mut commands = redis::pipe();
        commands.atomic().cmd("MSET");
        for (key, value) in &entries {
            commands.arg(Key(key)).arg(&value[..]);
        }
        commands.ignore().cmd("ZADD").arg(INDEX);
        for (key, _) in &entries {
            commands.arg(0).arg(*key);
        }
        Ok(commands.ignore().exec_async(&mut self.0).await?)
    }

    async fn page(&mut self, cursor: Option<String>, limit: usize) -> Result<(usize, Option<String>)> {
        let mut command = redis::cmd("ZRANGE");
        match cursor {
            None => command.arg(INDEX).arg("-"),
            Some(last) => command.arg(INDEX).arg(format!("({last}")),
        };
        let page = self.call(command.arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(limit)).await?;
        let mut keys: Vec<String> = from_redis_value(page)?;
        let found = keys.len();
        Ok((found, if found == limit { keys.pop() } else { None }))
    }

    async fn increment(&mut self, key: &str) -> Result<i64> {
        Ok(from_redis_value(self.call(redis::cmd("INCRBY").arg(Key(key)).arg(1)).await?)?)
    }
}

impl Raw for RawRedis {
    fn blocking(&self) -> Option<&dyn SetNow> {
        None
    }
}
