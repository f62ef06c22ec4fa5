use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::try_join_all;
use kv_core::Bucket;
use rand::RngExt;

use super::entries::{delete_each, ensure_bytes, ensure_holds, ensure_lists, joined, listed, noise, set_each};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Keys beside which `a` is deleted: what a prefix, a pattern or a separator would take along.
const NEIGHBOURS: [&str; 24] = [
    "",
    "A",
    "aa",
    "ab",
    "a:",
    "a:b",
    "a/",
    "a/b",
    "a\\",
    "a.",
    "a*",
    "a?",
    "*",
    "?",
    "a\0",
    "a\0b",
    "\0a",
    " a",
    "a ",
    "a\n",
    "a\u{10FFFF}",
    "[a]",
    "{a}",
    "b",
];

/// RW-1: `get` of an absent key is `Ok(None)`, in a new bucket, beside near neighbours and after a deletion.
pub(super) async fn absent_is_none(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for key in ["a", "", "\0"] {
        ensure_eq!(bucket.get(key).await?, None, "get({key:?}) in an empty bucket");
        ensure!(!bucket.exists(key).await?, "expected: exists({key:?}) is false in an empty bucket; found: true");
    }
    set_each(&bucket, &NEIGHBOURS.map(|key| (key, "neighbour"))).await?;
    ensure_eq!(bucket.get("a").await?, None, "get of an absent key among its neighbours");
    ensure!(
        !bucket.exists("a").await?,
        "expected: exists is false for an absent key among its neighbours; found: true"
    );
    bucket.set("a", "1").await?;
    bucket.delete("a").await?;
    ensure_eq!(bucket.get("a").await?, None, "get of a deleted key");
    let elsewhere = cx.bucket("c").await?;
    ensure_eq!(elsewhere.get("b").await?, None, "get in another bucket");
    Ok(())
}

/// RW-1: the empty value is a value: read, existing, listed, in a batch, after a reopening.
pub(super) async fn empty_value_is_a_value(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("empty", "").await?;
    bucket.set_many([("by batch", ""), ("full", "1")]).await?;
    bucket.set("emptied", "long before").await?;
    bucket.set("emptied", Bytes::new()).await?;
    bucket.set("default", kv_core::OutgoingValue::new()).await?;
    let empty = Bytes::new();
    let mut expected: BTreeMap<String, Bytes> =
        ["empty", "by batch", "emptied", "default"].map(|key| (key.to_owned(), empty.clone())).into();
    expected.insert("full".to_owned(), "1".into());
    ensure_holds(&bucket, &expected).await?;
    ensure_eq!(bucket.get("empty").await?.map(|value| value.size()), Some(0), "the size of the empty value");
    let only = cx.bucket("only").await?;
    only.set("k", "").await?;
    let store = cx.reopen().await?;
    ensure_eq!(super::entries::buckets(&store).await?, vec!["b".to_owned(), "only".to_owned()]);
    let bucket = store.open_bucket("b").await?;
    ensure_holds(&bucket, &expected).await?;
    bucket.delete("empty").await?;
    ensure_eq!(bucket.get("empty").await?, None, "get of a deleted empty value");
    ensure_eq!(bucket.get_many(&["empty", "emptied"]).await?, vec![None, Some(empty.into())]);
    Ok(())
}

/// RW-2: `set` creates, and replaces the whole value: by others, by equal bytes, back to the first.
pub(super) async fn set_replaces(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("beside", "stays").await?;
    for value in ["one", "two", "two", "2", "one", "", "one", "another value", "one"] {
        bucket.set("k", value).await?;
        ensure_bytes("the value just set", bucket.get("k").await?.as_ref(), value.as_bytes())?;
        ensure_bytes("its neighbour", bucket.get("beside").await?.as_ref(), b"stays")?;
        ensure_eq!(listed(&bucket, "").await?, ["beside", "k"].map(String::from).to_vec());
    }
    bucket.set("k", "last").await?;
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    ensure_bytes("the last value after reopening", bucket.get("k").await?.as_ref(), b"last")
}

