//! Optional powers.

use std::time::Duration;

use kv_core::{GetOrSet, Ttl};

use super::super::atomic::stored::ensure_stored;
use super::super::store::entries::{listed, prompt};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome};

/// ERR-5: what is declared works, from every bucket and after reopening; what is not answers `Unsupported` and
/// changes nothing.
pub(super) async fn presence_equals_declaration(cx: &Context) -> Outcome {
    for round in 0..2 {
        ensure_eq!(cx.store().declared(), *cx.declared(), "what the store declares in round {round}");
        for name in ["", "b"] {
            cx.bucket(name).await?.set_many([("n", "7"), ("k", "v")]).await?;
            atomic(cx, name).await?;
            cache(cx, name).await?;
            watch(cx, name).await?;
            cx.store().drop_bucket(name).await?;
        }
        cx.reopen().await?;
    }
    Ok(())
}

async fn atomic(cx: &Context, name: &str) -> Outcome {
    let bucket = cx.bucket(name).await?;
    if cx.declared().atomic {
        ensure_eq!(bucket.increment("n", 1).await?, 8);
        ensure_eq!(bucket.cas("n").await?.current().map(|value| value.size()), Some(1));
        return Ok(());
    }
    ensure_kind!(bucket.increment("n", 1).await, Unsupported);
    ensure_kind!(bucket.increment("absent", 1).await, Unsupported);
    ensure_kind!(bucket.compare_and_swap("n", Some(b"7"), Some("9".into())).await, Unsupported);
    ensure_kind!(bucket.cas("n").await, Unsupported);
    ensure_stored(&bucket, "n", Some(b"7")).await?;
    ensure_stored(&bucket, "absent", None).await
}

async fn cache(cx: &Context, name: &str) -> Outcome {
    const TTL: Duration = Duration::from_secs(600);
    let bucket = cx.bucket(name).await?;
    if cx.declared().cache {
        bucket.set_with_ttl("t", "v", TTL).await?;
        ensure!(matches!(bucket.ttl("t").await?, Ttl::Left(_)), "expected: an entry with a deadline; found none");
        let vacant = matches!(bucket.get_or_set("absent").await?, GetOrSet::Vacant(_));
        ensure!(vacant, "get_or_set of an absent key: expected a vacancy, found a value");
        return Ok(());
    }
    ensure_kind!(bucket.set_with_ttl("t", "v", TTL).await, Unsupported);
    ensure_kind!(bucket.set_with_ttl("k", "new", TTL).await, Unsupported);
    ensure_kind!(bucket.ttl("k").await, Unsupported);
    ensure_kind!(bucket.get_or_set("absent").await, Unsupported);
    ensure_stored(&bucket, "k", Some(b"v")).await?;
    ensure_eq!(listed(&bucket, "").await?, ["k", "n"], "the keys after calls that are not supported");
    Ok(())
}

async fn watch(cx: &Context, name: &str) -> Outcome {
    let bucket = cx.bucket(name).await?;
    if cx.declared().watch.is_none() {
        ensure_kind!(bucket.watch("").await, Unsupported);
        return Ok(());
    }
    let mut events = bucket.watch("").await?;
    bucket.set("seen", "v").await?;
    let event = prompt("the first event of a watch", events.next()).await?;
    ensure!(event.is_some(), "expected: an event; found: the end of the watch");
    Ok(())
}
