//! The engine behind one door: every call into RocksDB goes through here, so that a failed write turns writing off, and
//! closing can wait for all of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use kv_core::local::errors::{closed, refused};
use kv_core::{Durability, ErrorKind, Result};
use parking_lot::RwLock;
use rocksdb::{
    Cache, ColumnFamily, DB, DBPinnableSlice, ReadOptions, WriteBatch, WriteOptions, properties, properties::PropName,
};

use crate::error::{Fault, kind, stuck};
use crate::options::{body_options, read_options, write_options};
use crate::places::Places;

/// How a step meets what is not at once to be had. A write is refused rather than stalled, whatever the way: inside the engine
/// it would wait for room on a full disk too, for ever and out of everybody's reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// On a task: reads look in memory only.
    Quick,
    /// Where a thread may wait for the disk, beside other writers.
    Shared,
    /// Where a thread may wait for anything, without other writers.
    Alone,
}

/// Whether the engine is behind with writing out or merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    None,
    /// It takes so many bytes a second.
    Slowed(u64),
    /// It takes nothing.
    Stopped,
}

/// An open database, with its options made once.
pub(crate) struct Db {
    pub(crate) db: DB,
    pub(crate) cache: Cache,
    probe: ReadOptions,
    full: ReadOptions,
    bodies: ReadOptions,
    writes: WriteOptions,
    /// Errors in the background that the engine has got over: a write succeeded after them.
    past_errors: AtomicU64,
    /// Whether a write was stalled since then.
    is_stalled: AtomicBool,
}

impl Db {
    pub(crate) fn new(db: DB, cache: Cache, durability: Durability) -> Self {
        Self {
            db,
            cache,
            probe: read_options(true),
            full: read_options(false),
            bodies: body_options(),
            writes: write_options(durability),
            past_errors: AtomicU64::new(0),
            is_stalled: AtomicBool::new(false),
        }
    }

    pub(crate) fn view(&self, way: Way) -> View<'_> {
        View { db: self, way }
    }
}

/// The database as one step sees it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) db: &'a Db,
    pub(crate) way: Way,
}

impl<'a> View<'a> {
    #[inline(always)]
    pub(crate) fn get(self, key: impl AsRef<[u8]>) -> Result<Option<DBPinnableSlice<'a>>, Fault> {
        self.db.db.get_pinned_opt(key, self.options()).map_err(Fault::read)
    }

    /// Reads the body of a large value. For a thread that may wait.
    pub(crate) fn get_body(self, key: impl AsRef<[u8]>) -> Result<Option<DBPinnableSlice<'a>>, Fault> {
        self.db.db.get_pinned_opt(key, &self.db.bodies).map_err(Fault::Read)
    }

    /// The options of a read.
    pub(crate) fn options(self) -> &'a ReadOptions {
        if self.way == Way::Quick { &self.db.probe } else { &self.db.full }
    }

    /// Options for a read with wishes of its own.
    pub(crate) fn own_options(self) -> ReadOptions {
        read_options(self.way == Way::Quick)
    }

    /// The one column family, where the driver wants it by name.
    pub(crate) fn family(self) -> Result<&'a ColumnFamily, Fault> {
        let family = self.db.db.cf_handle(rocksdb::DEFAULT_COLUMN_FAMILY_NAME);
        family.ok_or_else(|| Fault::damaged("its column family is missing"))
    }

    pub(crate) fn put(self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), Fault> {
        let (key, value) = (key.as_ref(), value.as_ref());
        self.done(key.len() + value.len(), self.db.db.put_opt(key, value, &self.db.writes))
    }

    pub(crate) fn delete(self, key: impl AsRef<[u8]>) -> Result<(), Fault> {
        let key = key.as_ref();
        self.done(key.len(), self.db.db.delete_opt(key, &self.db.writes))
    }

    pub(crate) fn write(self, batch: WriteBatch) -> Result<(), Fault> {
        self.done(batch.size_in_bytes(), self.db.db.write_opt(batch, &self.db.writes))
    }

    /// Whether writes are stalled now. Refuses where that may never end: the engine stopped writing, and not because it is behind.
    pub(crate) fn stall(self) -> Result<Stall, Fault> {
        if self.number(properties::IS_WRITE_STOPPED)? > 0 {
            self.db.is_stalled.store(true, Ordering::Relaxed);
            if self.errors() > self.db.past_errors.load(Ordering::Relaxed) {
                return Err(Fault::Own(stuck()));
            }
            return Ok(Stall::Stopped);
        }
        Ok(match self.number(properties::ACTUAL_DELAYED_WRITE_RATE)? {
            0 => Stall::None,
            rate => Stall::Slowed(rate),
        })
    }

    fn number(self, property: &PropName) -> Result<u64, Fault> {
        // Both are of every store.
        self.db.db.property_int_value(property).map(Option::unwrap_or_default).map_err(Fault::Read)
    }

    /// Errors in the background since the store was opened.
    fn errors(self) -> u64 {
        // A name that the engine does not know is all that can go wrong.
        self.db.db.property_int_value(properties::BACKGROUND_ERRORS).ok().flatten().unwrap_or_default()
    }

    fn done(self, bytes: usize, done: Result<(), rocksdb::Error>) -> Result<(), Fault> {
        let done = done.map_err(|cause| Fault::write(bytes, cause));
        match &done {
            Ok(()) if self.way == Way::Alone || self.db.is_stalled.load(Ordering::Relaxed) => {
                self.db.past_errors.store(self.errors(), Ordering::Relaxed);
                self.db.is_stalled.store(false, Ordering::Relaxed);
            }
            Err(Fault::Stalled(_)) => self.db.is_stalled.store(true, Ordering::Relaxed),
            _ => {}
        }
        done
    }
}

/// An open engine, until it is closed.
pub(crate) struct Engine {
    /// One hold for each place, for every call of every thread passes here: two threads in one would cost a tenth of a read.
    db: Places<RwLock<Option<Arc<Db>>>>,
    /// Closing waits for the lock alone; nobody may begin to wait behind it.
    is_closing: AtomicBool,
    /// Why writing is off, once it is (DUR-5).
    failed: OnceLock<ErrorKind>,
}

impl Engine {
    pub(crate) fn new(db: Db) -> Self {
        let db = Arc::new(db);
        Self {
            db: Places::new(|| RwLock::new(Some(Arc::clone(&db)))),
            is_closing: AtomicBool::new(false),
            failed: OnceLock::new(),
        }
    }

    /// Runs a step. If a write fails in it nobody knows what the engine did, so writing is off from then on.
    // Inlined by force, as all that a short call consists of: a result that goes from one function to the next through memory
    // costs as much as an atomic step.
    #[inline(always)]
    pub(crate) fn run<T>(&self, way: Way, step: impl FnOnce(View<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.is_closing.load(Ordering::Acquire) {
            return Err(Fault::Own(closed()));
        }
        // Nobody waits here either: only closing takes the lock alone.
        let db = self.db.own().try_read().ok_or_else(|| Fault::Own(closed()))?;
        let db = db.as_ref().ok_or_else(|| Fault::Own(closed()))?;
        let done = step(db.view(way));
        if let Err(Fault::Write(cause)) = &done {
            self.fail(kind(cause));
        }
        done
    }

    /// Runs a step that may wait.
    pub(crate) fn wait<T>(&self, doing: &str, step: impl FnOnce(View<'_>) -> Result<T, Fault>) -> Result<T> {
        self.run(Way::Shared, step).map_err(|fault| fault.into_error(doing))
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
        self.is_closing.store(true, Ordering::Release);
        for db in self.db.iter() {
            drop(db.write().take());
        }
    }
}
