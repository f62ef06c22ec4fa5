//! Facts about a store, for people.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use kv_core::Result;
use rocksdb::properties;

use crate::engine::View;
use crate::error::Fault;
use crate::provider::declared;
use crate::store::Inner;

/// Levels that the engine has.
const LEVELS: usize = 7;

/// Gathers the facts. Blocks the thread.
pub(crate) fn info(inner: &Inner) -> Result<Vec<(&'static str, String)>> {
    let config = &inner.config;
    let engine = inner.engine.wait("measuring the store", engine)?;
    let mut rows = vec![
        ("engine", declared(config.durability).engine),
        ("folder", config.path.display().to_string()),
        ("durability", config.durability.as_str().to_owned()),
        ("io", config.io.as_str().to_owned()),
        ("compression", config.compression.as_str().to_owned()),
        ("bytes on disk", bytes(&config.path).to_string()),
        ("block cache", format!("{} MiB", config.cache_mb)),
    ];
    rows.extend(engine);
    rows.extend([
        ("probe hits", inner.counts.hits.sum().to_string()),
        ("probe misses", inner.counts.misses.sum().to_string()),
        ("reads without a probe", inner.counts.trusted.sum().to_string()),
        ("stalled writes", inner.counts.stalls.load(Ordering::Relaxed).to_string()),
        ("syncs", inner.committer.as_ref().map_or(0, |committer| committer.rounds()).to_string()),
    ]);
    Ok(rows)
}

/// Bytes of the folder's files. Some may go while they are counted.
fn bytes(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
}

fn engine(view: View<'_>) -> Result<Vec<(&'static str, String)>, Fault> {
    let db = &view.db.db;
    let mut levels = [(0_usize, 0_u64); LEVELS];
    for file in db.live_files().map_err(Fault::Read)? {
        if let Some((files, bytes)) = usize::try_from(file.level).ok().and_then(|level| levels.get_mut(level)) {
            *files += 1;
            *bytes += file.size as u64;
        }
    }
    let levels = levels.iter().enumerate().filter(|(_, (files, _))| *files > 0);
    let levels: Vec<String> =
        levels.map(|(level, (files, bytes))| format!("L{level}: {files} files, {bytes} bytes")).collect();
    let number = |name: &properties::PropName| {
        let found = db.property_int_value(name).map_err(Fault::Read)?;
        Ok::<_, Fault>(found.unwrap_or_default())
    };
    let writing = match (number(properties::IS_WRITE_STOPPED)?, number(properties::ACTUAL_DELAYED_WRITE_RATE)?) {
        (0, 0) => "as fast as asked".to_owned(),
        (0, rate) => format!("delayed to {rate} bytes/s"),
        _ => "stopped until the engine has caught up".to_owned(),
    };
    Ok(vec![
        ("block cache bytes", view.db.cache.get_usage().to_string()),
        ("memtable bytes", number(properties::CUR_SIZE_ALL_MEM_TABLES)?.to_string()),
        ("levels", if levels.is_empty() { "none".to_owned() } else { levels.join("; ") }),
        ("pending compaction bytes", number(properties::ESTIMATE_PENDING_COMPACTION_BYTES)?.to_string()),
        ("writing", writing),
    ])
}
