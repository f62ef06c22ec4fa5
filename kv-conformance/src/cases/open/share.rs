use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Barrier;

use super::super::store::entries::{buckets, ensure_bytes, ensure_holds, joined, listed};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Callers of a first open at once.
const CALLERS: usize = 32;

/// BKT-1: opening creates nothing that another handle can see, and no reading does.
pub(super) async fn opening_creates_nothing(cx: &Context) -> Outcome {
    let store = cx.store();
    ensure_eq!(buckets(&store).await?, Vec::<String>::new(), "the buckets of a fresh store");
    for name in ["a", "b", "", "a", "a:b"] {
        let bucket = store.open_bucket(name).await?;
        ensure_eq!(bucket.name(), name);
        ensure_eq!(bucket.get("k").await?, None);
        ensure!(!bucket.exists("k").await?, "expected: no key in a bucket that was only opened");
        ensure_eq!(bucket.get_many(&["k", ""]).await?, vec![None, None]);
        ensure_eq!(listed(&bucket, "").await?, Vec::<String>::new(), "the keys of a bucket that was only opened");
        bucket.delete("k").await?;
        bucket.delete_many(&["k", ""]).await?;
        bucket.set_many(Vec::<(&str, &str)>::new()).await?;
        if cx.declared().atomic {
            bucket.compare_and_swap("k", Some(b"1"), Some("2".into())).await?;
            bucket.compare_and_swap("k", None, None).await?;
            ensure_eq!(bucket.cas("k").await?.current(), None);
        }
        if cx.declared().cache {
            drop(bucket.get_or_set("k").await?);
        }
        if cx.declared().watch.is_some() {
            drop(bucket.watch("").await?);
        }
    }
    ensure_eq!(buckets(&store).await?, Vec::<String>::new(), "the buckets after opening and reading only");
    let store = cx.reopen().await?;
    ensure_eq!(buckets(&store).await?, Vec::<String>::new(), "the buckets after opening, reading and reopening only");
    Ok(())
}

/// BKT-2: what one handle writes another on the same name reads, whichever was there first.
pub(super) async fn two_handles_are_one_bucket(cx: &Context) -> Outcome {
    let first = cx.bucket("b").await?;
    let second = cx.bucket("b").await?;
    let clone = first.clone();
    first.set("one", "1").await?;
    ensure_bytes("the second handle's get", second.get("one").await?.as_ref(), b"1")?;
    second.set("one", "2").await?;
    ensure_bytes("the first handle's get", first.get("one").await?.as_ref(), b"2")?;
    second.set_many([("two", "2"), ("three", "3")]).await?;
    ensure_eq!(listed(&clone, "").await?, ["one", "three", "two"].map(String::from).to_vec());
    let third = cx.bucket("b").await?;
    ensure_eq!(listed(&third, "").await?, ["one", "three", "two"].map(String::from).to_vec());
    third.delete("two").await?;
    ensure!(!first.exists("two").await?, "expected: a deletion through one handle shows in the other");
    if cx.declared().atomic {
        first.increment("n", 2).await?;
        ensure_eq!(second.increment("n", 3).await?, 5, "a counter through two handles");
        let handle = third.cas("one").await?;
        first.set("one", "2").await?;
        let lost = matches!(handle.swap("mine").await?, kv_core::CasSwap::Lost(_));
        ensure!(lost, "expected: a write through another handle makes the swap fail; found: it succeeded");
    }
    ensure_eq!(buckets(&cx.store()).await?, vec!["b".to_owned()]);
    Ok(())
}

/// BKT-2: handles opened in many tasks are one bucket: each task's last write is there, and nothing else.
pub(super) async fn tasks_share_a_bucket(cx: &Context) -> Outcome {
    const WRITES: usize = 25;
    let mut tasks = Vec::new();
    for task in 0..CALLERS {
        let store = cx.store();
        tasks.push(tokio::spawn(async move {
            for write in 0..WRITES {
                let bucket = store.open_bucket("shared").await?;
                bucket.set(&format!("task {task}"), format!("{write}")).await?;
            }
            Ok::<(), Stop>(())
        }));
    }
    for task in tasks {
        joined(task).await?;
    }
    let last = Bytes::from(format!("{}", WRITES - 1));
    let expected: BTreeMap<String, Bytes> = (0..CALLERS).map(|task| (format!("task {task}"), last.clone())).collect();
    ensure_holds(&cx.bucket("shared").await?, &expected).await
}