/// RW-2: a shorter value leaves no tail of the longer one before it, at sizes around every threshold.
pub(super) async fn overwrite_long_by_short(cx: &Context) -> Outcome {
    const SIZES: [usize; 14] =
        [2 << 20, 1, 300_000, 65_537, 65_536, 65_535, 4_097, 4_096, 4_095, 0, 1 << 20, 100, 131_073, 7];
    let bucket = cx.bucket("b").await?;
    bucket.set("kept", noise(99, 70_000)).await?;
    for (at, len) in SIZES.into_iter().enumerate() {
        let value = noise(at as u64, len);
        bucket.set("k", value.clone()).await?;
        let found = bucket.get("k").await?;
        ensure_bytes(&format!("the value of {len} bytes over another"), found.as_ref(), &value)?;
        let batch = bucket.get_many(&["k", "kept"]).await?;
        ensure_bytes("the same by batch", batch.first().and_then(Option::as_ref), &value)?;
        ensure_bytes("the entry beside it", batch.get(1).and_then(Option::as_ref), &noise(99, 70_000))?;
    }
    bucket.set("k", noise(50, 1 << 20)).await?;
    bucket.set("k", "short").await?;
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    ensure_bytes("the short value after reopening", bucket.get("k").await?.as_ref(), b"short")?;
    ensure_eq!(listed(&bucket, "").await?, ["k", "kept"].map(String::from).to_vec());
    Ok(())
}

/// RW-6, RW-2: while a key is rewritten with values of two lengths, readers see one or the other, whole, and never
/// an absent key.
pub(super) async fn readers_see_whole_values(cx: &Context) -> Outcome {
    const READERS: usize = 2;
    const WRITES: usize = 60;
    let values = [noise(1, 100_000), noise(2, 10)];
    let bucket = cx.bucket("b").await?;
    bucket.set("k", noise(1, 100_000)).await?;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..READERS).map(|_| tokio::spawn(read_until(bucket.clone(), Arc::clone(&done), values.clone()))).collect();
    let writer = async {
        let mut written = Ok(());
        for value in values.iter().rev().cycle().take(WRITES) {
            written = bucket.set("k", value.clone()).await;
            if written.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        done.store(true, Ordering::Release);
        written
    };
    // One reader is in the writer's own task and so looks in whenever a write waits for something.
    let (written, read) = tokio::join!(writer, read_until(bucket.clone(), Arc::clone(&done), values.clone()));
    written?;
    let mut reads = read?;
    for reader in readers {
        reads += joined(reader).await?;
    }
    ensure!(reads > WRITES, "expected: over {WRITES} reads beside the writes; found: {reads}");
    Ok(())
}

/// Reads until the writing is done, and for a while at least.
async fn read_until(bucket: Bucket, done: Arc<AtomicBool>, values: [Bytes; 2]) -> Result<usize, Stop> {
    const LEAST_READS: usize = 30;
    let mut reads = 0_usize;
    while !done.load(Ordering::Acquire) || reads < LEAST_READS {
        let found = bucket.get("k").await?;
        let is_whole = found.as_ref().is_some_and(|found| values.iter().any(|value| **found == **value));
        let size = found.map(|found| found.size());
        ensure!(is_whole, "expected: the old value or the new one, whole; found: {size:?} bytes of something else");
        ensure!(bucket.exists("k").await?, "expected: the key exists while it is rewritten; found: absent");
        reads += 1;
        tokio::task::yield_now().await;
    }
    Ok(reads)
}

/// RW-3: deleting an absent key succeeds and changes nothing, in a new bucket too.
pub(super) async fn delete_absent(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.delete("ghost").await?;
    bucket.set("neighbour", "1").await?;
    for key in ["ghost", "", "neighbour ", "neighbou", "neighbour\0"] {
        bucket.delete(key).await?;
        bucket.delete(key).await?;
        ensure_eq!(bucket.get(key).await?, None, "get({key:?}) after its deletion");
    }
    ensure_bytes("the neighbour", bucket.get("neighbour").await?.as_ref(), b"1")?;
    ensure_eq!(listed(&bucket, "").await?, vec!["neighbour".to_owned()]);
    Ok(())
}

/// RW-3: deleting a key touches no other, however near: each key of a crowd in turn.
pub(super) async fn delete_touches_no_neighbour(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut expected: BTreeMap<String, Bytes> = NEIGHBOURS
        .iter()
        .chain(&["a"])
        .enumerate()
        .map(|(at, key)| ((*key).to_owned(), Bytes::from(format!("{at}"))))
        .collect();
    ensure_eq!(expected.len(), NEIGHBOURS.len() + 1, "distinct keys in the crowd");
    set_each(&bucket, &expected.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()).await?;
    ensure_holds(&bucket, &expected).await?;
    // The shortest first: its deletion is the one that could take the others along.
    for key in ["a", "", "*", "?"].iter().chain(&NEIGHBOURS) {
        bucket.delete(key).await?;
        expected.remove(*key);
        ensure_holds(&bucket, &expected).await?;
    }
    ensure!(expected.is_empty(), "expected: every key had its turn; found: {} left", expected.len());
    Ok(())
}

