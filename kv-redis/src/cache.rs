//! Entries that expire: by the server's own clock.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Cache, Fill, Result, Ttl};
use redis::{Cmd, Value};

use crate::atomic::ended;
use crate::error::{Call, odd};
use crate::large::LARGE_BYTES;
use crate::script;
use crate::store::Bucket;

#[async_trait]
impl Cache for Bucket {
    async fn set_with_ttl(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()> {
        self.create("writing an entry that expires", key, value, Some(millis(ttl))).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        const DOING: &str = "looking how long an entry has left";
        match self.read(DOING, "PTTL", key).await? {
            Value::Int(-2) => Ok(Ttl::Absent),
            Value::Int(-1) => Ok(Ttl::Forever),
            Value::Int(left) => Ok(Ttl::Left(Duration::from_millis(u64::try_from(left).unwrap_or(0).max(1)))),
            _ => Err(odd(DOING, Call::Read)),
        }
    }

    async fn fill(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Fill> {
        const DOING: &str = "filling a vacancy";
        if value.len() > LARGE_BYTES {
            let key = key.to_owned();
            return self
                .aside(DOING, Call::Write, move |bucket| async move { bucket.fill_here(&key, &value, ttl).await })
                .await;
        }
        self.fill_here(key, &value, ttl).await
    }
}

impl Bucket {
    async fn fill_here(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<Fill> {
        const DOING: &str = "filling a vacancy";
        let fill = |generation: u64, command: &mut Cmd| {
            self.single(generation, key, command);
            command.arg(value).arg(ttl.map_or(0, millis));
        };
        let answer = self.script(DOING, self.keys.group(key), Call::Write, &script::FILL, fill).await?;
        let stored = ended(DOING, answer)?;
        let found = match stored {
            None => None,
            Some(Some(found)) => Some(found),
            Some(None) => return Err(odd(DOING, Call::Write)),
        };
        self.large.note(key, found.as_ref().map_or(value.len(), Vec::len));
        Ok(found.map_or(Fill::Stored, |found| Fill::Found(Bytes::from(found).into())))
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
