//! What a crash or damage can leave, made by hand, and what opening makes of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kv_core::{Provider as _, Store};
use tempfile::TempDir;

use super::*;
use crate::engine::View;
use crate::layout::{GARBAGE, LAST_ID, NEXT_ID, bucket_ranges, deadlines_from, garbage_key, kind_range, registry_key};
use crate::list::iterate;
use crate::provider::Provider;
use crate::record::INLINE_VALUE_BYTES;

async fn open(folder: &TempDir) -> Provider {
    Provider::open(Config::new(folder.path())).await.unwrap()
}

/// How many rows a range has.
fn rows(view: View<'_>, range: std::ops::Range<impl Into<Vec<u8>>>) -> usize {
    let mut iterator = iterate(view, range);
    let mut rows = 0;
    while iterator.valid() {
        rows += 1;
        iterator.next();
    }
    rows
}

fn look<T>(provider: &Provider, look: impl FnOnce(View<'_>) -> T) -> T {
    provider.inner().engine.wait("looking", |view| Ok(look(view))).unwrap()
}

/// Waits until the sweeper has made the store so.
async fn becomes(provider: &Provider, what: impl Fn(View<'_>) -> bool) {
    let begun = Instant::now();
    while !look(provider, &what) {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came true");
        tokio::task::yield_now().await;
    }
}

/// The rows that a bucket has, or had.
fn rows_of(view: View<'_>, id: u64) -> usize {
    bucket_ranges(id).into_iter().map(|range| rows(view, range)).sum()
}

#[tokio::test]
async fn a_drop_that_a_crash_cut_short_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    let bucket = provider.open_bucket("b").await.unwrap();
    bucket.set("small", "1".into()).await.unwrap();
    bucket.set("large", vec![7; INLINE_VALUE_BYTES + 1].into()).await.unwrap();
    bucket.cache().unwrap().set_with_ttl("ttl", "1".into(), Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(look(&provider, |view| rows_of(view, 1)), 4);
    provider.close().await.unwrap();
    // As the step of the drop leaves it.
    let db = open_db(&Config::new(folder.path()), false).unwrap();
    db.db.delete(registry_key("b")).unwrap();
    db.db.put(garbage_key(1), [u8::MAX, b'b']).unwrap();
    db.db.put(CLOSED, 1_u64.to_be_bytes()).unwrap();
    drop(db);
    let provider = open(&folder).await;
    assert!(provider.buckets().await.unwrap().is_empty());
    let is_tidy =
        |view: View<'_>| rows_of(view, 1) + rows(view, kind_range(GARBAGE)) + rows(view, deadlines_from(&[])) == 0;
    becomes(&provider, is_tidy).await;
    let bucket = provider.open_bucket("b").await.unwrap();
    bucket.set("small", "again".into()).await.unwrap();
    assert_eq!(look(&provider, |view| rows_of(view, 2)), 1);
    provider.close().await.unwrap();
}

/// The last id is used; behind it a first write is refused, and other buckets go on.
#[tokio::test]
async fn ids_come_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    provider.open_bucket("a").await.unwrap().set("k", "v".into()).await.unwrap();
    provider.close().await.unwrap();
    let db = open_db(&Config::new(folder.path()), false).unwrap();
    db.db.put(NEXT_ID, LAST_ID.to_be_bytes()).unwrap();
    drop(db);
    let provider = open(&folder).await;
    let last = provider.open_bucket("last").await.unwrap();
    last.set("k", "v".into()).await.unwrap();
    let refused = provider.open_bucket("more").await.unwrap().set("k", "v".into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    assert!(refused.to_string().contains("281474976710654 ids"), "{refused}");
    last.set("k", "w".into()).await.unwrap();
    provider.drop_bucket("last").await.unwrap();
    assert!(!last.exists("k").await.unwrap());
    assert_eq!(provider.buckets().await.unwrap(), ["a"]);
    provider.close().await.unwrap();
}

/// What has many entries goes by files, and its deadlines with it.
#[tokio::test]
async fn a_large_bucket_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    let bucket = provider.open_bucket("b").await.unwrap();
    let keys: Vec<String> = (0..10_000).map(|n| format!("key{n}")).collect();
    for keys in keys.chunks(1_000) {
        let entries: Vec<_> = keys.iter().map(|key| (&**key, vec![1; 200].into())).collect();
        bucket.set_many(&entries).await.unwrap();
    }
    for key in ["a", "b", "c"] {
        bucket.cache().unwrap().set_with_ttl(key, "v".into(), Duration::from_secs(3_600)).await.unwrap();
    }
    // The neighbour's first key stands where the other's rows end.
    let neighbour = provider.open_bucket("c").await.unwrap();
    neighbour.set("", "stays".into()).await.unwrap();
    neighbour.cache().unwrap().set_with_ttl("ttl", "v".into(), Duration::from_secs(3_600)).await.unwrap();
    provider.drop_bucket("b").await.unwrap();
    becomes(&provider, |view| rows_of(view, 1) + rows(view, kind_range(GARBAGE)) == 0).await;
    assert_eq!(look(&provider, |view| rows(view, deadlines_from(&[]))), 1);
    assert_eq!(neighbour.get("").await.unwrap().unwrap(), b"stays"[..]);
    provider.close().await.unwrap();
}

/// An entry that is written again and again leaves one row among the deadlines, not one for each write.
#[tokio::test]
async fn replaced_deadlines_leave_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    let deadlines = |provider: &Provider| look(provider, |view| rows(view, deadlines_from(&[])));
    let bucket = provider.open_bucket("b").await.unwrap();
    let set = async |key: &str, ttl: u64| {
        bucket.cache().unwrap().set_with_ttl(key, "v".into(), Duration::from_millis(ttl)).await.unwrap();
    };
    for hours in 1..50 {
        set("k", 3_600_000 * hours).await;
    }
    assert_eq!(deadlines(&provider), 1);
    bucket.delete("k").await.unwrap();
    assert_eq!(deadlines(&provider), 0);
    // One that a plain write left behind goes at its time, and leaves the entry alone.
    set("k", 50).await;
    bucket.set("k", "v".into()).await.unwrap();
    becomes(&provider, |view| rows(view, deadlines_from(&[])) == 0).await;
    assert!(bucket.exists("k").await.unwrap());
    provider.close().await.unwrap();
}