/// RW-3, RW-1: a deleted key is gone from every view and can be set again, to what it was or to something else.
pub(super) async fn delete_and_set_again(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for round in 0..5 {
        for value in ["same", "", "other"] {
            bucket.set("k", value).await?;
            bucket.set("l", value).await?;
            bucket.delete("k").await?;
            ensure_eq!(bucket.get("k").await?, None, "get after delete in round {round}");
            ensure!(!bucket.exists("k").await?, "expected: exists is false after delete; found: true in round {round}");
            ensure_eq!(bucket.get_many(&["k"]).await?, vec![None], "get_many after delete in round {round}");
            ensure_eq!(listed(&bucket, "").await?, vec!["l".to_owned()], "the keys after delete in round {round}");
            bucket.set("k", value).await?;
            ensure_bytes("the value set after delete", bucket.get("k").await?.as_ref(), value.as_bytes())?;
        }
    }
    bucket.delete("k").await?;
    let bucket = cx.reopen().await?.open_bucket("b").await?;
    ensure_eq!(bucket.get("k").await?, None, "get of a deleted key after reopening");
    ensure_lists(&bucket, &["l".to_owned()]).await
}

/// RW-4: after each of a random run of writes, `exists` is true exactly when `get` gives a value.
pub(super) async fn exists_equals_get(cx: &Context) -> Outcome {
    const STEPS: usize = 400;
    let keys: Vec<String> = (0..12).map(|at| "k".repeat(at)).collect();
    let bucket = cx.bucket("b").await?;
    let mut rng = cx.rng();
    let mut expected: BTreeMap<String, Bytes> = BTreeMap::new();
    let (mut found_there, mut found_absent) = (0_usize, 0_usize);
    for _ in 0..STEPS {
        let Some(key) = keys.get(rng.random_range(0..keys.len())) else { continue };
        match rng.random_range(0..5_u8) {
            0 | 1 => {
                let value = noise(rng.random(), rng.random_range(0..4));
                bucket.set(key, value.clone()).await?;
                expected.insert(key.clone(), value);
            }
            2 => {
                let value = noise(rng.random(), 3);
                bucket.set_many([(key, value.clone())]).await?;
                expected.insert(key.clone(), value);
            }
            3 => {
                bucket.delete(key).await?;
                expected.remove(key);
            }
            _ => {
                bucket.delete_many(&[key, key]).await?;
                expected.remove(key);
            }
        }
        let exists = bucket.exists(key).await?;
        let got = bucket.get(key).await?;
        ensure_eq!(exists, got.is_some(), "exists({key:?}) beside whether get gives a value");
        ensure_eq!(exists, expected.contains_key(key), "exists({key:?}) after the write");
        if exists { found_there += 1 } else { found_absent += 1 }
    }
    ensure!(
        found_there > 50 && found_absent > 50,
        "expected: both answers often; found: {found_there}, {found_absent}"
    );
    ensure_holds(&bucket, &expected).await
}

/// RW-4, RW-3: 1,000 random keys, half of them deleted: what exists, what can be read and what is listed agree.
pub(super) async fn thousand_random_keys(cx: &Context) -> Outcome {
    const KEYS: usize = 1_000;
    let bucket = cx.bucket("b").await?;
    let mut rng = cx.rng();
    let mut expected: BTreeMap<String, Bytes> = BTreeMap::new();
    while expected.len() < KEYS {
        let key: String = (0..rng.random_range(0..12)).map(|_| rng.random::<char>()).collect();
        expected.insert(key, noise(rng.random(), rng.random_range(0..64)));
    }
    set_each(&bucket, &expected.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()).await?;
    ensure_holds(&bucket, &expected).await?;
    let gone: Vec<String> = expected.keys().step_by(2).cloned().collect();
    delete_each(&bucket, &gone).await?;
    for key in &gone {
        expected.remove(key);
    }
    ensure_holds(&bucket, &expected).await?;
    for some in gone.chunks(50) {
        let exist = try_join_all(some.iter().map(|key| bucket.exists(key))).await?;
        let got = try_join_all(some.iter().map(|key| bucket.get(key))).await?;
        ensure!(exist.iter().all(|exists| !exists), "expected: no deleted key exists; found one");
        ensure!(got.iter().all(Option::is_none), "expected: no deleted key has a value; found one");
    }
    Ok(())
}
