use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Declared, Durability, Effect, Error, ErrorKind, IncomingValue, Provider, Result};
use kv_memory::Medium;

use crate::mutants::{Fault, Under};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(medium: &Medium) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(kv_memory::Provider::open(medium)?))
}

/// Somebody keeps the store alive until it is closed.
#[derive(Default)]
pub(super) struct DroppedStaysLocked(Mutex<Vec<Arc<dyn Provider>>>);

#[async_trait]
impl Fault for DroppedStaysLocked {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        lock(&self.0).push(Arc::clone(below));
        Ok(())
    }
}

pub(super) struct CloseNothing;

#[async_trait]
impl Fault for CloseNothing {
    async fn close(&self, _: &Arc<dyn Provider>) -> Result<()> {
        Ok(())
    }
}

pub(super) struct CloseInBackground;

#[async_trait]
impl Fault for CloseInBackground {
    async fn close(&self, below: &Arc<dyn Provider>) -> Result<()> {
        let below = Arc::clone(below);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            below.close().await
        });
        Ok(())
    }
}

/// Remembers, by address, which stores were closed.
#[derive(Default)]
pub(super) struct SecondCloseFails(Mutex<HashSet<usize>>);

#[async_trait]
impl Fault for SecondCloseFails {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        lock(&self.0).remove(&Arc::as_ptr(below).addr());
        Ok(())
    }

    async fn close(&self, below: &Arc<dyn Provider>) -> Result<()> {
        if !lock(&self.0).insert(Arc::as_ptr(below).addr()) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::None, "the store was closed already"));
        }
        below.close().await
    }
}

/// Closes whatever store of this place was opened last.
#[derive(Default)]
pub(super) struct CloseLast(Mutex<Option<Arc<dyn Provider>>>);

#[async_trait]
impl Fault for CloseLast {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        *lock(&self.0) = Some(Arc::clone(below));
        Ok(())
    }

    async fn close(&self, below: &Arc<dyn Provider>) -> Result<()> {
        let last = lock(&self.0).clone();
        last.as_ref().unwrap_or(below).close().await
    }
}

/// How a closed store answers.
#[derive(Clone, Copy)]
pub(super) enum Closed {
    Absent,
    AnotherKind,
    Hang,
    Acknowledge,
}

pub(super) struct ClosedAnswers(pub(super) Closed);

impl ClosedAnswers {
    async fn answer<T>(&self, ended: Result<T>, absent: T) -> Result<T> {
        match ended {
            Err(error) if error.kind() == ErrorKind::Unavailable => match self.0 {
                Closed::Absent => Ok(absent),
                Closed::AnotherKind => Err(Error::new(ErrorKind::Other, Effect::None, "the engine has no such tree")),
                Closed::Hang => std::future::pending().await,
                Closed::Acknowledge => Err(error),
            },
            ended => ended,
        }
    }
}

#[async_trait]
impl Fault for ClosedAnswers {
    async fn get(&self, under: &Under, key: &str) -> Result<Option<IncomingValue>> {
        self.answer(under.bucket.get(key).await, None).await
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        match under.bucket.set(key, value).await {
            Err(error) if error.kind() == ErrorKind::Unavailable && matches!(self.0, Closed::Acknowledge) => Ok(()),
            ended => ended,
        }
    }
}

/// Handles reach the place, not the store that they came from.
#[derive(Default)]
pub(super) struct OldHandlesWriteOn(Mutex<Option<Arc<dyn Provider>>>);

#[async_trait]
impl Fault for OldHandlesWriteOn {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        *lock(&self.0) = Some(Arc::clone(below));
        Ok(())
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        let last = lock(&self.0).clone().unwrap_or_else(|| Arc::clone(&under.provider));
        last.open_bucket(&under.name).await?.set(key, value).await
    }
}

/// Which last call a close does not bring to the disk.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Forgets {
    Write,
    Delete,
    Batch,
}

/// The last calls of a kind are undone by the next opening.
pub(super) struct CloseForgets {
    what: Forgets,
    last: Mutex<Vec<(String, String, Option<Bytes>)>>,
}

impl CloseForgets {
    pub(super) fn new(what: Forgets) -> Self {
        Self { what, last: Mutex::default() }
    }
}

#[async_trait]
impl Fault for CloseForgets {
    async fn opened(&self, below: &Arc<dyn Provider>) -> Result<()> {
        let undone = std::mem::take(&mut *lock(&self.last));
        for (bucket, key, old) in undone {
            let bucket = below.open_bucket(&bucket).await?;
            match old {
                Some(old) => bucket.set(&key, old).await?,
                None => bucket.delete(&key).await?,
            }
        }
        Ok(())
    }

    async fn set(&self, under: &Under, key: &str, value: Bytes) -> Result<()> {
        if self.what == Forgets::Write {
            *lock(&self.last) = vec![(under.name.clone(), key.to_owned(), None)];
        }
        under.bucket.set(key, value).await
    }

    async fn delete(&self, under: &Under, key: &str) -> Result<()> {
        let old = under.bucket.get(key).await?.map(IncomingValue::into_bytes);
        if self.what == Forgets::Delete && old.is_some() {
            *lock(&self.last) = vec![(under.name.clone(), key.to_owned(), old)];
        }
        under.bucket.delete(key).await
    }

    async fn set_many(&self, under: &Under, entries: &[(&str, Bytes)]) -> Result<()> {
        if self.what == Forgets::Batch {
            let keys = entries.iter().map(|(key, _)| (under.name.clone(), (*key).to_owned(), None));
            *lock(&self.last) = keys.collect();
        }
        under.bucket.set_many(entries).await
    }
}

pub(super) struct ClassOverstated;

impl Fault for ClassOverstated {
    fn declared(&self, below: Declared) -> Declared {
        Declared { durability: Durability::Power, ..below }
    }
}

/// How a second open ends that should be locked out.
#[derive(Clone, Copy)]
pub(super) enum SecondOpenIs {
    Shared,
    Taken,
}

pub(super) struct SecondOpen {
    is: SecondOpenIs,
    first: Mutex<Option<Arc<dyn Provider>>>,
}

impl SecondOpen {
    pub(super) fn new(is: SecondOpenIs) -> Self {
        Self { is, first: Mutex::default() }
    }
}

#[async_trait]
impl Fault for SecondOpen {
    async fn open(&self, medium: &Medium) -> Result<Arc<dyn Provider>> {
        let first = lock(&self.first).clone();
        let opened = match (open(medium), first, self.is) {
            (Err(_), Some(first), SecondOpenIs::Shared) => Ok(first),
            (Err(_), Some(first), SecondOpenIs::Taken) => {
                first.close().await?;
                open(medium)
            }
            (ended, _, _) => ended,
        }?;
        *lock(&self.first) = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

pub(super) struct LockedIsUnavailable;

#[async_trait]
impl Fault for LockedIsUnavailable {
    async fn open(&self, medium: &Medium) -> Result<Arc<dyn Provider>> {
        open(medium).map_err(|error| {
            Error::new(ErrorKind::Unavailable, Effect::None, "the store could not be opened").with_source(error)
        })
    }
}
