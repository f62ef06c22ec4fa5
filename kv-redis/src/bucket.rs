//! Reads and writes of single entries.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Atomic, Cache, IncomingValue, ProviderBucket, ReadWrite, Result, Watch};
use redis::{Pipeline, Value};

use crate::call::{Step, bytes, none_refused};
use crate::error::{Call, odd};
use crate::large::LARGE_BYTES;
use crate::layout::Group;
use crate::store::Bucket;

impl ProviderBucket for Bucket {
    fn atomic(&self) -> Option<&dyn Atomic> {
        Some(self)
    }

    fn cache(&self) -> Option<&dyn Cache> {
        Some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

#[async_trait]
impl ReadWrite for Bucket {
    async fn get(&self, key: &str) -> Result<Option<IncomingValue>> {
        const DOING: &str = "reading an entry";
        let found = if self.large.is(key) {
            let key = key.to_owned();
            let read = |bucket: Self| async move { bucket.read(DOING, "GET", &key).await };
            self.aside(DOING, Call::Read, read).await?
        } else {
            self.read(DOING, "GET", key).await?
        };
        let found = bytes(DOING, found)?;
        self.large.note(key, found.as_ref().map_or(0, Vec::len));
        Ok(found.map(|found| Bytes::from(found).into()))
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        const DOING: &str = "writing an entry";
        if value.len() > LARGE_BYTES {
            return self.create(DOING, key, value, None).await;
        }
        self.large.note(key, value.len());
        let write = |physical: &[u8]| {
            let mut set = redis::cmd("SET");
            set.arg(physical).arg(&*value).arg("XX");
            set
        };
        match self.overwrite(DOING, key, write).await? {
            Value::Okay => Ok(()),
            Value::Nil => self.create(DOING, key, value, None).await,
            _ => Err(odd(DOING, Call::Write)),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        const DOING: &str = "removing an entry";
        let group = self.keys.group(key);
        let remove = |generation: u64, commands: &mut Pipeline| {
            commands.cmd("UNLINK").arg(self.keys.entry(generation, key));
            commands.cmd("ZREM").arg(self.keys.index(group, generation)).arg(key);
        };
        none_refused(DOING, Call::Write, &self.transact(DOING, group, Step::Change, remove).await?)
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        const DOING: &str = "looking for an entry";
        match self.read(DOING, "EXISTS", key).await? {
            Value::Int(found) => Ok(found == 1),
            _ => Err(odd(DOING, Call::Read)),
        }
    }
}

impl Bucket {
    /// Writes an entry that may be absent, with a time to live in milliseconds where it is given.
    pub(crate) async fn create(&self, doing: &'static str, key: &str, value: Bytes, ttl: Option<u64>) -> Result<()> {
        self.large.note(key, value.len());
        if value.len() <= LARGE_BYTES {
            return self.create_here(doing, key, &value, ttl).await;
        }
        let key = key.to_owned();
        let write = move |bucket: Self| async move { bucket.create_here(doing, &key, &value, ttl).await };
        self.aside(doing, Call::Write, write).await
    }

    async fn create_here(&self, doing: &str, key: &str, value: &[u8], ttl: Option<u64>) -> Result<()> {
        let group = self.keys.group(key);
        let write = |generation: u64, commands: &mut Pipeline| {
            let set = commands.cmd("SET").arg(self.keys.entry(generation, key)).arg(value);
            if let Some(millis) = ttl {
                set.arg("PX").arg(millis);
            }
            self.list(group, generation, [key], commands);
        };
        none_refused(doing, Call::Write, &self.transact(doing, group, Step::Create, write).await?)
    }

    /// Adds keys of a group to its index, and the bucket to the registry where that can be one step.
    pub(crate) fn list<'k>(
        &self,
        group: Group,
        generation: u64,
        keys: impl IntoIterator<Item = &'k str>,
        commands: &mut Pipeline,
    ) {
        commands.cmd("ZADD").arg(self.keys.index(group, generation));
        for key in keys {
            commands.arg(0).arg(key);
        }
        if let Some(registry) = self.inner.registry_beside() {
            commands.cmd("ZADD").arg(registry).arg(0).arg(self.keys.member(generation));
        }
    }
}
