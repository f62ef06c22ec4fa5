use futures_util::future::try_join_all;
use kv_core::{Bucket, CasSwap, Effect, Error, ErrorKind, Limits, Store};

use super::entries::{buckets, ensure_bytes, listed};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome};

/// The error is LIM-2's: it names the limit's value and did nothing.
fn ensure_names(error: &Error, limit: usize, what: &str) -> Outcome {
    ensure_eq!(error.effect(), Effect::None, "the effect of {what} over its limit");
    ensure!(!error.is_retryable(), "expected: {what} over its limit is not worth retrying; found: retryable");
    let text = error.to_string();
    ensure!(
        text.contains(&limit.to_string()) && text.contains("limit"),
        "expected: the error names the limit and its value, {limit}; found: {text}"
    );
    Ok(())
}

fn lowered(store: &Store, change: impl FnOnce(&mut Limits)) -> kv_core::Result<Store> {
    let mut limits = store.limits().clone();
    change(&mut limits);
    store.with_limits(limits)
}

/// LIM-1, LIM-2: a batch of 65,536 entries goes through each batch call, one more through none, and changes nothing.
pub(super) async fn batch_limits(cx: &Context) -> Outcome {
    let most = cx.store().limits().batch_entries;
    ensure_eq!(most, 65_536, "the limit of batch entries");
    let bucket = cx.bucket("b").await?;
    let keys: Vec<String> = (0..=most).map(|at| format!("{at:05x}")).collect();
    let within = keys.get(..most).unwrap_or_default();
    let over = ensure_kind!(bucket.set_many(keys.iter().map(|key| (key, "over"))).await, LimitExceeded);
    ensure_names(&over, most, "set_many")?;
    ensure_eq!(bucket.get("00000").await?, None, "the first entry of a refused batch");
    ensure_eq!(buckets(&cx.store()).await?, Vec::<String>::new(), "the buckets after a refused batch");
    bucket.set_many(within.iter().map(|key| (key, "v"))).await?;
    ensure_names(&ensure_kind!(bucket.get_many(&keys).await, LimitExceeded), most, "get_many")?;
    let found = bucket.get_many(within).await?;
    ensure_eq!(found.iter().flatten().filter(|value| value.as_ref() == b"v").count(), most, "values found by get_many");
    ensure_names(&ensure_kind!(bucket.delete_many(&keys).await, LimitExceeded), most, "delete_many")?;
    ensure_bytes("an entry after a refused delete_many", bucket.get("00000").await?.as_ref(), b"v")?;
    bucket.delete_many(within).await?;
    ensure_eq!(listed(&bucket, "").await?, Vec::<String>::new(), "the keys after delete_many of all");
    Ok(())
}

/// LIM-1, LIM-2: a page of 10,000 keys may be asked for, one more may not.
pub(super) async fn page_limit(cx: &Context) -> Outcome {
    let most = cx.store().limits().page_keys;
    ensure_eq!(most, 10_000, "the limit of keys in a page");
    let bucket = cx.bucket("b").await?;
    bucket.set_many((0..most + 50).map(|at| (format!("{at:05}"), ""))).await?;
    for over in [most + 1, usize::MAX] {
        ensure_names(&ensure_kind!(bucket.keys("", None, over).await, LimitExceeded), most, "a page")?;
    }
    let page = bucket.keys("", None, most).await?;
    ensure!(page.keys.len() <= most, "expected: at most {most} keys; found: {}", page.keys.len());
    ensure!(page.cursor.is_some(), "expected: {} keys do not end in one page; found: the end", most + 50);
    ensure_eq!(listed(&bucket, "").await?.len(), most + 50, "keys over all pages");
    let few = lowered(&cx.store(), |limits| limits.page_keys = 3)?.open_bucket("b").await?;
    ensure_names(&ensure_kind!(few.keys("", None, 4).await, LimitExceeded), 3, "a page")?;
    // Without a number the page is as long as the lowered limit allows.
    let page = few.keys("0000", None, None).await?;
    ensure!(page.keys.len() <= 3, "expected: at most 3 keys; found: {}", page.keys.len());
    ensure_eq!(listed(&few, "0000").await?.len(), 10, "keys over all pages of 3");
    Ok(())
}

/// A store whose replies are at most `bytes`.
async fn with_reply(cx: &Context, bytes: usize) -> kv_core::Result<Bucket> {
    lowered(&cx.store(), |limits| limits.reply_bytes = bytes)?.open_bucket("b").await
}

