use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use kv_core::Store;

use super::entries::{buckets, ensure_bytes, ensure_same, listed};
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome};

/// Long enough that nothing expires while a case looks at it.
const LONG: Duration = Duration::from_secs(600);

async fn ensure_buckets(store: &Store, expected: &[&str], when: &str) -> Outcome {
    let mut expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    expected.sort_unstable();
    ensure_eq!(buckets(store).await?, expected, "the buckets {when}");
    Ok(())
}

/// BKT-3: `buckets` lists exactly the buckets that hold an entry, after every kind of write.
pub(super) async fn buckets_follow_each_write(cx: &Context) -> Outcome {
    let store = cx.store();
    let (a, b, c) = (cx.bucket("a").await?, cx.bucket("b").await?, cx.bucket("").await?);
    ensure_buckets(&store, &[], "at first").await?;
    a.set("k", "").await?;
    ensure_buckets(&store, &["a"], "after one set").await?;
    b.set_many([("1", "1"), ("2", "2")]).await?;
    c.set("", "").await?;
    ensure_buckets(&store, &["a", "b", ""], "after set_many and the empty key of the empty name").await?;
    a.set("k", "again").await?;
    a.set("l", "more").await?;
    ensure_buckets(&store, &["a", "b", ""], "after more entries of the same buckets").await?;
    a.delete("k").await?;
    a.delete("absent").await?;
    b.delete("1").await?;
    ensure_buckets(&store, &["a", "b", ""], "after deletions that leave an entry").await?;
    a.delete("l").await?;
    ensure_buckets(&store, &["b", ""], "after the last entry of one was deleted").await?;
    b.delete_many(&["1", "2", "3"]).await?;
    ensure_buckets(&store, &[""], "after delete_many of all").await?;
    a.set("k", "back").await?;
    ensure_buckets(&store, &["a", ""], "after a bucket came back").await?;
    if cx.declared().atomic {
        b.increment("n", 0).await?;
        ensure_buckets(&store, &["a", "b", ""], "after increment by 0 made an entry").await?;
        b.compare_and_swap("n", Some(b"0"), None).await?;
        ensure_buckets(&store, &["a", ""], "after compare_and_swap removed the last entry").await?;
        b.compare_and_swap("m", None, Some("1".into())).await?;
        ensure_buckets(&store, &["a", "b", ""], "after compare_and_swap made an entry").await?;
        b.delete("m").await?;
    }
    let store = cx.reopen().await?;
    ensure_buckets(&store, &["a", ""], "after reopening").await?;
    store.drop_bucket("a").await?;
    ensure_buckets(&store, &[""], "after a drop").await?;
    store.drop_bucket("").await?;
    ensure_buckets(&store, &[], "after the last drop").await?;
    let store = cx.reopen().await?;
    ensure_buckets(&store, &[], "after dropping all and reopening").await
}

/// BKT-3: a bucket whose last entry expires is not listed, without a reader's help; one that holds another is.
pub(super) async fn buckets_after_expiry(cx: &Context) -> Outcome {
    let store = cx.store();
    let short = Duration::from_millis(30);
    cx.bucket("all go").await?.set_with_ttl("k", "v", short).await?;
    let some = cx.bucket("some go").await?;
    some.set_with_ttl("goes", "v", short).await?;
    some.set("stays", "v").await?;
    let kept = cx.bucket("has a deadline").await?;
    kept.set_with_ttl("k", "v", LONG).await?;
    let cleared = cx.bucket("deadline cleared").await?;
    cleared.set_with_ttl("k", "v", Duration::from_secs(20)).await?;
    cleared.set("k", "w").await?;
    let until = Instant::now() + Duration::from_secs(5);
    while store.buckets().await?.contains(&"all go".to_owned()) {
        ensure!(
            Instant::now() < until,
            "expected: a bucket whose only entry expired is not listed; found: it is, 5 s later"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while some.exists("goes").await? {
        ensure!(Instant::now() < until, "expected: the entry expires; found: it exists 5 s later");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ensure_buckets(&store, &["some go", "has a deadline", "deadline cleared"], "after expiry").await?;
    ensure_eq!(cx.bucket("all go").await?.get("k").await?, None, "the expired entry");
    cx.bucket("all go").await?.set("k", "new").await?;
    ensure_buckets(&store, &["all go", "some go", "has a deadline", "deadline cleared"], "after a new write").await
}

/// BKT-3: 300 buckets are listed, each once, and the right ones go.
pub(super) async fn buckets_by_the_hundred(cx: &Context) -> Outcome {
    const BUCKETS: usize = 300;
    let store = cx.store();
    let names: Vec<String> = (0..BUCKETS).map(|at| format!("bucket {at:03}")).collect();
    for some in names.chunks(50) {
        try_join_all(some.iter().map(|name| async {
            let bucket = store.open_bucket(name).await?;
            bucket.set_many([("k", name.as_str()), ("l", "2")]).await
        }))
        .await?;
    }
    ensure_same("the buckets", &buckets(&store).await?, &names)?;
    let (mut stay, mut go) = (Vec::new(), Vec::new());
    for (at, name) in names.into_iter().enumerate() {
        if at % 3 == 0 { go.push(name) } else { stay.push(name) }
    }
    try_join_all(go.iter().map(|name| store.drop_bucket(name))).await?;
    ensure_same("the buckets after dropping a third", &buckets(&store).await?, &stay)?;
    let store = cx.reopen().await?;
    ensure_same("the buckets after dropping a third and reopening", &buckets(&store).await?, &stay)?;
    for name in &stay {
        let bucket = store.open_bucket(name).await?;
        ensure_bytes("a remaining bucket's entry", bucket.get("k").await?.as_ref(), name.as_bytes())?;
    }
    for name in &go {
        let bucket = store.open_bucket(name).await?;
        ensure_eq!(listed(&bucket, "").await?, Vec::<String>::new(), "the keys of the dropped {name:?}");
    }
    Ok(())
}
