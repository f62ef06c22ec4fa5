//! What all handles on a store share, and how their calls run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kv_core::local::errors::unsynced;
use kv_core::local::{Bell, Committer, Hub, KeyLocks, is_due, units_due};
use kv_core::{Durability, Result};
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use crate::config::Config;
use crate::engine::{Engine, Trees};
use crate::entry::{Content, Entry, Seen};
use crate::error::Fault;
use crate::gate::Gate;
use crate::io::{Io, offload};
use crate::layout::{EntryKey, INLINE_VALUE_BYTES, is_long};
use crate::overflow::{Overflows, Pin, Reading, Writing};
use crate::record::Record;
use crate::registry::{BucketState, Registry};
use crate::space::Space;
use crate::torn::Torn;

/// How long a step of longer work takes before it lets others run: well under the 1 ms that a poll may last
/// (RUN-2).
pub(crate) const SLICE: Duration = Duration::from_micros(400);

/// Units of a task's budget that one call uses up at most: longer ones yield by themselves.
const MOST_CHARGED: usize = 64;

/// Uses up the task's budget for a short call (RUN-2).
#[inline]
async fn charge_short() {
    if is_due() {
        charge_due().await;
    }
}

/// Uses it up for short calls that were counted.
async fn charge_due() {
    for _ in 0..units_due() {
        consume_budget().await;
    }
}

/// Uses up the task's budget by the work of a longer call, or a task that makes long ones again and again would not yield for
/// tens of milliseconds (RUN-2).
pub(crate) async fn charge(units: usize) {
    for _ in 0..units.clamp(1, MOST_CHARGED) {
        consume_budget().await;
    }
}

/// Values from this size on are read and written on the blocking pool where the policy allows it: moving them takes
/// longer than moving the call.
const POOL_FROM_BYTES: usize = 128 << 10;

/// Bytes that a slice of writing pieces takes, at most about.
const SLICE_BYTES: usize = 1 << 20;

/// Bytes that writing an entry takes, on average; pieces are counted by themselves.
const ENTRY_BYTES: usize = 1 << 10;

/// What a read was doing when it failed.
const READING: &str = "reading an entry";

/// A store, without its threads.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) engine: Arc<Engine>,
    pub(crate) gate: Gate,
    pub(crate) io: Io,
    pub(crate) locks: KeyLocks,
    pub(crate) hub: Arc<Hub>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) overflows: Arc<Overflows>,
    pub(crate) flusher: Committer,
    pub(crate) bell: Arc<Bell>,
    pub(crate) torn: Torn,
    pub(crate) space: Space,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The threads end by themselves; the last one lets go of the engine.
        self.bell.stop();
        self.hub.close();
    }
}

impl Inner {
    /// Waits until what was written is as durable as the store promises (DUR-1).
    pub(crate) async fn acknowledge(&self) -> Result<()> {
        if self.config.durability == Durability::Volatile {
            self.flusher.note();
            return Ok(());
        }
        self.flusher.acknowledge().await.map_err(|failed| unsynced(&failed))
    }

    /// Writes pieces for about a slice; tells whether all are written.
    fn write_some(&self, writing: &mut Writing) -> Result<bool> {
        self.engine.check_writable()?;
        self.space.take(SLICE_BYTES)?;
        self.engine.write("writing a large entry", |trees| writing.step(trees, SLICE))
    }
}

/// An open bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) inner: Arc<Inner>,
    pub(crate) state: Arc<BucketState>,
}

