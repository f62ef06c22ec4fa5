//! Many entries in one call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Batch, Error, IncomingValue, Page, PageRequest, Result};
use sled::IVec;
use tokio::sync::OwnedRwLockWriteGuard;
use tokio::task::yield_now;

use crate::entry::{Content, Entry, Seen, find, is_cut};
use crate::error::Fault;
use crate::io::offload;
use crate::journal::{self, Journal};
use crate::layout::EntryKey;
use crate::overflow::Pin;
use crate::record::{Record, plain};
use crate::store::{Bucket, SLICE, charge};

/// Batches up to this many entries, each with a small value, are applied on the caller's task: they take well under
/// the 1 ms that a poll may last. The contract asks for the pool above 1,024 entries.
const INLINE_ENTRIES: usize = 32;

/// Bytes of a batch up to which it is applied on the caller's task.
const INLINE_BYTES: usize = 32 << 10;

/// Keys that a read looks up before it looks at the clock.
const KEYS_PER_LOOK: usize = 16;

#[async_trait]
impl Batch for Bucket {
    async fn get_many(&self, keys: &[&str], budget: usize) -> Result<Vec<Option<IncomingValue>>> {
        charge(keys.len().div_ceil(KEYS_PER_LOOK)).await;
        let mut lookups = Lookups::new(self, keys.len(), budget);
        if let Some(mark) = self.inner.gate.mark() {
            lookups = self.look_up(lookups, keys).await?;
            if self.inner.gate.unmoved(mark) {
                return self.load_all(lookups).await;
            }
            lookups = Lookups::new(self, keys.len(), budget);
        }
        let _shared = self.inner.gate.share().await;
        let lookups = self.look_up(lookups, keys).await?;
        self.load_all(lookups).await
    }

    async fn set_many(&self, entries: &[(&str, Bytes)]) -> Result<()> {
        // Of a repeated key only the last is written.
        let mut last: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
        for (at, (key, _)) in entries.iter().enumerate() {
            last.insert(key, at);
        }
        let mut changes = Vec::with_capacity(last.len());
        for (at, (key, value)) in entries.iter().enumerate() {
            if last.get(key) == Some(&at) {
                changes.push(((*key).to_owned(), Some(self.prepare(key, value.clone()).await?)));
            }
        }
        self.apply(changes).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        let mut seen = HashSet::with_capacity(keys.len());
        let keys = keys.iter().filter(|key| seen.insert(**key));
        self.apply(keys.map(|key| ((*key).to_owned(), None)).collect()).await
    }

    async fn keys(&self, request: PageRequest<'_>) -> Result<Page> {
        self.page(request).await
    }
}

/// One change of a batch: a key with its new content, or with `None` for its removal.
type Change = (String, Option<Content>);

impl Bucket {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        charge(changes.len()).await;
        let bytes: usize = changes.iter().map(|(key, new)| key.len() + new.as_ref().map_or(0, content_bytes)).sum();
        let alone = self.inner.gate.alone().await;
        let is_short = changes.len() <= INLINE_ENTRIES && bytes <= INLINE_BYTES;
        if is_short && self.inner.io.is_inline() {
            self.inner.io.inline(|| self.apply_alone(changes, &alone))?;
            drop(alone);
        } else {
            // From here on the batch is applied whether or not somebody waits for it.
            let bucket = self.clone();
            offload(move || {
                let done = bucket.apply_alone(changes, &alone);
                drop(alone);
                done
            })
            .await??;
        }
        self.acknowledge().await
    }

    fn apply_alone(&self, changes: Vec<Change>, alone: &OwnedRwLockWriteGuard<()>) -> Result<()> {
        let inner = &*self.inner;
        inner.engine.check_writable()?;
        let bytes: usize = changes.iter().map(|(key, new)| key.len() + new.as_ref().map_or(0, content_bytes)).sum();
        // Once for the journal and once for the entries.
        inner.space.take(bytes.saturating_mul(2))?;
        inner.engine.write("writing a batch", |trees| {
            if self.state.id().is_none() && changes.iter().all(|(_, new)| new.is_none()) {
                return Ok(());
            }
            let id = inner.registry.id_for_write(trees, &self.state)?;
            let mut journal = Journal::default();
            for (key, new) in &changes {
                let at = EntryKey::new(id, key);
                if let Some(new) = new {
                    // Before the journal: what it holds is applied after a crash without looking at owners.
                    new.own(trees, &at)?;
                }
                let record = new.as_ref().map(|new| new.record(None));
                journal.push(at.as_slice(), record.as_ref());
            }
            journal.write(trees)?;
            inner.gate.apply(alone, || {
                let mut undo = inner.torn.watch(Some(inner.overflows.pin()));
                for (key, new) in changes {
                    let at = EntryKey::new(id, &key);
                    undo.note(at.as_slice(), trees.entries.get(&at)?);
                    let mut entry = Entry::lock(inner, trees, &self.state, &key);
                    match new {
                        Some(new) => entry.store(new, None)?,
                        None => entry.remove()?,
                    }
                }
                journal::clear(trees)?;
                undo.forget();
                Ok(())
            })
        })
    }

    /// Looks the keys up, in slices.
    async fn look_up(&self, mut lookups: Lookups, keys: &[&str]) -> Result<Lookups> {
        let inner = &*self.inner;
        if inner.io.is_inline() {
            while !inner.io.slice(SLICE, || lookups.step(self, keys))? {
                yield_now().await;
            }
            return Ok(lookups);
        }
        let bucket = self.clone();
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        offload(move || {
            while !lookups.step(&bucket, &keys)? {}
            Ok(lookups)
        })
        .await?
    }

    async fn load_all(&self, lookups: Lookups) -> Result<Vec<Option<IncomingValue>>> {
        let Lookups { mut found, cut, pin, .. } = lookups;
        for (at, record) in cut {
            let value = self.load(Seen::Cut(Box::new((Arc::clone(&pin), record)))).await?;
            if let Some(place) = found.get_mut(at) {
                *place = Some(value.into());
            }
        }
        Ok(found)
    }
}