/// LIM-1: a reply of exactly its limit comes whole, from one value, from many and with absent keys among them.
pub(super) async fn reply_at_its_limit(cx: &Context) -> Outcome {
    const LIMIT: usize = 1_000;
    ensure_eq!(cx.store().limits().reply_bytes, 128 << 20, "the limit of one reply");
    let bucket = with_reply(cx, LIMIT).await?;
    bucket.set("whole", vec![1; LIMIT]).await?;
    bucket.set_many((0..10).map(|at| (format!("tenth {at}"), vec![at; LIMIT / 10]))).await?;
    bucket.set("empty", "").await?;
    ensure_eq!(
        bucket.get("whole").await?.map(|value| value.size()),
        Some(LIMIT as u64),
        "the size of the reply to get"
    );
    let mut keys: Vec<String> = (0..10).map(|at| format!("tenth {at}")).collect();
    keys.extend(["absent", "empty", "absent"].map(String::from));
    let found = bucket.get_many(&keys).await?;
    let bytes: usize = found.iter().flatten().map(|value| value.len()).sum();
    ensure_eq!((found.len(), bytes), (keys.len(), LIMIT), "results and bytes of get_many");
    let once = bucket.get_many(&["empty", "whole", "absent", "empty"]).await?;
    ensure_eq!(once.iter().flatten().map(|value| value.len()).sum::<usize>(), LIMIT, "bytes of get_many of one large");
    Ok(())
}

/// LIM-2: a reply one byte over its limit is refused with the contract's own words, by `get` and by `get_many`, and
/// the handle works on.
pub(super) async fn reply_over_its_limit(cx: &Context) -> Outcome {
    const LIMIT: usize = 1_000;
    let bucket = with_reply(cx, LIMIT).await?;
    bucket.set("over", vec![1; LIMIT + 1]).await?;
    bucket.set_many((0..10).map(|at| (format!("tenth {at}"), vec![at; LIMIT / 10]))).await?;
    bucket.set("one", "1").await?;
    let words = format!("query result exceeds limit of {LIMIT} bytes");
    let mut keys: Vec<String> = (0..10).map(|at| format!("tenth {at}")).collect();
    keys.push("one".to_owned());
    let twice = ["tenth 0"; 11];
    let refused = [
        ("get", bucket.get("over").await.err()),
        ("get_many of one", bucket.get_many(&["over"]).await.err()),
        ("get_many of eleven", bucket.get_many(&keys).await.err()),
        ("get_many of one key repeated", bucket.get_many(&twice).await.err()),
        ("get_many with the large one last", bucket.get_many(&["absent", "one", "over"]).await.err()),
    ];
    for (what, error) in refused {
        let Some(error) = error else {
            return Err(crate::Stop::failed(format_args!(
                "{what}: expected an error over the reply limit, found success"
            )));
        };
        ensure_eq!(error.kind(), ErrorKind::LimitExceeded, "the kind of {what} over the reply limit");
        ensure_eq!(error.to_string(), words, "the text of {what} over the reply limit");
        ensure_eq!(error.effect(), Effect::None, "the effect of {what} over the reply limit");
        ensure_bytes("a small value afterwards", bucket.get("one").await?.as_ref(), b"1")?;
    }
    // The same through a handle with the contract's limit: the lowered one is the handle's, not the store's.
    let full = cx.bucket("b").await?;
    ensure_eq!(
        full.get("over").await?.map(|value| value.len()),
        Some(LIMIT + 1),
        "the size through an unlimited handle"
    );
    ensure_eq!(full.get_many(&keys).await?.into_iter().flatten().count(), 11, "values through an unlimited handle");
    Ok(())
}

/// LIM-1, LIM-2: each limit can be lowered, holds exactly at its value and refuses one more without a change.
pub(super) async fn lowered_limits(cx: &Context) -> Outcome {
    let store = cx.store();
    let names = lowered(&store, |limits| limits.bucket_name_bytes = 4)?;
    ensure_names(&ensure_kind!(names.open_bucket("five5").await, LimitExceeded), 4, "a bucket's name")?;
    ensure_names(&ensure_kind!(names.drop_bucket("five5").await, LimitExceeded), 4, "a bucket's name")?;
    names.open_bucket("four").await?.set("k", "v").await?;
    names.drop_bucket("four").await?;

    let keys = lowered(&store, |limits| limits.key_bytes = 4)?.open_bucket("b").await?;
    ensure_names(&ensure_kind!(keys.set("ééx", "v").await, LimitExceeded), 4, "a key")?;
    ensure_names(&ensure_kind!(keys.keys("five5", None, None).await, LimitExceeded), 4, "a prefix")?;
    keys.set("éé", "v").await?;

    let values = lowered(&store, |limits| limits.value_bytes = 4)?.open_bucket("b").await?;
    ensure_names(&ensure_kind!(values.set("éé", "five5").await, LimitExceeded), 4, "a value")?;
    ensure_bytes("the value after a refused set", values.get("éé").await?.as_ref(), b"v")?;
    values.set("éé", "four").await?;

    let entries = lowered(&store, |limits| limits.batch_entries = 2)?.open_bucket("b").await?;
    let three = [("1", "v"), ("2", "v"), ("3", "v")];
    ensure_names(&ensure_kind!(entries.set_many(three).await, LimitExceeded), 2, "a batch's entries")?;
    ensure_names(&ensure_kind!(entries.get_many(&["1", "1", "1"]).await, LimitExceeded), 2, "a batch's entries")?;
    entries.set_many([("1", "v"), ("2", "v")]).await?;
    ensure_names(&ensure_kind!(entries.delete_many(&["1", "2", "3"]).await, LimitExceeded), 2, "a batch's entries")?;

    let bytes = lowered(&store, |limits| limits.batch_bytes = 8)?.open_bucket("b").await?;
    ensure_names(
        &ensure_kind!(bytes.set_many([("1", "new"), ("2", "four5")]).await, LimitExceeded),
        8,
        "a batch's bytes",
    )?;
    ensure_names(&ensure_kind!(bytes.delete_many(&["12345", "6789"]).await, LimitExceeded), 8, "a batch's bytes")?;
    ensure_bytes("an entry after a refused batch", bytes.get("1").await?.as_ref(), b"v")?;
    bytes.set_many([("1", "abc"), ("2", "def")]).await?;
    ensure_bytes("an entry of a batch at its limit", bytes.get("2").await?.as_ref(), b"def")?;

    ensure_eq!(listed(&cx.bucket("b").await?, "").await?, ["1", "2", "éé"].map(String::from).to_vec());
    ensure_eq!(buckets(&store).await?, vec!["b".to_owned()]);
    // The first store's handles keep their limits.
    cx.bucket("a longer name").await?.set("a longer key", "a longer value").await?;
    Ok(())
}

