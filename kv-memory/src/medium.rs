use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use kv_core::{Effect, Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::sync::RwLock;

use crate::data::Data;

/// What holds the entries: the place of a folder or a server. A clone is the same medium.
///
/// A store opened on it holds it for itself until closed (DUR-4); what was written stays for the next one.
#[derive(Clone, Default)]
pub struct Medium {
    pub(crate) data: Arc<RwLock<Data>>,
    taken: Arc<AtomicBool>,
}

/// The media that `memory:NAME` stands for, for as long as the process lives.
static NAMED: LazyLock<Mutex<HashMap<String, Medium>>> = LazyLock::new(Mutex::default);

impl Medium {
    /// Makes an empty medium.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The medium of this name, the same in the whole process.
    pub(crate) fn named(name: &str) -> Self {
        NAMED.lock().entry(name.to_owned()).or_default().clone()
    }

    /// Takes the medium for one store.
    pub(crate) fn take(&self) -> Result<Hold> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                ErrorKind::Locked,
                Effect::None,
                "this memory store is already open in this process; close it first, or share its handle",
            ));
        }
        Ok(Hold(Arc::clone(&self.taken)))
    }
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Medium").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// One store's hold on its medium.
pub(crate) struct Hold(Arc<AtomicBool>);

impl Hold {
    /// Lets another store take the medium; nothing if done before.
    pub(crate) fn release(&self, released: &AtomicBool) {
        if !released.swap(true, Ordering::AcqRel) {
            self.0.store(false, Ordering::Release);
        }
    }
}
