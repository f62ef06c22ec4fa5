//! Writes that are applied once.

use std::collections::BTreeMap;

use kv_core::Event;

use super::super::atomic::stored::ensure_stored;
use super::super::store::entries::{joined, prompt};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// ERR-6: each increment is applied once, failed ones never, while others fail and give up beside it.
pub(super) async fn increments_are_applied_once(cx: &Context) -> Outcome {
    const TASKS: usize = 8;
    const EACH: usize = 150;
    let bucket = cx.bucket("b").await?;
    bucket.set("text", "no counter").await?;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                let key = format!("n{task}");
                for round in 1..=EACH {
                    ensure_eq!(bucket.increment(&key, 1).await?, round as i64, "increment {round} of {key}");
                    if round % 10 == 0 {
                        let failed = bucket.increment("text", 1).await.is_err();
                        ensure!(failed, "expected: a text can't be incremented; found success");
                    }
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        joined(task).await?;
    }
    for task in 0..TASKS {
        ensure_stored(&bucket, &format!("n{task}"), Some(EACH.to_string().as_bytes())).await?;
    }
    ensure_stored(&bucket, "text", Some(b"no counter")).await
}

/// ERR-6: each write shows in a watch once: none is repeated behind the caller's back.
pub(super) async fn sets_are_applied_once(cx: &Context) -> Outcome {
    const WRITES: usize = 300;
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    for write in 0..WRITES {
        bucket.set(&format!("k{}", write % 7), write.to_string()).await?;
        if write % 50 == 49 {
            bucket.delete(&format!("k{}", write % 7)).await?;
        }
    }
    bucket.set("end", "").await?;
    let mut times = BTreeMap::<Vec<u8>, usize>::new();
    let mut deletes = 0;
    loop {
        match prompt("the next event", events.next()).await? {
            Some(Event::Set { key, .. }) if key == "end" => break,
            Some(Event::Set { value, .. }) => *times.entry(value.to_vec()).or_default() += 1,
            Some(Event::Deleted { .. }) => deletes += 1,
            other => return Err(Stop::failed(format_args!("expected: an event of a write; found {other:?}"))),
        }
    }
    let twice: Vec<String> =
        times.iter().filter(|(_, count)| **count != 1).map(|(value, _)| value.escape_ascii().to_string()).collect();
    ensure!(twice.is_empty(), "expected: each set is applied once; found these values written again: {twice:?}");
    ensure_eq!(times.len(), WRITES, "sets seen");
    ensure_eq!(deletes, WRITES / 50, "deletes seen");
    Ok(())
}
