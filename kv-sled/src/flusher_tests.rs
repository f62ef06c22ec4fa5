use kv_core::Store;

use crate::{Config, Provider};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_share_flushes() {
    const CALLERS: u64 = 64;
    const WRITES: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(Config::new(folder.path())).await.unwrap();
    let inner = provider.inner();
    let store = Store::new(provider);
    let bucket = store.open_bucket("b").await.unwrap();
    let callers = (0..CALLERS).map(|caller| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            for n in 0..WRITES {
                bucket.set(&format!("{caller}"), format!("{n}")).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let flushes = inner.flusher.rounds();
    drop(inner);
    store.close().await.unwrap();
    // No caller has two writes in one flush. How many callers share one is the scheduler's doing.
    assert!((WRITES..WRITES * CALLERS / 2).contains(&flushes), "{flushes} flushes");
}