/// A store that is closed, so that its log is as short as can be; then some entries, and the folder as a kill leaves it.
async fn killed(folder: &TempDir) -> TempDir {
    let provider = open(folder).await;
    let bucket = provider.open_bucket("b").await.unwrap();
    for n in 0..20 {
        bucket.set(&format!("k{n}"), vec![n; 100].into()).await.unwrap();
    }
    let copied = tempfile::tempdir().unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copied.path().join(file.file_name())).unwrap();
    }
    provider.close().await.unwrap();
    copied
}

fn named(folder: &TempDir, is_it: impl Fn(&str) -> bool) -> PathBuf {
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| is_it(path.file_name().unwrap().to_str().unwrap())).max().unwrap()
}

/// Where the records of a log of one block begin.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut begins = vec![];
    let mut at = 0;
    while at + 7 <= bytes.len() && bytes[at + 6] != 0 {
        begins.push(at);
        at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
    }
    begins
}

/// The engine would read such a record again and again, for ever.
#[tokio::test]
async fn a_record_whose_kind_has_a_flipped_bit_is_damage() {
    for is_it in [|name: &str| name.ends_with(".log"), |name: &str| name.starts_with("MANIFEST-")] {
        for bit in 0..8 {
            let folder = tempfile::tempdir().unwrap();
            let copied = killed(&folder).await;
            let log = named(&copied, is_it);
            let mut bytes = fs::read(&log).unwrap();
            let begins = records(&bytes);
            bytes[begins[begins.len() / 2] + 6] ^= 1 << bit;
            fs::write(&log, bytes).unwrap();
            let error = Provider::open(Config::new(copied.path())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bit}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_log_that_was_cut_opens_up_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let copied = killed(&folder).await;
    let log = named(&copied, |name| name.ends_with(".log"));
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 50]).unwrap();
    let store = Store::new(open(&copied).await);
    let bucket = store.open_bucket("b").await.unwrap();
    assert!(bucket.exists("k18").await.unwrap() && !bucket.exists("k19").await.unwrap());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_store_that_lost_its_end_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    provider.close().await.unwrap();
    let db = open_db(&Config::new(folder.path()), false).unwrap();
    db.db.put(CLOSED, 7_u64.to_be_bytes()).unwrap();
    drop(db);
    let error = Provider::open(Config::new(folder.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// Made before the engine's first file, so that a crash in between leaves a store that can be made.
#[tokio::test]
async fn a_store_that_a_crash_left_half_made_is_made() {
    for step in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        Marker::write(folder.path(), Mark::New).unwrap();
        if step > 0 {
            drop(open_db(&Config::new(folder.path()), true).unwrap());
        }
        open(&folder).await.close().await.unwrap();
        assert_eq!(Marker::read(folder.path()).unwrap(), Mark::Closed(1));
    }
}

/// What an engine keeps open of a store's tables it looks at when it opens them, and of the others only when it reads them.
#[tokio::test]
async fn a_newer_table_is_found_among_more_than_are_kept_open() {
    const TABLES: u32 = 12;
    // Eight bytes of magic number end a table, four of its format stand before them.
    const FROM_END: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let provider = open(&folder).await;
    let bucket = provider.open_bucket("b").await.unwrap();
    let never = [("disable_auto_compactions", "true")];
    look(&provider, |view| view.db.db.set_options(&never).unwrap());
    for n in 0..TABLES {
        bucket.set(&n.to_string(), "v".into()).await.unwrap();
        look(&provider, |view| view.db.db.flush().unwrap());
    }
    provider.close().await.unwrap();
    let files = || fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let tables: Vec<_> = files().filter(|file| file.extension().is_some_and(|kind| kind == "sst")).collect();
    assert!(tables.len() > TABLES as usize, "{tables:?}");
    let options = files().filter(|file| file.to_string_lossy().contains("OPTIONS-")).max().unwrap();
    let text = fs::read_to_string(&options).unwrap();
    let few = Config { max_open_files: Some(20), ..Config::new(path) };
    for table in tables {
        fs::write(&options, text.replacen("rocksdb_version=11.", "rocksdb_version=12.", 1)).unwrap();
        let whole = fs::read(&table).unwrap();
        let mut newer = whole.clone();
        let at = whole.len() - FROM_END;
        newer[at..at + 4].copy_from_slice(&99_u32.to_le_bytes());
        fs::write(&table, newer).unwrap();
        let error = Provider::open(few.clone()).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error:?}");
        fs::write(&table, whole).unwrap();
    }
    open_with(few, Meters::default()).map(drop).unwrap();
}

#[tokio::test]
async fn a_deadline_of_an_unknown_form_keeps_no_other_from_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    look(&provider, |view| view.db.db.put([deadlines_from(&[]).start, vec![0]].concat(), "?").unwrap());
    let bucket = provider.open_bucket("b").await.unwrap();
    bucket.cache().unwrap().set_with_ttl("ttl", "1".into(), Duration::from_millis(1)).await.unwrap();
    becomes(&provider, |view| rows_of(view, 1) == 0).await;
    provider.close().await.unwrap();
}
