use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use kv::Store;
use tokio::runtime::Runtime;

use super::{CALLERS, Seen, Times, opened};
use crate::client::{Client, Result};
use crate::data::Data;
use crate::disk;
use crate::engines::{Class, Engine};
use crate::suite::Options;

/// The engine's cache, in MiB, and how many times as much there is to read.
const CACHE_MB: usize = 64;
const QUICK_CACHE_MB: usize = 1;
const TIMES: usize = 4;

/// Bytes of a key.
const KEY_BYTES: usize = 16;

/// Of so many neighbours one is read, so that no two reads are of the same block: each block is read for the first time.
const APART: usize = 80;

/// A store that is closed, and whose files the system can forget.
pub(super) struct Folder<E: Engine> {
    data: Arc<Data>,
    cache: String,
    files: PathBuf,
    place: E::Place,
}

impl<E: Engine> Folder<E> {
    pub(super) fn fill(runtime: &Runtime, options: &Options, class: Class) -> Result<Self> {
        let cache_mb = if options.quick { QUICK_CACHE_MB } else { CACHE_MB };
        let records = TIMES * (cache_mb << 20) / (options.value_bytes + KEY_BYTES);
        let place = E::place(options.dir())?;
        let files = E::folder(&place).ok_or("an engine without files reads nothing from them")?;
        let data = Arc::new(Data::sample(records, (records / APART).max(CALLERS), options.value_bytes));
        let folder = Self { data, cache: format!("cache_mb={cache_mb}"), files, place };
        runtime.block_on(async {
            let store = folder.open(options, class, "inline").await?;
            folder.data.write(&mut store.open_bucket("bench").await?, 0..records).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(store.close().await?)
        })?;
        // Opened again, the engine puts into its files what it only has in its log; then they stay as they are.
        let store = runtime.block_on(folder.open(options, class, "inline"))?;
        disk::settle();
        runtime.block_on(store.close())?;
        Ok(folder)
    }

    async fn open(&self, options: &Options, class: Class, io: &str) -> Result<Store> {
        opened::<E>(&self.place, options, class, &[&self.cache, &format!("io={io}")]).await
    }

    /// Reads each key once, after the system has forgotten the files.
    pub(super) fn read(&self, runtime: &Runtime, options: &Options, class: Class, io: &str) -> Result<Seen> {
        disk::forget(&self.files)?;
        runtime.block_on(async {
            let store = self.open(options, class, io).await?;
            // What opening has read is forgotten too.
            disk::forget(&self.files)?;
            let bucket = store.open_bucket("bench").await?;
            let (begun, read_before) = (Instant::now(), disk::read_bytes());
            let callers: Vec<_> =
                (0..CALLERS).map(|caller| tokio::spawn(read(bucket.clone(), Arc::clone(&self.data), caller))).collect();
            let (mut times, mut reads) = (Times::new()?, 0);
            for caller in callers {
                let (timed, keys) = caller.await??;
                times.add(&timed)?;
                reads += keys;
            }
            let took = begun.elapsed();
            let read = read_before.and_then(|before| Some(disk::read_bytes()?.saturating_sub(before)));
            store.close().await?;
            let note = format!(
                "{reads} reads, {:.0} a second, for which {} came from the disk",
                reads as f64 / took.as_secs_f64(),
                read.map_or_else(
                    || "an unknown number of bytes".to_owned(),
                    |bytes| format!("{:.1} KiB a read", bytes as f64 / 1_024.0 / reads as f64)
                ),
            );
            // A disk that is memory has nothing to wait for.
            let came_about = read.is_some_and(|bytes| bytes >= reads as u64 * 1_024);
            Ok(Seen { times, came_about, note })
        })
    }
}

/// One caller; gives the times of its polls, and how many keys it read.
async fn read<C: Client>(mut client: C, data: Arc<Data>, caller: usize) -> Result<(Times, usize)> {
    let mut times = Times::new()?;
    let keys = data.share(caller, CALLERS);
    for key in keys {
        times.timed(client.get(key)).await?;
    }
    Ok((times, keys.len()))
}
