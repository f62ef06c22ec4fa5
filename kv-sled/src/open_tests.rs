//! What a crash can leave, made by hand, and what opening makes of it.

use std::time::{Duration, Instant};

use kv_core::{Provider as _, Store};
use tempfile::TempDir;

use super::*;
use crate::journal::Journal;
use crate::layout::{EntryKey, Part, chunk_id, chunk_key};
use crate::provider::Provider;
use crate::record::Head;

/// Changes a store behind its back, as if the process had been killed in between.
fn tamper(folder: &TempDir, change: impl FnOnce(&Trees)) {
    let config = Config::new(folder.path());
    let trees = Trees::open(open_db(&config).unwrap()).unwrap();
    trees.meta.remove(TIDY).unwrap();
    change(&trees);
    trees.db.flush().unwrap();
    drop(trees);
    wait_unlocked(folder.path());
}

async fn open(folder: &TempDir) -> Provider {
    Provider::open(Config::new(folder.path())).await.unwrap()
}

/// A store with a small and a large value in the bucket `b`, whose id is 1.
async fn filled() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(open(&folder).await);
    let bucket = store.open_bucket("b").await.unwrap();
    bucket.set("small", "1").await.unwrap();
    bucket.set("large", vec![7; 100_000]).await.unwrap();
    store.close().await.unwrap();
    folder
}

/// Waits until the sweeper has made the store so.
async fn becomes(provider: &Provider, what: impl Fn(&Trees) -> bool) {
    let begun = Instant::now();
    while !provider.engine().read("looking", |trees| Ok(what(trees))).unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came true");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn pieces_without_a_record_are_removed() {
    let folder = filled().await;
    tamper(&folder, |trees| {
        let owner = EntryKey::new(1, "small");
        trees.chunks.insert(chunk_key(900, Part::Owner, 0), owner.as_slice()).unwrap();
        trees.chunks.insert(chunk_key(900, Part::Value, 0), b"orphan").unwrap();
    });
    let provider = open(&folder).await;
    becomes(&provider, |trees| {
        trees.chunks.iter().keys().all(|key| chunk_id(&key.unwrap()).is_some_and(|id| id != 900))
    })
    .await;
    let bucket = provider.open_bucket("b").await.unwrap();
    assert_eq!(bucket.get("large").await.unwrap().unwrap()[..], [7; 100_000]);
    provider.close().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_was_written_down_is_applied() {
    let folder = filled().await;
    tamper(&folder, |trees| {
        let mut journal = Journal::default();
        journal.push(EntryKey::new(1, "small").as_slice(), None);
        journal.push(EntryKey::new(1, "new").as_slice(), Some(&Head::default().record(b"2")));
        journal.write(trees).unwrap();
    });
    let provider = open(&folder).await;
    let bucket = provider.open_bucket("b").await.unwrap();
    assert_eq!(bucket.get("small").await.unwrap(), None);
    assert_eq!(bucket.get("new").await.unwrap().unwrap(), b"2"[..]);
    provider.close().await.unwrap();
}

#[tokio::test]
async fn a_drop_is_whole_or_did_not_happen() {
    let folder = filled().await;
    tamper(&folder, |trees| {
        trees.garbage.insert(1_u64.to_be_bytes(), b"b").unwrap();
    });
    let provider = open(&folder).await;
    assert_eq!(provider.buckets().await.unwrap(), ["b"]);
    provider.close().await.unwrap();
    tamper(&folder, |trees| {
        trees.garbage.insert(1_u64.to_be_bytes(), b"b").unwrap();
        trees.buckets.remove(b"b").unwrap();
    });
    let provider = open(&folder).await;
    assert!(provider.buckets().await.unwrap().is_empty());
    becomes(&provider, |trees| trees.entries.is_empty() && trees.chunks.is_empty() && trees.garbage.is_empty()).await;
    let bucket = provider.open_bucket("b").await.unwrap();
    bucket.set("small", "again".into()).await.unwrap();
    becomes(&provider, |trees| trees.entries.contains_key(EntryKey::new(2, "small")).unwrap()).await;
    provider.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_store_that_lost_its_end_is_damaged() {
    let folder = filled().await;
    tamper(&folder, |trees| {
        trees.meta.insert(CLOSED, &7_u64.to_be_bytes()).unwrap();
    });
    let error = Provider::open(Config::new(folder.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// An acknowledgement that is asked for after the last flush must not wait for another one: none comes.
#[tokio::test]
async fn what_the_last_flush_covers_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let opened = super::open(Config::new(folder.path())).unwrap();
    opened.inner.flusher.join();
    let mut acknowledged = Box::pin(opened.inner.acknowledge());
    let polled = acknowledged.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(()))));
}

/// An entry that is written again and again leaves one row among the deadlines, not one for each write.
#[tokio::test]
async fn replaced_deadlines_leave_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    let rows = |provider: &Provider| provider.engine().read("counting", |trees| Ok(trees.deadlines.len())).unwrap();
    let bucket = provider.open_bucket("b").await.unwrap();
    for hours in 1..50 {
        let ttl = Duration::from_secs(3_600 * hours);
        bucket.cache().unwrap().set_with_ttl("k", "v".into(), ttl).await.unwrap();
    }
    assert_eq!(rows(&provider), 1);
    bucket.set("k", "v".into()).await.unwrap();
    assert_eq!(rows(&provider), 0);
    provider.close().await.unwrap();
}

/// Reading writes nothing: a full disk must not make what is there unreadable.
#[tokio::test]
async fn readers_find_all_nodes_settled() {
    let folder = tempfile::tempdir().unwrap();
    let provider = open(&folder).await;
    let store = provider.inner();
    let provider = Store::new(provider);
    let flushed = || store.engine.write("flushing", |trees| Ok(trees.db.flush()?)).unwrap();
    let bucket = provider.open_bucket("b").await.unwrap();
    let keys: Vec<String> = (0..5_000).map(|n| format!("key {:04}", n * 7_919 % 5_000)).collect();
    let read_all = async || {
        for key in &keys {
            bucket.exists(key).await.unwrap();
        }
        flushed()
    };
    for some in keys.chunks(100) {
        bucket.set_many(some.iter().map(|key| (key, "v"))).await.unwrap();
    }
    flushed();
    assert_eq!(read_all().await, 0, "nodes were split by readers");
    for some in keys[..4_500].chunks(100) {
        bucket.delete_many(some).await.unwrap();
    }
    flushed();
    assert_eq!(read_all().await, 0, "nodes were merged by readers");
    drop(store);
    provider.close().await.unwrap();
}

#[tokio::test]
async fn a_store_of_another_layout_is_refused_and_left_as_it_is() {
    let folder = filled().await;
    let version = |trees: &Trees| trees.meta.get(FORMAT).unwrap().unwrap();
    tamper(&folder, |trees| {
        assert_eq!(version(trees), FORMAT_VERSION);
        trees.meta.insert(FORMAT, b"1").unwrap();
    });
    let error = Provider::open(Config::new(folder.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("layout"), "{error}");
    wait_unlocked(folder.path());
    tamper(&folder, |trees| assert_eq!(version(trees), b"1"));
}
