//! Copying a store while it is in use.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use kv_core::local::errors::{io_kind, sentence};
use kv_core::{Checkpoint, Effect, Error, Result};

use crate::engine::Way;
use crate::error::Fault;
use crate::io::offload;
use crate::marker::{Mark, Marker};
use crate::provider::Provider;
use crate::store::Inner;

#[async_trait]
impl Checkpoint for Provider {
    async fn checkpoint(&self, folder: &Path) -> Result<()> {
        let (inner, folder) = (self.inner(), folder.to_owned());
        offload(move || copy(&inner, &folder)).await?
    }
}

/// A folder that is removed unless it has become something.
struct Draft(PathBuf);

impl Draft {
    /// Beside the target, so that it can become it by a new name.
    fn new(parent: &Path, name: &str) -> Self {
        // By chance, for the ids of processes come back, in a container each time that it starts.
        let chance = RandomState::new().build_hasher().finish();
        Self(parent.join(format!(".{name}.copy-{chance:016x}")))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // The engine builds its own draft beside it, and may leave that where it fails.
        let mut engines = self.0.clone().into_os_string();
        engines.push(".tmp");
        for folder in [self.0.as_path(), Path::new(&engines)] {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Copies the store. Blocks the thread.
fn copy(inner: &Inner, target: &Path) -> Result<()> {
    const DOING: &str = "copying the store";
    let shown = target.display();
    let failed = |effect, cause: io::Error| {
        let kind = io_kind(&cause);
        Error::new(kind, effect, format!("{DOING} to {shown}: {}", sentence(kind))).with_source(cause)
    };
    let Some(name) = target.file_name() else {
        return Err(Error::invalid(format!("\"{shown}\" names no folder; name one that is not there yet")));
    };
    if fs::symlink_metadata(target).is_ok() {
        return Err(Error::invalid(format!(
            "there is something at {shown} already; name a folder that is not there yet"
        )));
    }
    let parent = match target.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("."),
    };
    if !parent.is_dir() {
        return Err(Error::invalid(format!(
            "there is no folder {} to copy the store into; make it first",
            parent.display()
        )));
    }
    let draft = Draft::new(parent, &name.to_string_lossy());
    let done = inner.engine.run(Way::Shared, |view| {
        let engine = rocksdb::checkpoint::Checkpoint::new(&view.db.db).map_err(Fault::Read)?;
        engine.create_checkpoint(&draft.0).map_err(Fault::Read)
    });
    done.map_err(|fault| fault.into_error(DOING))?;
    Marker::write(&draft.0, Mark::Open).map_err(|cause| failed(Effect::None, cause))?;
    fs::rename(&draft.0, target).map_err(|cause| failed(Effect::None, cause))?;
    // The copy is there, but a power cut may take it back.
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|cause| failed(Effect::Unknown, cause))
}
