use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::client::{Client, Raw, Result, SetNow, missing};

/// What a program without us would write: an ordered map under a lock.
#[derive(Clone, Default)]
pub(crate) struct RawMemory(Arc<RwLock<BTreeMap<Box<str>, Bytes>>>);

impl Client for RawMemory {
    type Cursor = Box<str>;

    async fn get(&mut self, key: &str) -> Result<usize> {
        let value = self.0.read().get(key).cloned().ok_or_else(|| missing(key))?;
        Ok(value.len())
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result {
        self.set_now(key, value)
    }

    async fn get_many(&mut self, keys: &[String]) -> Result<usize> {
        let found: Vec<Option<Bytes>> = keys.iter().map(|key| self.0.read().get(key.as_str()).cloned()).collect();
        Ok(found.iter().flatten().count())
    }

    async fn set_many(&mut self, entries: Vec<(&str, Bytes)>) -> Result {
        for (key, value) in entries {
            self.set_now(key, &value)?;
        }
        Ok(())
    }

    async fn page(&mut self, cursor: Option<Box<str>>, limit: usize) -> Result<(usize, Option<Box<str>>)> {
        let from = cursor.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let keys: Vec<Box<str>> =
            self.0.read().range::<str, _>((from, Bound::Unbounded)).take(limit).map(|(key, _)| key.clone()).collect();
        let next = if keys.len() == limit { keys.last().cloned() } else { None };
        Ok((keys.len(), next))
    }

    async fn increment(&mut self, key: &str) -> Result<i64> {
        let mut map = self.0.write();
        let stored = map.get_mut(key).ok_or_else(|| missing(key))?;
        let sum = std::str::from_utf8(stored)?.parse::<i64>()? + 1;
        *stored = Bytes::from(sum.to_string());
        Ok(sum)
    }
}

impl Raw for RawMemory {
    fn blocking(&self) -> Option<&dyn SetNow> {
        Some(self)
    }
}

impl SetNow for RawMemory {
    fn set_now(&self, key: &str, value: &Bytes) -> Result {
        self.0.write().insert(key.into(), value.clone());
        Ok(())
    }
}