/// LIM-1: no limit can be raised over the contract's, and the refusal names it.
pub(super) async fn raised_limits_are_refused(cx: &Context) -> Outcome {
    let store = cx.store();
    ensure_eq!(*store.limits(), Limits::default(), "the limits of a store without options");
    type Field = fn(&mut Limits) -> &mut usize;
    let fields: [(&str, Field); 8] = [
        ("bucket_name_bytes", |limits| &mut limits.bucket_name_bytes),
        ("key_bytes", |limits| &mut limits.key_bytes),
        ("value_bytes", |limits| &mut limits.value_bytes),
        ("batch_entries", |limits| &mut limits.batch_entries),
        ("batch_bytes", |limits| &mut limits.batch_bytes),
        ("reply_bytes", |limits| &mut limits.reply_bytes),
        ("page_keys", |limits| &mut limits.page_keys),
        ("cas_handles", |limits| &mut limits.cas_handles),
    ];
    for (name, field) in fields {
        let error = ensure_kind!(lowered(&store, |limits| *field(limits) += 1), InvalidArgument);
        ensure!(error.to_string().contains(name), "expected: the refusal names {name}; found: {error}");
        let fewer = lowered(&store, |limits| *field(limits) -= 1)?;
        ensure!(fewer.limits() != store.limits(), "expected: {name} is lowered; found: the limits are unchanged");
        let bucket = fewer.open_bucket("b").await?;
        bucket.set("k", name).await?;
        ensure_eq!(bucket.get("k").await?.as_deref(), Some(name.as_bytes()), "an entry within a lowered {name}");
    }
    Ok(())
}

/// LIM-1, LIM-2: 1,024 cas handles of a store can live at once, one more is refused, and a handle used up or dropped
/// makes room.
pub(super) async fn cas_handles_limit(cx: &Context) -> Outcome {
    let most = cx.store().limits().cas_handles;
    ensure_eq!(most, 1_024, "the limit of live cas handles");
    let bucket = cx.bucket("b").await?;
    let keys: Vec<String> = (0..most).map(|at| format!("{at}")).collect();
    let mut handles = try_join_all(keys.iter().map(|key| bucket.cas(key))).await?;
    ensure_eq!(handles.len(), most, "live handles");
    ensure_names(&ensure_kind!(bucket.cas("more").await, LimitExceeded), most, "a cas handle")?;
    let elsewhere = cx.bucket("another").await?;
    ensure_names(&ensure_kind!(elsewhere.cas("more").await, LimitExceeded), most, "a cas handle of another bucket")?;
    let used = handles.pop();
    if let Some(handle) = used {
        ensure!(matches!(handle.swap("v").await?, CasSwap::Swapped), "expected: the swap succeeds; found: it lost");
    }
    let room = elsewhere.cas("more").await?;
    ensure_kind!(bucket.cas("more").await, LimitExceeded);
    drop((handles, room));
    let again = try_join_all(keys.iter().map(|key| bucket.cas(key))).await?;
    ensure_eq!(again.len(), most, "live handles once the first were dropped");
    drop(again);
    let few = lowered(&cx.store(), |limits| limits.cas_handles = 2)?.open_bucket("b").await?;
    let _two = (few.cas("1").await?, few.cas("2").await?);
    ensure_names(&ensure_kind!(few.cas("3").await, LimitExceeded), 2, "a cas handle")?;
    ensure_eq!(buckets(&cx.store()).await?, vec!["b".to_owned()]);
    Ok(())
}
