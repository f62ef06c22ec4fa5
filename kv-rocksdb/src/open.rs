//! Opening a folder: whose it is, locks, and what a store needs before it is one.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind as Io};
use std::path::Path;
use std::sync::Arc;

use kv_core::local::errors::{at_path, damaged, io_kind, sentence};
use kv_core::local::{Bell, Hub, KeyLocks};
use kv_core::{Durability, Effect, Error, ErrorKind, Result};
use parking_lot::Mutex;
use rocksdb::{ColumnFamilyDescriptor, DB, DEFAULT_COLUMN_FAMILY_NAME, WriteOptions};

use crate::committer;
use crate::config::Config;
use crate::engine::{Db, Engine, Way};
use crate::engine_version::{self, VERSION_HERE};
use crate::error::Fault;
use crate::layout::{CLOSED, FORMAT};
use crate::logs;
use crate::marker::{Mark, Marker, VERSION};
use crate::options::options;
use crate::registry::{Registry, read_number};
use crate::store::{Counts, FolderLock, Handle, Inner};
use crate::sweeper;
use crate::trust::{Meters, Trust};

/// The file that says which files are the store's.
pub(crate) const CURRENT: &str = "CURRENT";

/// Opens the store. Blocks the thread.
pub(crate) fn open(config: Config) -> Result<Handle> {
    open_with(config, Meters::default())
}

/// The same, with what tells how long reads take.
pub(crate) fn open_with(mut config: Config, meters: Meters) -> Result<Handle> {
    enter_folder(&config)?;
    // The engine knows its own locks by the path.
    config.path = config.path.canonicalize().map_err(|cause| at_path("looking at", &config.path, cause))?;
    let folder = config.path.as_path();
    let lock = lock(folder)?;
    let mark = check_folder(&config)?;
    let failed = |fault: Fault| fault.into_error(&format!("opening the store in {}", folder.display()));
    let is_new = matches!(mark, Mark::None | Mark::New);
    if mark == Mark::None {
        Marker::write(folder, Mark::New).map_err(|cause| at_path("making a store in", folder, cause))?;
    }
    if has_current(folder)
        && !logs::can_be_read(folder).map_err(|cause| at_path("reading the store in", folder, cause))?
    {
        return Err(damaged("a record of a log has a flipped bit"));
    }
    // Before the engine notes its own.
    let newer = engine_version::newer(folder);
    let opened = match (&newer, config.max_open_files) {
        // The engine looks at those tables only that it keeps open, so once at all of them.
        (Some(_), Some(_)) => open_db(&Config { max_open_files: None, ..config.clone() }, is_new).and_then(|all| {
            drop(all);
            open_db(&config, is_new)
        }),
        _ => open_db(&config, is_new),
    };
    let db = opened.map_err(|fault| {
        let error = failed(fault);
        match &newer {
            Some(version) if error.kind() == ErrorKind::Corrupt => written_by_newer(folder, version).with_source(error),
            _ => error,
        }
    })?;
    check_format(&db, mark).map_err(failed)?;
    let registry = Registry::open(db.view(Way::Shared)).map_err(failed)?;
    let sync = || {
        if is_new {
            sync_parent(folder)?;
        }
        Marker::write(folder, Mark::Open)
    };
    sync().map_err(|cause| at_path("opening the store in", folder, cause))?;
    assemble(config, meters, db, registry, lock).map_err(|cause| {
        let kind = io_kind(&cause);
        Error::new(kind, Effect::None, format!("starting the store: {}", sentence(kind))).with_source(cause)
    })
}

fn assemble(
    config: Config,
    meters: Meters,
    db: Db,
    registry: Registry,
    lock: Option<FolderLock>,
) -> io::Result<Handle> {
    let engine = Arc::new(Engine::new(db));
    let committer = match config.durability {
        Durability::Power => Some(committer::start(Arc::clone(&engine))?),
        Durability::Volatile | Durability::Process => None,
    };
    let inner = Arc::new(Inner {
        gate: Arc::default(),
        locks: KeyLocks::default(),
        hub: Arc::new(Hub::default()),
        registry: Arc::new(registry),
        committer,
        bell: Arc::new(Bell::default()),
        counts: Counts::default(),
        trust: Trust::of_single_reads(meters),
        trust_many: Trust::of_reads_of_many(meters),
        lock: Mutex::new(lock),
        engine,
        config,
    });
    let sweeper = sweeper::start(&inner)?;
    Ok(Handle::new(inner, sweeper))
}

/// Makes sure that the path is a folder that may be read.
fn enter_folder(config: &Config) -> Result<()> {
    let folder = config.path.as_path();
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => {
            return Err(Error::invalid(format!("{} is a file; a RocksDB store is a folder", folder.display())));
        }
        Ok(_) => {}
        Err(cause) if cause.kind() == Io::NotFound && config.create => {
            fs::create_dir_all(folder).map_err(|cause| at_path("making the folder", folder, cause))?;
        }
        Err(cause) if cause.kind() == Io::NotFound => return Err(no_store(folder)),
        Err(cause) => return Err(at_path("looking at", folder, cause)),
    }
    fs::read_dir(folder).map(drop).map_err(|cause| at_path("reading the folder", folder, cause))
}

