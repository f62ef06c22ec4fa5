use std::fs::File;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kv::Durability;
use parking_lot::Mutex;
use sled::{IVec, Tree};

use crate::client::{Client, Raw, Result, SetNow, missing};

/// sled as its documentation shows it: one tree, `insert` and `get`, and a flush where the class asks for one.
#[derive(Clone)]
pub(crate) struct RawSled {
    tree: Tree,
    flush: Option<Arc<Flush>>,
}

/// Flushes one at a time, as a careful program does: two flushes of sled at once can wait for each other for ever.
struct Flush {
    turn: Mutex<()>,
    /// The log, where the class is `Power`: sled's own flush leaves it in the reach of a power cut.
    log: Option<File>,
}

impl RawSled {
    /// Opens the default tree of a store in `folder`. `Volatile` leaves sled's own flush every 500 ms on, the other
    /// classes flush at each write and need none.
    ///
    /// # Errors
    ///
    /// What sled has.
    pub(crate) fn open(folder: &Path, durability: Durability) -> Result<Self> {
        let volatile = durability == Durability::Volatile;
        let config = sled::Config::new().path(folder);
        let db = if volatile { config.open()? } else { config.flush_every_ms(None).open()? };
        let flush = if volatile {
            None
        } else {
            let power = durability == Durability::Power;
            let log = if power { Some(File::open(folder.join("db"))?) } else { None };
            Some(Arc::new(Flush { turn: Mutex::new(()), log }))
        };
        let tree: &Tree = &db;
        Ok(Self { tree: tree.clone(), flush })
    }

    fn acknowledge(&self) -> Result {
        if let Some(flush) = &self.flush {
            let _turn = flush.turn.lock();
            self.tree.flush()?;
            if let Some(log) = &flush.log {
                log.sync_all()?;
            }
        }
        Ok(())
    }
}

impl Client for RawSled {
    type Cursor = IVec;

    async fn get(&mut self, key: &str) -> Result<usize> {
        let value = self.tree.get(key)?.ok_or_else(|| missing(key))?;
        Ok(value.len())
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result {
        self.set_now(key, value)
    }

    async fn get_many(&mut self, keys: &[String]) -> Result<usize> {
        let found = keys.iter().map(|key| self.tree.get(key)).collect::<sled::Result<Vec<Option<IVec>>>>()?;
        Ok(found.iter().flatten().count())
    }

    async fn set_many(&mut self, entries: Vec<(&str, Bytes)>) -> Result {
        for (key, value) in entries {
            self.tree.insert(key, &value[..])?;
        }
        self.acknowledge()
    }

    async fn page(&mut self, cursor: Option<IVec>, limit: usize) -> Result<(usize, Option<IVec>)> {
        let from = cursor.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.tree.range::<&[u8], _>((from, Bound::Unbounded));
        let keys = range.keys().take(limit).collect::<sled::Result<Vec<IVec>>>()?;
        let next = if keys.len() == limit { keys.last().cloned() } else { None };
        Ok((keys.len(), next))
    }

    async fn increment(&mut self, key: &str) -> Result<i64> {
        let mut sum = None;
        self.tree.fetch_and_update(key, |stored| {
            sum = stored.and_then(|text| std::str::from_utf8(text).ok()?.parse::<i64>().ok()?.checked_add(1));
            sum.map(|sum| sum.to_string().into_bytes())
        })?;
        self.acknowledge()?;
        Ok(sum.ok_or_else(|| missing(key))?)
    }
}

impl Raw for RawSled {
    fn blocking(&self) -> Option<&dyn SetNow> {
        Some(self)
    }
}

impl SetNow for RawSled {
    fn set_now(&self, key: &str, value: &Bytes) -> Result {
        self.tree.insert(key, &value[..])?;
        self.acknowledge()
    }
}
