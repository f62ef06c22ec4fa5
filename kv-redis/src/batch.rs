//! Many entries in one call: one step on one server; in a cluster one step for each group, all at once.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use kv_core::{Batch, Effect, Error, IncomingValue, Page, PageRequest, Result};
use redis::{Cmd, Pipeline, Value};

use crate::call::{Step, bytes, none_refused};
use crate::error::{Call, odd};
use crate::large::LARGE_BYTES;
use crate::layout::Group;
use crate::script;
use crate::store::Bucket;

/// Keys or entries of one command: more take several, in one step.
const CHUNK: usize = 1_000;

/// What a batch was doing when it failed.
const READING: &str = "reading entries";
const WRITING: &str = "writing entries";
const REMOVING: &str = "removing entries";

#[async_trait]
impl Batch for Bucket {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        if is_long(keys) || keys.iter().any(|key| self.large.is(key)) {
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
        if is_long(keys) {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            let remove = move |bucket: Self| async move { bucket.delete_many_here(&keys).await };
            return self.aside(REMOVING, Call::Write, remove).await;
        }
        self.delete_many_here(keys).await
    }

    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        self.page(request).await
    }
}

/// What a group's part of a batch reads; `None` if it is over the budget.
type Part = Option<Vec<Option<IncomingValue>>>;

impl Bucket {
    /// The places of keys in a batch, by the groups that they are in.
    fn parts<K: AsRef<str>>(&self, keys: impl Iterator<Item = K>) -> Vec<(Group, Vec<usize>)> {
        let mut parts: Vec<(Group, Vec<usize>)> = self.keys.groups().map(|group| (group, Vec::new())).collect();
        for (at, key) in keys.enumerate() {
            if let Some((_, places)) = parts.get_mut(self.keys.group(key.as_ref()).number()) {
                places.push(at);
            }
        }
        parts.retain(|(_, places)| !places.is_empty());
        parts
    }

    async fn get_many_here<K: AsRef<str> + Sync>(
        &self,
        keys: &[K],
        budget: usize,
    ) -> Result<Vec<Option<IncomingValue>>> {
        let over = || Error::reply_limit(budget);
        if !self.inner.namespace.is_spread() {
            let all: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
            return self.read_part(Group::FIRST, &all, budget).await?.ok_or_else(over);
        }
        let parts = self.parts(keys.iter());
        let some = |places: &[usize]| places.iter().filter_map(|at| keys.get(*at)).map(AsRef::as_ref).collect();
        // All at once, each with its share of the budget; those with more than that one after another.
        let share = budget / parts.len().max(1);
        let read = parts.iter().map(|(group, places)| {
            let keys: Vec<&str> = some(places);
            async move { self.read_part(*group, &keys, share).await }
        });
        let mut found = try_join_all(read).await?;
        let bytes = |part: &Part| part.iter().flatten().flatten().map(|value| value.len()).sum::<usize>();
        let mut left = budget.checked_sub(found.iter().map(bytes).sum()).ok_or_else(over)?;
        for (part, (group, places)) in found.iter_mut().zip(&parts).filter(|(part, _)| part.is_none()) {
            *part = self.read_part(*group, &some(places), left).await?;
            left = left.checked_sub(bytes(part)).filter(|_| part.is_some()).ok_or_else(over)?;
        }
        let mut all: Vec<Option<IncomingValue>> = vec![None; keys.len()];
        for (values, (_, places)) in found.into_iter().flatten().zip(&parts) {
            for (value, at) in values.into_iter().zip(places) {
                if let Some(place) = all.get_mut(*at) {
                    *place = value;
                }
            }
        }
        Ok(all)
    }

    async fn read_part(&self, group: Group, keys: &[&str], budget: usize) -> Result<Part> {
        // One script for all: it stops at the budget.
        let read = |generation: u64, command: &mut Cmd| {
            command.arg(keys.len() + 1).arg(self.keys.generation(group));
            for key in keys {
                command.arg(self.keys.entry(generation, key));
            }
            command.arg(generation).arg(budget);
        };
        let mut values = self.script(READING, group, Call::Read, &script::READ_MANY, read).await?.into_iter();
        if values.next() != Some(Value::Int(0)) {
            return Ok(None);
        }
        let mut found = Vec::with_capacity(keys.len());
        for value in values {
            found.push(bytes(READING, value)?.map(|value| Bytes::from(value).into()));
        }
        if found.len() == keys.len() { Ok(Some(found)) } else { Err(odd(READING, Call::Read)) }
    }

    async fn set_many_here<K: AsRef<str> + Sync>(&self, entries: &[(K, Bytes)]) -> Result<()> {
        let parts = self.parts(entries.iter().map(|(key, _)| key));
        let write = parts.iter().map(|(group, places)| async move {
            let write = |generation: u64, commands: &mut Pipeline| {
                for some in places.chunks(CHUNK) {
                    let entries = || some.iter().filter_map(|at| entries.get(*at));
                    commands.cmd("MSET");
                    for (key, value) in entries() {
                        commands.arg(self.keys.entry(generation, key.as_ref())).arg(&**value);
                    }
                    self.list(*group, generation, entries().map(|(key, _)| key.as_ref()), commands);
                }
            };
            none_refused(WRITING, Call::Write, &self.transact(WRITING, *group, Step::Create, write).await?)
        });
        together(join_all(write).await)
    }

    async fn delete_many_here<K: AsRef<str> + Sync>(&self, keys: &[K]) -> Result<()> {
        let parts = self.parts(keys.iter());
        let remove = parts.iter().map(|(group, places)| async move {
            let remove = |generation: u64, commands: &mut Pipeline| {
                for some in places.chunks(CHUNK) {
                    let keys = || some.iter().filter_map(|at| keys.get(*at)).map(AsRef::as_ref);
                    commands.cmd("UNLINK");
                    for key in keys() {
                        commands.arg(self.keys.entry(generation, key));
                    }
                    commands.cmd("ZREM").arg(self.keys.index(*group, generation));
                    for key in keys() {
                        commands.arg(key);
                    }
                }
            };
            none_refused(REMOVING, Call::Write, &self.transact(REMOVING, *group, Step::Change, remove).await?)
        });
        together(join_all(remove).await)
    }
}

/// Whether so many or such long keys are more than a task should put into a connection at once.
fn is_long(keys: &[&str]) -> bool {
    keys.len() > CHUNK || keys.iter().map(|key| key.len()).sum::<usize>() > LARGE_BYTES
}

/// How a batch ended whose parts ended so: without effect only if none had one.
fn together(parts: Vec<Result<()>>) -> Result<()> {
    let has_effect = parts.iter().any(|part| part.as_ref().err().is_none_or(|error| error.effect() == Effect::Unknown));
    match parts.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some(error) if !has_effect || error.effect() == Effect::Unknown => Err(error),
        Some(error) => Err(Error::new(error.kind(), Effect::Unknown, error.to_string())),
    }
}
