//! From its deadline an entry is absent, whoever asks first. Each case asks with one operation, as a look by another
//! may clear the way.

use futures_util::future::try_join_all;
use kv_core::{CasSwap, Fill, GetOrSet, Swap, Ttl};

use super::super::atomic::stored::{ensure_stored, ensure_value};
use super::super::store::entries::{buckets, listed, prompt};
use super::clock::{Deadline, LONG, SHORT, expire};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// TTL-2: absent to `get`, to `exists`, to `ttl` and to `delete`, each asked first.
pub(super) async fn expired_is_absent_to_reads(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let keys = ["get", "exists", "ttl", "delete"];
    try_join_all(keys.iter().map(|key| bucket.set_with_ttl(key, "v", SHORT))).await?;
    Deadline::after(SHORT).pass().await;
    ensure_value("get after the deadline", bucket.get("get").await?.as_ref(), None)?;
    ensure!(!bucket.exists("exists").await?, "expected: exists is false after the deadline; found: true");
    ensure_eq!(bucket.ttl("ttl").await?, Ttl::Absent, "ttl after the deadline");
    bucket.delete("delete").await?;
    for key in keys {
        ensure_stored(&bucket, key, None).await?;
        bucket.set(key, "again").await?;
        ensure_stored(&bucket, key, Some(b"again")).await?;
        ensure_eq!(bucket.ttl(key).await?, Ttl::Forever, "ttl of an entry made anew");
    }
    Ok(())
}

/// TTL-2: absent to `get_many`, beside entries that are there; batches write over it and pass over it.
pub(super) async fn expired_is_absent_to_batches(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set_many([("a", "1"), ("z", "2")]).await?;
    bucket.set_with_ttl("later", "3", LONG).await?;
    expire(&bucket, "due", "gone").await?;
    let found = bucket.get_many(&["a", "due", "later", "due", "z"]).await?;
    let found: Vec<Option<&[u8]>> = found.iter().map(|value| value.as_deref()).collect();
    ensure_eq!(found, [Some(&b"1"[..]), None, Some(b"3"), None, Some(b"2")], "get_many after the deadline of one");
    expire(&bucket, "due", "gone").await?;
    bucket.delete_many(&["due", "due"]).await?;
    ensure_stored(&bucket, "due", None).await?;
    expire(&bucket, "due", "gone").await?;
    bucket.set_many([("due", "new")]).await?;
    ensure_stored(&bucket, "due", Some(b"new")).await?;
    ensure_eq!(bucket.ttl("due").await?, Ttl::Forever, "ttl after set_many wrote over an expired entry");
    Ok(())
}

