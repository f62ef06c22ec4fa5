//! Stores that another version wrote, of this crate or of the engine: refused, and not changed.

use std::fs;
use std::path::{Path, PathBuf};

use kv_core::{Durability, ErrorKind};
use kv_rocksdb::Config;
use libtest_mimic::{Failed, Trial};

use crate::refusals::{content, expect, refusal};
use crate::support::{block_on, fail, open, trial, value};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("engine::a_newer_layout_is_refused", newer_layout),
        trial("engine::a_newer_layout_without_its_marker_is_refused", newer_row),
        trial("engine::a_newer_manifest_is_refused", newer_manifest),
        trial("engine::a_newer_table_is_refused", newer_table),
        trial("engine::a_newer_engine_s_store_opens_if_it_can_be_read", newer_but_readable),
    ]
}

const ENTRIES: usize = 200;

fn name(n: usize) -> String {
    format!("key{n}")
}

/// A store that is closed, with its data in tables.
fn make(path: &Path) -> Result<(), Failed> {
    block_on(async {
        let store = open(path, Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        for n in 0..ENTRIES {
            bucket.set(&name(n), value(&name(n), 1_000)).await?;
        }
        Ok(store.close().await?)
    })
}

fn check(path: &Path) -> Result<(), Failed> {
    block_on(async {
        let store = open(path, Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        for n in 0..ENTRIES {
            if bucket.get(&name(n)).await?.as_deref() != Some(&value(&name(n), 1_000)[..]) {
                return fail(format!("{} is not as it was", name(n)));
            }
        }
        Ok(store.close().await?)
    })
}

fn newest(path: &Path, is_so: impl Fn(&str) -> bool) -> Result<PathBuf, Failed> {
    let files = fs::read_dir(path)?.filter_map(Result::ok).map(|file| file.path());
    let some = files.filter(|path| path.file_name().is_some_and(|name| is_so(&name.to_string_lossy())));
    some.max().ok_or_else(|| "there is no such file".into())
}

/// CRC-32C, bit by bit, as the engine's logs hold it: masked, so that the sum of a sum is no sum.
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1)))
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A record of the engine's log format.
fn record(payload: &[u8]) -> Vec<u8> {
    const WHOLE: u8 = 1;
    let checked = [&[WHOLE], payload].concat();
    let length = u16::try_from(payload.len()).expect("a short record").to_le_bytes();
    [&masked_crc(&checked).to_le_bytes()[..], &length, &checked].concat()
}

/// Opens a store that must be refused, twice; nothing may change but the engine's diary and what `may_change` names.
fn must_be_refused(path: &Path, kind: ErrorKind, text: &str, may_change: &[&str]) -> Result<(), Failed> {
    let before = content(path)?;
    for _ in 0..2 {
        expect(&block_on(refusal(Config::new(path)))?, kind, text)?;
    }
    let after = content(path)?;
    let is_free = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        may_change.iter().chain(&["LOG"]).any(|begin| name.starts_with(begin))
    };
    match before.iter().find(|(path, bytes)| !is_free(path) && after.get(*path) != Some(bytes)) {
        Some((path, _)) => fail(format!("{} was changed", path.display())),
        None => Ok(()),
    }
}

/// A newer engine's files are damage to this one, which says so of everything that it can't read.
const DAMAGED: &str = "restore it from a copy";

const OTHER_VERSION: &str = "another version";

/// What this engine can't read is damage, unless a newer one noted that it used the store last.
fn damaged_or_newer(path: &Path) -> Result<(), Failed> {
    must_be_refused(path, ErrorKind::Corrupt, DAMAGED, &[])?;
    let options = newest(path, |name| name.starts_with("OPTIONS-"))?;
    let whole = fs::read_to_string(&options)?;
    let newer = whole.replacen("rocksdb_version=11.", "rocksdb_version=12.", 1);
    if newer == whole {
        return fail("the engine's options do not tell its version");
    }
    fs::write(&options, newer)?;
    must_be_refused(path, ErrorKind::InvalidArgument, "RocksDB 12.8.1 used it last", &[])?;
    fs::write(&options, whole)?;
    Ok(())
}

/// The marker names a layout that this version does not know: nothing is opened, nothing changes.
fn newer_layout() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    make(&path)?;
    let marker = path.join("kv");
    let whole = fs::read_to_string(&marker)?;
    let newer = whole.replacen("kv-rocksdb 2", "kv-rocksdb 3", 1);
    if newer == whole {
        return fail(format!("the marker says {whole:?}"));
    }
    fs::write(&marker, newer)?;
    must_be_refused(&path, ErrorKind::InvalidArgument, OTHER_VERSION, &[])?;
    fs::write(&marker, whole)?;
    check(&path)
}

/// So does the store itself, whose marker was lost or is an older one. The engine has to be open to see it, and makes new
/// files each time that it opens.
fn newer_row() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    make(&path)?;
    let put = |version: &[u8]| -> Result<Vec<u8>, Failed> {
        let database = rocksdb::DB::open_default(&path)?;
        let old = database.get(FORMAT)?.ok_or("the store has no row that tells its layout")?;
        database.put(FORMAT, version)?;
        database.flush()?;
        Ok(old)
    };
    let old = put(b"3")?;
    must_be_refused(&path, ErrorKind::InvalidArgument, OTHER_VERSION, &["MANIFEST", "CURRENT", "OPTIONS", "0000"])?;
    put(&old)?;
    check(&path)
}

/// Where a store keeps its layout's version.
const FORMAT: &[u8] = b"F";

/// The engine's list of files holds an entry of a kind that this version does not know and may not pass over.
fn newer_manifest() -> Result<(), Failed> {
    // Tag 900, as a varint; under the bit that says "may be passed over".
    const UNKNOWN: [u8; 3] = [0x84, 0x07, 0x00];
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    make(&path)?;
    let current = fs::read_to_string(path.join("CURRENT"))?;
    let manifest = path.join(current.trim_end());
    let whole = fs::read(&manifest)?;
    // In front of the end of a block no record begins that does not fit.
    if whole.len() % (32 << 10) > (32 << 10) - 100 {
        return fail("the list of files ends where no record fits");
    }
    fs::write(&manifest, [&whole[..], &record(&UNKNOWN)].concat())?;
    damaged_or_newer(&path)?;
    // Without it the store is what it was, so it was this that was refused.
    fs::write(&manifest, whole)?;
    check(&path)
}

/// A table of a format that this version does not know.
fn newer_table() -> Result<(), Failed> {
    // Eight bytes of magic number end a table, four of its format stand before them.
    const FROM_END: usize = 12;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    make(&path)?;
    let table = newest(&path, |name| name.ends_with(".sst"))?;
    let whole = fs::read(&table)?;
    let mut newer = whole.clone();
    let at = whole.len() - FROM_END;
    let format = u32::from_le_bytes(whole[at..at + 4].try_into()?);
    if !(2..20).contains(&format) {
        return fail(format!("the table's format is {format}"));
    }
    newer[at..at + 4].copy_from_slice(&99_u32.to_le_bytes());
    fs::write(&table, newer)?;
    damaged_or_newer(&path)?;
    fs::write(&table, whole)?;
    check(&path)
}

/// A newer engine that changed no format is no reason to refuse.
fn newer_but_readable() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    make(&path)?;
    let options = newest(&path, |name| name.starts_with("OPTIONS-"))?;
    let whole = fs::read_to_string(&options)?;
    fs::write(&options, whole.replacen("rocksdb_version=11.", "rocksdb_version=12.", 1))?;
    check(&path)
}