impl Bucket {
    /// Runs a read of one key, and runs it again behind the gate if a batch came between.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        key: &str,
        step: impl Fn(&Self, &Trees, &str) -> Result<T, Fault> + Copy + Send + 'static,
    ) -> Result<T> {
        charge_short().await;
        if self.inner.io.is_inline()
            && let Some(seen) = self.inner.io.inline(|| self.glimpse(key, step))
        {
            return seen;
        }
        // Boxed, so that the usual future stays small.
        Box::pin(self.read_slowly(key, step)).await
    }

    async fn read_slowly<T: Send + 'static>(
        &self,
        key: &str,
        step: impl Fn(&Self, &Trees, &str) -> Result<T, Fault> + Copy + Send + 'static,
    ) -> Result<T> {
        if !self.inner.io.is_inline() {
            let (bucket, at) = (self.clone(), key.to_owned());
            if let Some(seen) = offload(move || bucket.glimpse(&at, step)).await? {
                return seen;
            }
            let shared = self.inner.gate.share_owned().await;
            let (bucket, at) = (self.clone(), key.to_owned());
            let again = move || {
                let seen = bucket.inner.engine.read(READING, |trees| step(&bucket, trees, &at));
                drop(shared);
                seen
            };
            return offload(again).await?;
        }
        let _shared = self.inner.gate.share().await;
        self.inner.engine.read(READING, |trees| step(self, trees, key))
    }

    fn glimpse<T>(&self, key: &str, step: impl Fn(&Self, &Trees, &str) -> Result<T, Fault>) -> Option<Result<T>> {
        let inner = &*self.inner;
        inner.gate.glimpse(|| inner.engine.read(READING, |trees| step(self, trees, key)))
    }

    /// Runs a step on one entry under its key's lock.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        key: &str,
        step: impl FnOnce(&mut Entry<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        charge_short().await;
        if self.inner.io.is_inline()
            && let Some(_shared) = self.inner.gate.try_share()
        {
            return self.inner.io.inline(|| self.step(key, step));
        }
        // Boxed, so that the usual future stays small.
        Box::pin(self.write_slowly(key, step)).await
    }

    async fn write_slowly<T: Send + 'static>(
        &self,
        key: &str,
        step: impl FnOnce(&mut Entry<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        if self.inner.io.is_inline() {
            let _shared = self.inner.gate.share().await;
            return self.inner.io.inline(|| self.step(key, step));
        }
        // The call goes on if this future is dropped, and must keep batches out until it ends.
        let shared = self.inner.gate.share_owned().await;
        let (bucket, key) = (self.clone(), key.to_owned());
        offload(move || {
            let done = bucket.step(&key, step);
            drop(shared);
            done
        })
        .await?
    }

    fn step<T>(&self, key: &str, step: impl FnOnce(&mut Entry<'_>) -> Result<T, Fault>) -> Result<T> {
        let inner = &*self.inner;
        inner.engine.check_writable()?;
        inner.space.take(ENTRY_BYTES)?;
        inner.engine.write("writing an entry", |trees| step(&mut Entry::lock(inner, trees, &self.state, key)))
    }

    /// Waits until what was written is as durable as the store promises.
    pub(crate) async fn acknowledge(&self) -> Result<()> {
        self.inner.acknowledge().await
    }

    /// Makes a value ready to be stored under `key`: writes the pieces of what is too large for a record.
    pub(crate) async fn prepare(&self, key: &str, value: Bytes) -> Result<Content> {
        if value.len() <= INLINE_VALUE_BYTES && !is_long(key) {
            return Ok(Content { value, writing: None });
        }
        Box::pin(self.prepare_pieces(key, value)).await
    }

    async fn prepare_pieces(&self, key: &str, value: Bytes) -> Result<Content> {
        let cut = value.len() > INLINE_VALUE_BYTES;
        let inner = &*self.inner;
        let writing = {
            let _shared = inner.gate.share().await;
            let id = inner.engine.write("making a bucket", |trees| inner.registry.id_for_write(trees, &self.state))?;
            let long = is_long(key).then_some(key);
            inner.overflows.begin(EntryKey::new(id, key), long, cut.then(|| value.clone()))
        };
        Ok(Content { writing: Some(Box::new(self.write_pieces(writing, value.len()).await?)), value })
    }

    async fn write_pieces(&self, mut writing: Writing, bytes: usize) -> Result<Writing> {
        let inner = &*self.inner;
        if inner.io.may_offload() && (bytes >= POOL_FROM_BYTES || !inner.io.is_inline()) {
            let inner = Arc::clone(&self.inner);
            return offload(move || {
                while !inner.write_some(&mut writing)? {}
                Ok(writing)
            })
            .await?;
        }
        while !inner.io.slice(SLICE, || inner.write_some(&mut writing))? {
            yield_now().await;
        }
        Ok(writing)
    }

    /// Reads the pieces of a value, if it is cut into some.
    pub(crate) async fn load(&self, seen: Seen) -> Result<Bytes> {
        match seen {
            Seen::Whole(value) => Ok(value),
            Seen::Cut(cut) => Box::pin(self.load_pieces(*cut)).await,
        }
    }

    async fn load_pieces(&self, (pin, record): (Arc<Pin>, Record)) -> Result<Bytes> {
        const DOING: &str = "reading a large value";
        let Some(mut reading) = Reading::value(&record.head) else { return Ok(record.into_inline()) };
        let inner = &*self.inner;
        if inner.io.may_offload() && (record.value_bytes() >= POOL_FROM_BYTES || !inner.io.is_inline()) {
            let inner = Arc::clone(&self.inner);
            return offload(move || {
                while !inner.engine.read(DOING, |trees| reading.step(trees, SLICE))? {}
                drop(pin);
                Ok(reading.finish())
            })
            .await?;
        }
        while !inner.io.slice(SLICE, || inner.engine.read(DOING, |trees| reading.step(trees, SLICE)))? {
            yield_now().await;
        }
        Ok(reading.finish())
    }
}
