//! Counters and compare-and-swap.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Atomic, Guard, Result, Swap};
use redis::{Cmd, Pipeline, Value};

use crate::call::{Step, bytes, none_refused};
use crate::error::{Call, odd, refused};
use crate::guard::KeyGuard;
use crate::large::LARGE_BYTES;
use crate::script;
use crate::store::Bucket;

/// What a compare-and-swap was doing when it failed.
const COMPARING: &str = "comparing an entry";

#[async_trait]
impl Atomic for Bucket {
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        const DOING: &str = "adding to a counter";
        let group = self.keys.group(key);
        let add = |generation: u64, commands: &mut Pipeline| {
            commands.cmd("INCRBY").arg(self.keys.entry(generation, key)).arg(delta);
            self.list(group, generation, [key], commands);
        };
        let answers = self.transact(DOING, group, Step::Create, add).await?;
        match answers.split_first() {
            Some((Value::Int(sum), rest)) => none_refused(DOING, Call::Write, rest).map(|()| *sum),
            // Only what is there can be no number. That it is listed now is all that was done.
            Some((Value::ServerError(error), _)) => Err(refused(DOING, error)),
            _ => Err(odd(DOING, Call::Write)),
        }
    }

    async fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, new: Option<Bytes>) -> Result<Swap> {
        let size = expected.map_or(0, <[u8]>::len) + new.as_ref().map_or(0, Bytes::len);
        if size > LARGE_BYTES || self.large.is(key) {
            let (key, expected) = (key.to_owned(), expected.map(Bytes::copy_from_slice));
            let swap =
                |bucket: Self| async move { bucket.compare_here(&key, expected.as_deref(), new.as_deref()).await };
            return self.aside(COMPARING, Call::Write, swap).await;
        }
        self.compare_here(key, expected, new.as_deref()).await
    }

    async fn cas(&self, key: &str) -> Result<Box<dyn Guard>> {
        let key = key.to_owned();
        let take = |bucket: Self| async move { KeyGuard::take(&bucket, &key).await };
        Ok(Box::new(self.aside("taking a guard", Call::Read, take).await?))
    }
}

impl Bucket {
    async fn compare_here(&self, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<Swap> {
        let swap = |generation: u64, command: &mut Cmd| {
            self.single(generation, key, command);
            optional(expected, command);
            optional(new, command);
        };
        let answer = self.script(COMPARING, self.keys.group(key), Call::Write, &script::COMPARE_AND_SWAP, swap).await?;
        let (size, swap) = match ended(COMPARING, answer)? {
            None => (new.map_or(0, <[u8]>::len), Swap::Swapped),
            Some(None) => (0, Swap::Found(None)),
            Some(Some(found)) => (found.len(), Swap::Found(Some(Bytes::from(found).into()))),
        };
        self.large.note(key, size);
        Ok(swap)
    }

    /// The keys and first arguments of a script on one entry.
    pub(crate) fn single(&self, generation: u64, key: &str, command: &mut Cmd) {
        let group = self.keys.group(key);
        let registry = self.inner.registry_beside();
        command.arg(3 + usize::from(registry.is_some())).arg(self.keys.generation(group));
        command.arg(self.keys.entry(generation, key)).arg(self.keys.index(group, generation)).arg(registry);
        command.arg(generation).arg(key).arg(self.keys.member(generation));
    }
}

fn optional(value: Option<&[u8]>, command: &mut Cmd) {
    command.arg(i32::from(value.is_some())).arg(value.unwrap_or_default());
}

/// How a script on one entry ended: `None` if it wrote, else what it found.
pub(crate) fn ended(doing: &str, answer: Vec<Value>) -> Result<Option<Option<Vec<u8>>>> {
    let mut answer = answer.into_iter();
    match (answer.next(), answer.next()) {
        (Some(Value::Int(0)), _) => Ok(None),
        (Some(Value::Int(1)), found) => Ok(Some(bytes(doing, found.unwrap_or_default())?)),
        _ => Err(odd(doing, Call::Write)),
    }
}