/// BKT-2: 32 callers that open a new bucket at once and write get one bucket, round after round.
pub(super) async fn first_opens_at_once(cx: &Context) -> Outcome {
    const ROUNDS: usize = 8;
    for round in 0..ROUNDS {
        let name = format!("new {round}");
        let together = Arc::new(Barrier::new(CALLERS));
        let mut tasks = Vec::new();
        for caller in 0..CALLERS {
            let (store, name, together) = (cx.store(), name.clone(), Arc::clone(&together));
            tasks.push(tokio::spawn(async move {
                together.wait().await;
                let bucket = store.open_bucket(&name).await?;
                bucket.set(&format!("caller {caller}"), format!("{caller}")).await?;
                Ok::<_, Stop>(bucket)
            }));
        }
        let mut handles = Vec::new();
        for task in tasks {
            handles.push(joined(task).await?);
        }
        let expected: BTreeMap<String, Bytes> =
            (0..CALLERS).map(|caller| (format!("caller {caller}"), format!("{caller}").into())).collect();
        ensure_eq!(handles.len(), CALLERS);
        for handle in &handles {
            ensure_eq!(listed(handle, "").await?.len(), CALLERS, "keys that each of {CALLERS} first openers sees");
        }
        ensure_holds(&cx.bucket(&name).await?, &expected).await?;
    }
    let mut names: Vec<String> = (0..ROUNDS).map(|round| format!("new {round}")).collect();
    names.sort_unstable();
    ensure_eq!(buckets(&cx.store()).await?, names);
    Ok(())
}

/// BKT-2: a bucket is the same one after reopening and, where the store can be shared, for a second client.
pub(super) async fn one_bucket_after_reopening_and_beside(cx: &Context) -> Outcome {
    let names = ["b", "", "a:b", "b\0"];
    for (at, name) in names.iter().enumerate() {
        cx.bucket(name).await?.set("whose", format!("{at}")).await?;
    }
    for round in 0..3 {
        cx.reopen().await?;
        // In another order than before, so that numbers given by order of opening show.
        for (at, name) in names.iter().enumerate().rev() {
            let bucket = cx.bucket(name).await?;
            ensure_bytes("the value after reopening", bucket.get("whose").await?.as_ref(), format!("{at}").as_bytes())?;
            bucket.set(&format!("round {round}"), format!("{at}")).await?;
        }
    }
    for name in names {
        ensure_eq!(listed(&cx.bucket(name).await?, "").await?.len(), 4, "keys of {name:?} after three reopenings");
    }
    if !cx.declared().exclusive {
        let beside = cx.open_beside().await?;
        let theirs = beside.open_bucket("b").await?;
        let ours = cx.bucket("b").await?;
        ensure_eq!(listed(&theirs, "").await?, listed(&ours, "").await?, "the keys that a second client sees");
        theirs.set("from", "beside").await?;
        ensure_bytes("what the second client wrote", ours.get("from").await?.as_ref(), b"beside")?;
        ours.delete("from").await?;
        ensure_eq!(theirs.get("from").await?, None);
        beside.close().await?;
        ensure_bytes("a get once the second client closed", ours.get("whose").await?.as_ref(), b"0")?;
    }
    Ok(())
}

/// BKT-4: dropping a handle leaves the other handles, their bucket and their calls alone.
pub(super) async fn dropped_handle_disturbs_no_other(cx: &Context) -> Outcome {
    let kept = cx.bucket("b").await?;
    kept.set("before", "1").await?;
    for round in 0..50 {
        let dropped = cx.bucket("b").await?;
        let other = cx.bucket(&format!("other {round}")).await?;
        dropped.set("k", format!("{round}")).await?;
        drop(other);
        let writer = kept.clone();
        let call = tokio::spawn(async move { writer.set("during", format!("{round}")).await });
        drop(dropped);
        call.await.map_err(|error| Stop::failed(format_args!("expected: the call ends; found: {error}")))??;
        let expected = format!("{round}");
        ensure_bytes("what the dropped handle wrote", kept.get("k").await?.as_ref(), expected.as_bytes())?;
        ensure_bytes("what was written beside the drop", kept.get("during").await?.as_ref(), expected.as_bytes())?;
    }
    ensure_bytes("what was there before", kept.get("before").await?.as_ref(), b"1")?;
    drop(kept);
    let again = cx.bucket("b").await?;
    ensure_eq!(listed(&again, "").await?, ["before", "during", "k"].map(String::from).to_vec());
    ensure_eq!(buckets(&cx.store()).await?, vec!["b".to_owned()]);
    Ok(())
}
