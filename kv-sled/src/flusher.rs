//! Flushing for all who wait, by one thread: sled's own flush deadlocks when two threads call it at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kv_core::local::Committer;
use kv_core::local::errors::io_kind;
use kv_core::{Durability, Effect, Result};

use crate::engine::Engine;
use crate::error::Fault;

/// Starts the thread that flushes.
pub(crate) fn start(engine: Arc<Engine>, durability: Durability, folder: &Path) -> std::io::Result<Committer> {
    let disk = Disk::open(folder)?;
    Committer::start("kv-sled flusher", move |is_last| {
        // The last flush is an orderly end of the store, whatever the class.
        let is_power = is_last || durability == Durability::Power;
        flush(&engine, is_power.then_some(&disk))
    })
}

fn flush(engine: &Engine, disk: Option<&Disk>) -> Result<()> {
    engine.write("making writes durable", |trees| {
        trees.db.flush()?;
        disk.map_or(Ok(()), |disk| disk.sync().map_err(Fault::from))
    })
}

/// The files of a store, for syncing: sled's own flush uses `sync_file_range`, which a power cut undoes.
struct Disk {
    db: File,
    blobs: PathBuf,
}

impl Disk {
    fn open(folder: &Path) -> std::io::Result<Self> {
        Ok(Self { db: File::open(folder.join("db"))?, blobs: folder.join("blobs") })
    }

    /// Makes what was flushed survive a power cut.
    fn sync(&self) -> std::io::Result<()> {
        // No record of ours is large enough for a blob file (see `layout`). Should one appear it must be on disk
        // before the log that refers to it.
        let mut found = false;
        for blob in fs::read_dir(&self.blobs)? {
            File::open(blob?.path())?.sync_all()?;
            found = true;
        }
        if found {
            File::open(&self.blobs)?.sync_all()?;
        }
        self.db.sync_all()
    }
}

/// Syncs every file of a store, its folders, and the folder that it stands in.
pub(crate) fn sync_store(folder: &Path) -> std::io::Result<()> {
    for place in [folder.join("blobs"), folder.to_owned()] {
        for file in fs::read_dir(&place)? {
            let file = file?;
            if file.file_type()?.is_file() {
                File::open(file.path())?.sync_all()?;
            }
        }
        File::open(&place)?.sync_all()?;
    }
    match folder.canonicalize()?.parent() {
        // One that may be passed but not read can't be synced; nor did this process make the store's folder in it.
        Some(parent) => match File::open(parent) {
            Err(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
            parent => parent?.sync_all(),
        },
        None => Ok(()),
    }
}

/// The error of a failed sync outside the flusher.
pub(crate) fn sync_failed(cause: std::io::Error) -> kv_core::Error {
    let kind = io_kind(&cause);
    kv_core::Error::new(kind, Effect::Unknown, "syncing the store's files failed").with_source(cause)
}

#[cfg(test)]
#[path = "flusher_tests.rs"]
mod tests;