fn no_store(folder: &Path) -> Error {
    let shown = folder.display();
    Error::invalid(format!("there is no store at {shown}; check the path, or write to it to make one"))
}

/// Keeps everybody else out, also who comes by another path: the engine's own lock would let this process in twice.
fn lock(folder: &Path) -> Result<Option<FolderLock>> {
    let file = File::open(folder).map_err(|cause| at_path("opening", folder, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FolderLock(file))),
        Err(TryLockError::WouldBlock) => Err(locked(folder)),
        // Some network file systems lock no folders; the engine's lock has to do there.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn locked(folder: &Path) -> Error {
    let text = format!("opening the store in {}: {}", folder.display(), sentence(ErrorKind::Locked));
    Error::new(ErrorKind::Locked, Effect::None, text)
}

/// Refuses a folder of somebody else, of another version, and one that has lost its beginning.
fn check_folder(config: &Config) -> Result<Mark> {
    let folder = config.path.as_path();
    let shown = folder.display();
    let failed = |cause| at_path("reading the store in", folder, cause);
    let mark = Marker::read(folder).map_err(failed)?;
    let has_current = has_current(folder);
    match mark {
        Mark::Other => Err(Error::invalid(format!(
            "the store in {shown} has the layout of another version; open it with that one, or export it there and import it here"
        ))),
        Mark::Foreign => Err(Error::invalid(format!(
            "{shown} holds a store of another provider; open it by that one's URL, or choose another folder"
        ))),
        // A new store removes files that look like its own and are not.
        Mark::None if has_engine_files(folder).map_err(failed)? => Err(Error::invalid(format!(
            "{shown} does not hold a store of this kind, but another RocksDB database or what is left of one; choose another folder"
        ))),
        Mark::None | Mark::New if !config.create && !has_current => Err(no_store(folder)),
        Mark::Open | Mark::Closed(_) if !has_current => Err(damaged("its file CURRENT is missing")),
        mark => Ok(mark),
    }
}

/// Files that this engine can't read are damage to it; that a newer one wrote last is the likelier reason.
fn written_by_newer(folder: &Path, version: &str) -> Error {
    Error::invalid(format!(
        "opening the store in {}: RocksDB {version} used it last, which is newer than {VERSION_HERE}, and has files that this one \
         can't read; open it with that version, or export it there and import it here",
        folder.display()
    ))
}

fn has_current(folder: &Path) -> bool {
    folder.join(CURRENT).exists()
}

fn has_engine_files(folder: &Path) -> io::Result<bool> {
    for file in fs::read_dir(folder)? {
        let name = file?.file_name();
        let name = name.to_string_lossy();
        let is_numbered = ["log", "sst", "ldb", "blob"]
            .into_iter()
            .filter_map(|kind| name.strip_suffix(kind)?.strip_suffix('.'))
            .any(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        if is_numbered || name == CURRENT || name.starts_with("MANIFEST-") || name.starts_with("OPTIONS-") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn open_db(config: &Config, is_new: bool) -> Result<Db, Fault> {
    let (mut options, cache) = options(config).map_err(Fault::Read)?;
    options.create_if_missing(is_new);
    // By name, for reads of many keys ask for the column family.
    let family = ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, options.clone());
    let db = DB::open_cf_descriptors(&options, &config.path, [family]).map_err(Fault::Read)?;
    Ok(Db::new(db, cache, config.durability))
}

/// Refuses a store of another layout, and one that has lost its end.
fn check_format(db: &Db, mark: Mark) -> Result<(), Fault> {
    let view = db.view(Way::Shared);
    let version = view.get(FORMAT)?;
    match version.map(|version| version.to_vec()) {
        Some(version) if version == VERSION.to_string().as_bytes() => {}
        Some(_) => {
            return Err(Fault::Own(Error::invalid(
                "the store's layout is that of another version; open it with that one, or export it there and import it here",
            )));
        }
        None if !matches!(mark, Mark::None | Mark::New) => return Err(Fault::damaged("its beginning is missing")),
        None => {
            // To the disk, whatever the class: what follows takes it for granted.
            let mut options = WriteOptions::default();
            options.set_sync(true);
            db.db.put_opt(FORMAT, VERSION.to_string(), &options).map_err(Fault::Read)?;
        }
    }
    if let Mark::Closed(times) = mark
        && view.get(CLOSED)?.map_or(Ok(0), |stored| read_number(&stored))? != times
    {
        return Err(Fault::damaged("writes from before it was closed are missing"));
    }
    Ok(())
}

/// Syncs the folder that the store stands in.
fn sync_parent(folder: &Path) -> io::Result<()> {
    match folder.parent() {
        // One that may be passed but not read can't be synced; nor did this process make the store's folder in it.
        Some(parent) => match File::open(parent) {
            Err(cause) if cause.kind() == Io::PermissionDenied => Ok(()),
            parent => parent?.sync_all(),
        },
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
