//! Syncing the log for all who wait (`durability=power`).

use std::sync::Arc;

use kv_core::Result;
use kv_core::local::Committer;

use crate::engine::{Engine, Way};
use crate::error::Fault;

/// Starts the thread that syncs.
pub(crate) fn start(engine: Arc<Engine>) -> std::io::Result<Committer> {
    Committer::start("kv-rocksdb committer", move |_| sync(&engine))
}

fn sync(engine: &Engine) -> Result<()> {
    let done = engine.run(Way::Shared, |view| {
        // What was written since another sync failed may be lost, and a later one that succeeds says nothing of it.
        engine.check_writable()?;
        view.db.db.flush_wal(true).map_err(Fault::Write)
    });
    done.map_err(|fault| fault.into_error("making writes durable"))
}
