//! Opening a folder: locks, leftovers of crashes, what sled gets wrong, and the repair of what was under way.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind as Io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kv_core::local::errors::{at_path, damaged};
use kv_core::local::{Bell, Hub, KeyLocks};
use kv_core::{Effect, Error, ErrorKind, Result};

use crate::config::Config;
use crate::engine::{Engine, Trees, guarded};
use crate::error::Fault;
use crate::flusher::{self, sync_store};
use crate::gate::Gate;
use crate::io::Io as IoAtWork;
use crate::journal;
use crate::layout::SEGMENT_BYTES;
use crate::marker::{Mark, Marker};
use crate::overflow::Overflows;
use crate::registry::{self, Registry};
use crate::space::Space;
use crate::store::Inner;
use crate::sweeper::{self, TIDY};
use crate::torn::Torn;

/// The key in `meta` of the layout's version.
const FORMAT: &[u8] = b"format";

/// The layout's version.
const FORMAT_VERSION: &[u8] = b"2";

/// The key in `meta` of how often the store was closed in order.
pub(crate) const CLOSED: &[u8] = b"closed";

/// How long to wait for sled's threads to let go of the file's lock once the engine is gone.
const UNLOCK_WITHIN: Duration = Duration::from_secs(10);

/// A store that was just opened, with the sweeper's thread.
pub(crate) struct Opened {
    pub(crate) inner: Arc<Inner>,
    pub(crate) sweeper: JoinHandle<bool>,
}

/// Opens the store. Blocks the thread.
pub(crate) fn open(config: Config) -> Result<Opened> {
    let folder = config.path.as_path();
    enter_folder(&config)?;
    let mark = prepare(&config)?;
    let failed = |fault: Fault| fault.into_error(&format!("opening the store in {}", folder.display()), Effect::None);
    let (trees, is_tidy) = guarded(|| {
        let db = open_db(&config)?;
        let trees = Trees::open(db)?;
        check_format(&trees, mark)?;
        registry::recover(&trees)?;
        journal::recover(&trees)?;
        let is_tidy = trees.meta.remove(TIDY)?.is_some();
        trees.db.flush()?;
        // From here on a power cut finds the folder's entries, and the log as this process found it.
        sync_store(folder)?;
        Marker::write(folder, Mark::Open)?;
        Ok((trees, is_tidy))
    })
    .map_err(failed)?;
    assemble(config, trees, is_tidy).map_err(|fault| fault.into_error("starting the store", Effect::None))
}

fn assemble(config: Config, trees: Trees, is_tidy: bool) -> Result<Opened, Fault> {
    let bell = Arc::new(Bell::default());
    let overflows = Arc::new(Overflows::open(&trees, Arc::clone(&bell))?);
    let engine = Arc::new(Engine::new(trees));
    let flusher = flusher::start(Arc::clone(&engine), config.durability, &config.path)?;
    let inner = Arc::new(Inner {
        gate: Gate::default(),
        io: IoAtWork::new(config.io),
        locks: KeyLocks::default(),
        hub: Arc::new(Hub::default()),
        registry: Arc::new(Registry::default()),
        overflows,
        flusher,
        bell,
        torn: Torn::default(),
        space: Space::new(config.path.clone()),
        engine,
        config,
    });
    let sweeper = sweeper::start(&inner, is_tidy)?;
    Ok(Opened { inner, sweeper })
}

/// Makes sure that the path is a folder that may be read and written.
fn enter_folder(config: &Config) -> Result<()> {
    let folder = config.path.as_path();
    let shown = folder.display();
    let refuse = |kind, text: String| Err(Error::new(kind, Effect::None, text));
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => {
            return refuse(ErrorKind::InvalidArgument, format!("{shown} is a file; a sled store is a folder"));
        }
        Ok(_) => {}
        Err(cause) if cause.kind() == Io::NotFound && config.create => {
            fs::create_dir_all(folder).map_err(|cause| at_path("making the folder", folder, cause))?;
        }
        Err(cause) if cause.kind() == Io::NotFound => return refuse(ErrorKind::InvalidArgument, no_store(folder)),
        Err(cause) => return Err(at_path("looking at", folder, cause)),
    }
    fs::read_dir(folder).map_err(|cause| at_path("reading the folder", folder, cause))?;
    if !config.create && !folder.join("db").exists() {
        return refuse(ErrorKind::InvalidArgument, no_store(folder));
    }
    Ok(())
}

fn no_store(folder: &Path) -> String {
    format!("there is no store at {}; check the path, or write to it to make one", folder.display())
}

