//! One list of everything that a store can do, for servers and ways to reach them beside the usual one. The conformance
//! suite proves the meanings; this shows that each call gets through.

use std::time::Duration;

use kv_core::{CasSwap, Event, Store, Swap, Ttl};
use libtest_mimic::Failed;

use super::{PATIENCE, ensure_eq};

/// Larger than what goes over the shared connection.
const LARGE: usize = 1 << 20;

/// Entries in one call, more than fit in one of the server's steps.
const MANY: usize = 3_000;

pub(crate) async fn smoke(store: &Store) -> Result<(), Failed> {
    let bucket = store.open_bucket("smoke").await?;
    let mut events = bucket.watch("").await?;

    bucket.set("k", "1").await?;
    ensure_eq!(bucket.get("k").await?.as_deref(), Some(&b"1"[..]));
    let seen = async { while !matches!(events.next().await, Some(Event::Set { key, .. }) if key == "k") {} };
    tokio::time::timeout(PATIENCE, seen).await?;
    bucket.delete("k").await?;
    ensure_eq!((bucket.get("k").await?, bucket.exists("k").await?), (None, false));
    let seen = async { while !matches!(events.next().await, Some(Event::Deleted { key }) if key == "k") {} };
    tokio::time::timeout(PATIENCE, seen).await?;

    ensure_eq!((bucket.increment("n", 5).await?, bucket.increment("n", -2).await?), (5, 3));
    ensure_eq!(bucket.compare_and_swap("n", Some(b"3"), Some("4".into())).await?, Swap::Swapped);
    ensure_eq!(bucket.compare_and_swap("n", None, None).await?, Swap::Found(Some(bytes::Bytes::from("4").into())));
    let (guard, late) = (bucket.cas("n").await?, bucket.cas("n").await?);
    ensure_eq!(guard.current().map(|value| value.to_vec()), Some(b"4".to_vec()));
    ensure_eq!(matches!(guard.swap("5").await?, CasSwap::Swapped), true);
    ensure_eq!(matches!(late.swap("6").await?, CasSwap::Lost(_)), true);

    bucket.set_with_ttl("short", "v", Duration::from_secs(1_000)).await?;
    ensure_eq!(matches!(bucket.ttl("short").await?, Ttl::Left(left) if left > Duration::from_secs(900)), true);
    ensure_eq!((bucket.ttl("n").await?, bucket.ttl("k").await?), (Ttl::Forever, Ttl::Absent));

    bucket.set("large", vec![b'v'; LARGE]).await?;
    ensure_eq!(bucket.get("large").await?.map(|value| value.len()), Some(LARGE));

    let keys: Vec<String> = (0..MANY).map(|n| format!("many/{n:05}")).collect();
    bucket.set_many(keys.iter().map(|key| (key.clone(), key.clone()))).await?;
    let found = bucket.get_many(&keys).await?;
    let found: Vec<_> = found.iter().flatten().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    ensure_eq!(found == keys, true, "{} of {MANY} came back", found.len());
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = bucket.keys("many/", cursor.as_deref(), 1_000).await?;
        listed.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    listed.sort_unstable();
    ensure_eq!(listed == keys, true, "{} of {MANY} were listed", listed.len());
    bucket.delete_many(&keys).await?;
    ensure_eq!(bucket.keys("many/", None, 10).await?.keys.is_empty(), true);

    ensure_eq!(store.buckets().await?, ["smoke"]);
    store.drop_bucket("smoke").await?;
    ensure_eq!(store.buckets().await?.is_empty(), true);
    ensure_eq!(bucket.get("n").await?, None);
    Ok(())
}
