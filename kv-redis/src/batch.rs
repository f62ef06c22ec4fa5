//! Many entries in one call, and listings.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::local::cursor;
use kv_core::{Batch, Effect, Error, ErrorKind, IncomingValue, Page, PageRequest, Result};
use redis::{Cmd, Pipeline, Value};

use crate::error::{Call, odd};
use crate::large::LARGE_BYTES;
use crate::layout::after;
use crate::script;
use crate::store::{Bucket, bytes, none_refused};

/// Keys or entries of one command: more take several, in one step.
const CHUNK: usize = 1_000;

/// Members of the index that one page looks at: what is gone makes a page shorter, not longer.
const PAGE_LOOKS: usize = 20_000;

/// What a batch was doing when it failed.
const READING: &str = "reading entries";
const WRITING: &str = "writing entries";
const REMOVING: &str = "removing entries";

/// The provider's name in cursors.
const CURSOR: &str = "redis";

#[async_trait]
impl Batch for Bucket {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        if keys.len() > CHUNK || keys.iter().any(|key| self.large.is(key)) {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            let read = move |bucket: Self| async move { bucket.get_many_here(&keys, budget).await };
            return self.aside(READING, Call::Read, read).await;
        }
        self.get_many_here(keys, budget).await
    }

    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()> {
        let size: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        for (key, value) in entries {
            self.large.note(key, value.len());
        }
        if size > LARGE_BYTES || entries.len() > CHUNK {
            let entries: Vec<(String, Bytes)> =
                entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            let write = move |bucket: Self| async move { bucket.set_many_here(&entries).await };
            return self.aside(WRITING, Call::Write, write).await;
        }
        self.set_many_here(entries).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        if keys.len() > CHUNK {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            let remove = move |bucket: Self| async move { bucket.delete_many_here(&keys).await };
            return self.aside(REMOVING, Call::Write, remove).await;
        }
        self.delete_many_here(keys).await
    }

    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        const DOING: &str = "listing keys";
        let PageRequest { prefix, cursor, limit, budget } = request;
        let from = match cursor {
            None => [b"[", prefix.as_bytes()].concat(),
            Some(cursor) => {
                let last = cursor::decode(CURSOR, &self.name, cursor)?;
                if last.as_str() < prefix {
                    [b"[", prefix.as_bytes()].concat()
                } else {
                    [b"(", last.as_bytes()].concat()
                }
            }
        };
        let to = after(prefix);
        let page = |generation: u64, command: &mut Cmd| {
            command.arg(2).arg(&*self.keys.generation).arg(self.keys.index(generation));
            command.arg(generation).arg(self.keys.entries(generation)).arg(&from).arg(&to);
            command.arg(limit).arg(budget).arg(PAGE_LOOKS);
        };
        let answer = self.script(DOING, Call::Write, &script::PAGE, page).await.map_err(as_read)?;
        let mut answer = answer.into_iter();
        let (Some(Value::Int(0)), Some(Value::Int(more)), Some(last)) = (answer.next(), answer.next(), answer.next())
        else {
            return Err(odd(DOING, Call::Read));
        };
        let last = text(DOING, last)?;
        let keys = answer.map(|key| text(DOING, key)).collect::<Result<Vec<String>>>()?;
        Ok(Page { keys, cursor: (more == 1).then(|| cursor::encode(CURSOR, &self.name, &last)) })
    }
}

impl Bucket {
    async fn get_many_here<K: AsRef<str> + Sync>(
        &self,
        keys: &[K],
        budget: usize,
    ) -> Result<Vec<Option<IncomingValue>>> {
        // One script for all: it stops at the budget.
        let read = |generation: u64, command: &mut Cmd| {
            command.arg(keys.len() + 1).arg(&*self.keys.generation);
            for key in keys {
                command.arg(self.keys.entry(generation, key.as_ref()));
            }
            command.arg(generation).arg(budget);
        };
        let mut values = self.script(READING, Call::Read, &script::READ_MANY, read).await?.into_iter();
        if values.next() != Some(Value::Int(0)) {
            return Err(Error::reply_limit(budget));
        }
        let mut found = Vec::with_capacity(keys.len());
        for value in values {
            found.push(bytes(READING, value)?.map(|value| Bytes::from(value).into()));
        }
        if found.len() == keys.len() { Ok(found) } else { Err(odd(READING, Call::Read)) }
    }

    async fn set_many_here<K: AsRef<str> + Sync>(&self, entries: &[(K, Bytes)]) -> Result<()> {
        let write = |generation: u64, commands: &mut Pipeline| {
            for some in entries.chunks(CHUNK) {
                commands.cmd("MSET");
                for (key, value) in some {
                    commands.arg(self.keys.entry(generation, key.as_ref())).arg(&**value);
                }
                self.list(generation, some.iter().map(|(key, _)| key.as_ref()), commands);
            }
        };
        none_refused(WRITING, Call::Write, &self.transact(WRITING, Call::Write, write).await?)
    }

    async fn delete_many_here<K: AsRef<str> + Sync>(&self, keys: &[K]) -> Result<()> {
        let remove = |generation: u64, commands: &mut Pipeline| {
            for some in keys.chunks(CHUNK) {
                commands.cmd("UNLINK");
                for key in some {
                    commands.arg(self.keys.entry(generation, key.as_ref()));
                }
                commands.cmd("ZREM").arg(self.keys.index(generation));
                for key in some {
                    commands.arg(key.as_ref());
                }
            }
        };
        none_refused(REMOVING, Call::Write, &self.transact(REMOVING, Call::Write, remove).await?)
    }
}

fn text(doing: &str, value: Value) -> Result<String> {
    let bytes = bytes(doing, value)?.ok_or_else(|| odd(doing, Call::Read))?;
    String::from_utf8(bytes).ok().ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, Effect::None, format!("{doing}: the index holds a key that is not UTF-8"))
    })
}

/// A listing tidies the index up, so it is sent as a write; for the caller it is a read.
fn as_read(error: Error) -> Error {
    match error.effect() {
        Effect::None => error,
        Effect::Unknown => Error::new(error.kind(), Effect::None, error.to_string()),
    }
}