/// The bytes that applying a content moves: pieces were written before.
fn content_bytes(content: &Content) -> usize {
    if content.writing.is_some() { 0 } else { content.value.len() }
}

/// Lookups of many keys, in slices.
struct Lookups {
    found: Vec<Option<IncomingValue>>,
    /// Values that are cut into pieces, with their places.
    cut: Vec<(usize, Record)>,
    /// Bytes of values that the reply may still hold.
    left: usize,
    budget: usize,
    /// Taken before the first record is read, so that all pieces stay.
    pin: Arc<Pin>,
}

impl Lookups {
    fn new(bucket: &Bucket, keys: usize, budget: usize) -> Self {
        let pin = Arc::new(bucket.inner.overflows.pin());
        Self { found: Vec::with_capacity(keys), cut: Vec::new(), left: budget, budget, pin }
    }

    /// Takes in the raw record of the next key, as it was found.
    fn take(&mut self, raw: Option<IVec>) -> Result<(), Fault> {
        let Some(raw) = raw else {
            self.found.push(None);
            return Ok(());
        };
        let record = match plain(raw) {
            Ok(value) => {
                self.charge(value.len())?;
                self.found.push(Some(value.into()));
                return Ok(());
            }
            Err(raw) => Record::read(raw)?,
        };
        if !record.is_live() {
            self.found.push(None);
            return Ok(());
        }
        self.charge(record.value_bytes())?;
        if is_cut(&record) {
            self.cut.push((self.found.len(), record));
            self.found.push(None);
        } else {
            self.found.push(Some(record.into_inline().into()));
        }
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| Error::reply_limit(self.budget))?;
        Ok(())
    }

    /// Looks up for about a slice; tells whether all are done.
    fn step<K: AsRef<str>>(&mut self, bucket: &Bucket, keys: &[K]) -> Result<bool> {
        let begun = Instant::now();
        bucket.inner.engine.read("reading entries", |trees| {
            let left = keys.get(self.found.len()..).unwrap_or_default();
            let Some(id) = bucket.state.id() else {
                self.found.extend(left.iter().map(|_| None));
                return Ok(true);
            };
            let mut entries = Vec::with_capacity(KEYS_PER_LOOK.min(left.len()));
            for some in left.chunks(KEYS_PER_LOOK) {
                // All of them before the first is looked up, 3 per cent faster than by turns: the processor fetches the
                // callers' keys from memory together. With 64 at a time half of that is lost again.
                entries.clear();
                entries.extend(some.iter().map(|key| EntryKey::new(id, key.as_ref())));
                for entry in &entries {
                    self.take(find(&bucket.inner, trees, entry)?)?;
                }
                if begun.elapsed() > SLICE {
                    break;
                }
            }
            Ok(self.found.len() == keys.len())
        })
    }
}
