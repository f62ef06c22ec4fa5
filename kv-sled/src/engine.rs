//! The engine behind one door: every call into sled goes through here, so that a panic becomes `Corrupt`, a failed
//! write turns writing off, and closing can wait for all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{OnceLock, PoisonError};

use crossbeam_utils::sync::ShardedLock;
use kv_core::local::errors::{closed, refused};
use kv_core::{Effect, ErrorKind, Result};

use crate::error::{Fault, kind};

/// The trees of a store.
///
/// sled's transactions and batches must never be used: the first one makes every later call in the process take a
/// lock, and one that waits blocks its thread.
#[derive(Clone)]
pub(crate) struct Trees {
    pub(crate) db: sled::Db,
    /// Physical key to record.
    pub(crate) entries: sled::Tree,
    /// Pieces of long keys and large values.
    pub(crate) chunks: sled::Tree,
    /// Deadline and physical key to the bucket's name.
    pub(crate) deadlines: sled::Tree,
    /// Bucket's name to id.
    pub(crate) buckets: sled::Tree,
    /// Id of a dropped bucket to its name, until its entries are gone.
    pub(crate) garbage: sled::Tree,
    /// The batch that is being applied.
    pub(crate) journal: sled::Tree,
    /// Facts about the store.
    pub(crate) meta: sled::Tree,
}

impl Trees {
    pub(crate) const NAMES: [&str; 7] =
        ["kv.entries", "kv.chunks", "kv.deadlines", "kv.buckets", "kv.garbage", "kv.journal", "kv.meta"];

    pub(crate) fn open(db: sled::Db) -> sled::Result<Self> {
        let [entries, chunks, deadlines, buckets, garbage, journal, meta] = Self::NAMES;
        Ok(Self {
            entries: db.open_tree(entries)?,
            chunks: db.open_tree(chunks)?,
            deadlines: db.open_tree(deadlines)?,
            buckets: db.open_tree(buckets)?,
            garbage: db.open_tree(garbage)?,
            journal: db.open_tree(journal)?,
            meta: db.open_tree(meta)?,
            db,
        })
    }
}

/// Has sled split or merge the nodes that a key more or less left too full or too empty. Call after each insertion of
/// a new key, and after each removal.
///
/// sled does so on the way down to a key, for every node that it passes, before the insertion or removal that makes it
/// due. So it would be the next visitor's to do, be it a reader, who then fails where nothing can be written any more;
/// but what was written before a disk was full must stay readable (DUR-5). The way down that looking the key up takes
/// passes the nodes that changed, but for few cases that the README names.
pub(crate) fn settle(tree: &sled::Tree, key: impl AsRef<[u8]>) -> Result<(), Fault> {
    tree.contains_key(key)?;
    Ok(())
}

/// An open engine, until it is closed.
pub(crate) struct Engine {
    /// In shards, for every call of every thread passes here.
    trees: ShardedLock<Option<Trees>>,
    /// Why writing is off, once it is (DUR-5).
    failed: OnceLock<ErrorKind>,
}

impl Engine {
    pub(crate) fn new(trees: Trees) -> Self {
        Self { trees: ShardedLock::new(Some(trees)), failed: OnceLock::new() }
    }

    /// Runs a step that only reads.
    pub(crate) fn read<T>(&self, doing: &str, step: impl FnOnce(&Trees) -> Result<T, Fault>) -> Result<T> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        let trees = trees.as_ref().ok_or_else(closed)?;
        guarded(|| step(trees)).map_err(|fault| fault.into_error(doing, Effect::None))
    }

    /// Runs a step that may write. If the engine fails in it nobody knows what it did, so writing is off from then
    /// on; a finding of our own changed nothing.
    pub(crate) fn write<T>(&self, doing: &str, step: impl FnOnce(&Trees) -> Result<T, Fault>) -> Result<T> {
        self.check_writable()?;
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        let trees = trees.as_ref().ok_or_else(closed)?;
        guarded(|| step(trees)).map_err(|fault| {
            match &fault {
                Fault::Own(_) => {}
                Fault::Driver(cause) => self.fail(kind(cause)),
                Fault::Panic(_) => self.fail(ErrorKind::Corrupt),
            }
            fault.into_error(doing, Effect::Unknown)
        })
    }

    /// Refuses if writing is off.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.failed.get().map_or(Ok(()), |why| Err(refused(*why)))
    }

    /// Turns writing off until the store is reopened.
    pub(crate) fn fail(&self, why: ErrorKind) {
        // The first reason is the cause of the others.
        let _ = self.failed.set(why);
    }

    /// Waits for running steps and lets go of the engine; later ones answer that the store is closed.
    pub(crate) fn close(&self) {
        let trees = self.trees.write().unwrap_or_else(PoisonError::into_inner).take();
        // Dropping the last clone flushes, which can fail or panic as any flush can.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(trees)));
    }
}

/// Runs a step and catches the engine's panics. The process's panic hook still prints them: replacing it would not
/// be ours to do.
pub(crate) fn guarded<T>(step: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // The engine's locks do not poison, and after a panic in a write nothing is written any more.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a text");
        Err(Fault::Panic(brief(text)))
    })
}

/// Panic texts of the engine may hold stored bytes behind the first line or in a `Debug` dump (ERR-4).
fn brief(text: &str) -> String {
    text.chars().take_while(|c| !matches!(c, '\n' | '[' | '{' | '"' | '(')).take(80).collect()
}