/// TTL-2: absent from listings, whatever their pages and prefix.
pub(super) async fn expired_is_not_listed(cx: &Context) -> Outcome {
    const DUE: usize = 60;
    let bucket = cx.bucket("b").await?;
    bucket.set_many((0..DUE).map(|at| (format!("kept{at:02}"), "v"))).await?;
    bucket.set_with_ttl("kept later", "v", LONG).await?;
    try_join_all((0..DUE).map(|at| {
        let bucket = bucket.clone();
        // Before, among and after those that stay.
        async move {
            bucket
                .set_with_ttl(
                    &format!(
                        "{}{at:02}",
                        match at % 3 {
                            0 => "a",
                            1 => "kept1",
                            _ => "z",
                        }
                    ),
                    "v",
                    SHORT,
                )
                .await
        }
    }))
    .await?;
    Deadline::after(SHORT).pass().await;
    let found = listed(&bucket, "").await?;
    ensure!(
        found.iter().all(|key| key.len() == 6 || key == "kept later"),
        "expected: only keys that stay; found {found:?}"
    );
    ensure_eq!(found.len(), DUE + 1, "keys listed after {DUE} others have expired");
    ensure_eq!(listed(&bucket, "z").await?, Vec::<String>::new(), "keys with a prefix of which all have expired");
    let mut cursor = None;
    let mut keys = 0;
    loop {
        let page = bucket.keys("kept", cursor.as_deref(), 7).await?;
        keys += page.keys.len();
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    ensure_eq!(keys, DUE + 1, "keys in pages of 7");
    Ok(())
}

/// TTL-2, BKT-3: a bucket whose entries have all expired is not listed; one with another entry is.
pub(super) async fn expired_is_no_bucket(cx: &Context) -> Outcome {
    cx.bucket("mixed").await?.set("stays", "v").await?;
    cx.bucket("later").await?.set_with_ttl("stays", "v", LONG).await?;
    cx.bucket("mixed").await?.set_with_ttl("k", "v", SHORT).await?;
    expire(&cx.bucket("due").await?, "k", "v").await?;
    ensure_eq!(buckets(&cx.store()).await?, ["later", "mixed"], "the buckets after one's only entry has expired");
    cx.bucket("due").await?.set("k", "v").await?;
    ensure_eq!(buckets(&cx.store()).await?, ["due", "later", "mixed"], "the buckets after it was written again");
    Ok(())
}

/// TTL-2: an increment of an expired counter begins at 0, without the old deadline.
pub(super) async fn expired_is_absent_to_increment(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    expire(&bucket, "n", "41").await?;
    ensure_eq!(bucket.increment("n", 1).await?, 1, "an expired 41 incremented");
    ensure_eq!(bucket.ttl("n").await?, Ttl::Forever, "ttl of a counter that began anew");
    expire(&bucket, "text", "no counter").await?;
    ensure_eq!(bucket.increment("text", 5).await?, 5, "an expired text incremented");
    Ok(())
}

/// TTL-2: `compare_and_swap` finds absence in place of an expired entry.
pub(super) async fn expired_is_absent_to_compare_and_swap(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    expire(&bucket, "k", "v").await?;
    ensure_eq!(bucket.compare_and_swap("k", Some(b"v"), Some("w".into())).await?, Swap::Found(None));
    ensure_stored(&bucket, "k", None).await?;
    expire(&bucket, "k", "v").await?;
    ensure_eq!(bucket.compare_and_swap("k", None, Some("new".into())).await?, Swap::Swapped);
    ensure_stored(&bucket, "k", Some(b"new")).await?;
    ensure_eq!(bucket.ttl("k").await?, Ttl::Forever, "ttl after a swap from absence");
    Ok(())
}

/// TTL-2: a cas handle taken after the deadline sees absence, and its swap makes the entry.
pub(super) async fn expired_is_absent_to_cas(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    expire(&bucket, "k", "v").await?;
    let handle = bucket.cas("k").await?;
    ensure_value("current of an expired entry's handle", handle.current(), None)?;
    ensure!(matches!(handle.swap("new").await?, CasSwap::Swapped), "expected: the swap succeeds; found: it lost");
    ensure_stored(&bucket, "k", Some(b"new")).await?;
    ensure_eq!(bucket.ttl("k").await?, Ttl::Forever, "ttl after the swap");
    Ok(())
}

/// TTL-2, TTL-4: an expired entry is a vacancy, and its fill is stored.
pub(super) async fn expired_is_vacant(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for round in 0..3 {
        expire(&bucket, "k", "old").await?;
        let GetOrSet::Vacant(vacancy) = bucket.get_or_set("k").await? else {
            return Err(Stop::failed("get_or_set of an expired entry: expected a vacancy, found a value"));
        };
        ensure_eq!(vacancy.fill("new", None).await?, Fill::Stored, "fill {round} of an expired entry");
        ensure_stored(&bucket, "k", Some(b"new")).await?;
    }
    Ok(())
}

/// TTL-2: of 300 entries those expire that are due, and no other.
pub(super) async fn only_the_due_expire(cx: &Context) -> Outcome {
    const ENTRIES: usize = 300;
    let bucket = cx.bucket("b").await?;
    let key = |at: usize| format!("k{at}");
    let kinds = |at: usize| at % 3;
    bucket.set_many((0..ENTRIES).filter(|at| kinds(*at) == 0).map(|at| (key(at), at.to_string()))).await?;
    for kind in [1, 2] {
        let ttl = if kind == 1 { LONG } else { SHORT };
        let these: Vec<(String, String)> =
            (0..ENTRIES).filter(|at| kinds(*at) == kind).map(|at| (key(at), at.to_string())).collect();
        for some in these.chunks(50) {
            try_join_all(some.iter().map(|(key, value)| bucket.set_with_ttl(key, value.clone(), ttl))).await?;
        }
    }
    Deadline::after(SHORT).pass().await;
    let keys: Vec<String> = (0..ENTRIES).map(key).collect();
    for (at, found) in bucket.get_many(&keys).await?.into_iter().enumerate() {
        let value = at.to_string();
        let expected = (kinds(at) != 2).then_some(value.as_bytes());
        ensure_value(&format!("k{at} of {ENTRIES}"), found.as_ref(), expected)?;
    }
    ensure_eq!(listed(&bucket, "").await?.len(), ENTRIES / 3 * 2, "keys listed once a third has expired");
    Ok(())
}

/// TTL-1: an entry whose deadline passes while the store is closed is absent when it opens, to every operation.
pub(super) async fn expires_while_closed(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    bucket.set("stays", "v").await?;
    cx.bucket("due").await?.set_with_ttl("k", "v", SHORT).await?;
    for key in ["get", "list", "batch"] {
        bucket.set_with_ttl(key, "v", SHORT).await?;
    }
    let deadline = Deadline::after(SHORT);
    cx.store().close().await?;
    deadline.pass().await;
    let store = cx.reopen().await?;
    let bucket = store.open_bucket("b").await?;
    ensure_eq!(buckets(&store).await?, ["b"], "the buckets after a deadline passed while the store was closed");
    ensure_eq!(listed(&bucket, "").await?, ["stays"], "the keys after deadlines passed while the store was closed");
    let found = bucket.get_many(&["batch", "stays"]).await?;
    ensure_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true], "which of two are there");
    ensure_stored(&bucket, "get", None).await?;
    prompt("a write over an expired entry", bucket.set("get", "again")).await??;
    ensure_stored(&bucket, "get", Some(b"again")).await
}