/// Removes what a crash left that sled can't open, while nobody else can be at it.
fn prepare(config: &Config) -> Result<Mark> {
    let folder = config.path.as_path();
    let lock = lock(folder)?;
    let failed = |cause| at_path("reading the store in", folder, cause);
    let mark = Marker::read(folder).map_err(failed)?;
    if mark == Mark::Foreign {
        return Err(Error::invalid(format!(
            "{} holds a store of another provider; open it by that one's URL, or choose another folder",
            folder.display()
        )));
    }
    let db_bytes = match fs::metadata(folder.join("db")) {
        Ok(found) => found.len(),
        Err(cause) if cause.kind() == Io::NotFound => 0,
        Err(cause) => return Err(failed(cause)),
    };
    if db_bytes == 0 && mark != Mark::None {
        return Err(damaged("the file db is missing or empty"));
    }
    for file in fs::read_dir(folder).map_err(failed)? {
        let name = file.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        // sled would take a half-written snapshot for the newest, and a half-written `conf` for damage.
        let is_half = name.starts_with("snap.") && name.ends_with(".generating");
        if is_half || (name == "conf" && mark == Mark::None && db_bytes == 0) {
            fs::remove_file(folder.join(&*name)).map_err(failed)?;
        }
    }
    drop(lock);
    Ok(mark)
}

/// Takes the lock that sled takes, or says who has it. The same file description must not be locked twice, so it is
/// let go before sled opens the file.
fn lock(folder: &Path) -> Result<Option<File>> {
    let file = match File::options().read(true).write(true).open(folder.join("db")) {
        Ok(file) => file,
        Err(cause) if cause.kind() == Io::NotFound => return Ok(None),
        Err(cause) => return Err(at_path("opening the store in", folder, cause)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(locked(folder)),
        Err(TryLockError::Error(cause)) => Err(at_path("locking the store in", folder, cause)),
    }
}

fn locked(folder: &Path) -> Error {
    Error::new(
        ErrorKind::Locked,
        Effect::None,
        format!(
            "the store in {} is open elsewhere, here or in another process; close it there first",
            folder.display()
        ),
    )
}

/// Waits until sled's threads have let go of the file: closing is done when opening works (BKT-5).
pub(crate) fn wait_unlocked(folder: &Path) {
    let begun = Instant::now();
    while begun.elapsed() < UNLOCK_WITHIN && lock(folder).is_err_and(|error| error.kind() == ErrorKind::Locked) {
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn open_db(config: &Config) -> Result<sled::Db, Fault> {
    // sled's own flusher would race ours, and the two can deadlock.
    let opened = sled::Config::new()
        .path(&config.path)
        .cache_capacity(config.cache_mb << 20)
        .segment_size(SEGMENT_BYTES)
        .flush_every_ms(None)
        .open();
    match opened {
        // Another process was faster by a moment; sled gives this error no kind of its own.
        Err(sled::Error::Io(cause)) if cause.to_string().starts_with("could not acquire lock") => {
            Err(Fault::Own(locked(&config.path)))
        }
        opened => Ok(opened?),
    }
}

/// Refuses a store of somebody else, and one that has lost its beginning or its end.
fn check_format(trees: &Trees, mark: Mark) -> Result<(), Fault> {
    match trees.meta.get(FORMAT)? {
        Some(version) if version == FORMAT_VERSION => {}
        Some(_) => {
            return Err(Fault::Own(Error::invalid(
                "the store's layout is that of another version; open it with that one, or export it there and import it here",
            )));
        }
        None if mark != Mark::None => return Err(Fault::damaged("its beginning is missing")),
        None => {
            let is_foreign = !trees.db.is_empty()
                || trees.db.tree_names().iter().any(|name| {
                    let name: &[u8] = name;
                    name != b"__sled__default" && !Trees::NAMES.iter().any(|own| own.as_bytes() == name)
                });
            if is_foreign {
                return Err(Fault::Own(Error::invalid(
                    "the folder holds a sled database of another program; choose another folder",
                )));
            }
            trees.meta.insert(FORMAT, FORMAT_VERSION)?;
        }
    }
    if let Mark::Closed(times) = mark
        && closings(trees)? != times
    {
        return Err(Fault::damaged("writes from before it was closed are missing"));
    }
    Ok(())
}

/// How often the store was closed in order.
pub(crate) fn closings(trees: &Trees) -> Result<u64, Fault> {
    trees.meta.get(CLOSED)?.map_or(Ok(0), |times| registry::read_id(&times))
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
