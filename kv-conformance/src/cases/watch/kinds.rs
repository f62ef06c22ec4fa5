use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use kv_core::{Bucket, CasSwap, Event, Events, Fill, GetOrSet, Swap, Watching};

use super::{MARK, Seen, deleted, next, seen, set, shortly, until_current, up_to_mark};
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::{Context, Outcome, Stop};

/// A time to live that no case waits for.
const LONG: Duration = Duration::from_secs(600);

/// A watched bucket, and marks that tell where the events of one step end.
struct Watched {
    bucket: Bucket,
    events: Events,
    marks: usize,
}

impl Watched {
    async fn new(cx: &Context) -> Result<Self, Stop> {
        let bucket = cx.bucket("b").await?;
        Ok(Self { events: bucket.watch("").await?, bucket, marks: 0 })
    }

    /// Fails unless the step makes exactly these events, of different keys in whatever order.
    async fn shows(&mut self, what: &str, step: impl Future<Output = Outcome>, expected: &[Seen]) -> Outcome {
        step.await?;
        self.marks += 1;
        let mark = self.marks.to_string();
        self.bucket.set(MARK, mark.as_str()).await?;
        let mut found = up_to_mark(&mut self.events, &mark).await?;
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort();
        ensure_eq!(found, expected, "the events of {what}");
        Ok(())
    }
}

/// WCH-1: each kind of write makes its event, once, with the value written.
pub(super) async fn each_write_makes_its_event(cx: &Context) -> Outcome {
    let mut w = Watched::new(cx).await?;
    let b = &w.bucket.clone();
    let done = |()| ();
    w.shows("set", async { Ok(b.set("k", "v").await?) }, &[set("k", "v")]).await?;
    w.shows("set of the same bytes", async { Ok(b.set("k", "v").await?) }, &[set("k", "v")]).await?;
    w.shows("set of an empty value", async { Ok(b.set("", "").await?) }, &[set("", "")]).await?;
    let many = [("a", "1"), ("b", "2"), ("c", "3")];
    w.shows("set_many", async { Ok(b.set_many(many).await?) }, &many.map(|(key, value)| set(key, value))).await?;
    w.shows("delete", async { Ok(b.delete("a").await.map(done)?) }, &[deleted("a")]).await?;
    let both = async { Ok(b.delete_many(&["b", "absent", "c", "b"]).await?) };
    w.shows("delete_many", both, &[deleted("b"), deleted("c")]).await?;
    if cx.declared().atomic {
        w.shows("increment", async { Ok(b.increment("n", 5).await.map(drop)?) }, &[set("n", "5")]).await?;
        w.shows("increment by 0", async { Ok(b.increment("n", 0).await.map(drop)?) }, &[set("n", "5")]).await?;
        let swap = |key, old: Option<&'static [u8]>, new: Option<&'static str>| async move {
            let swapped = b.compare_and_swap(key, old, new.map(Into::into)).await?;
            ensure_eq!(swapped, Swap::Swapped);
            Ok(())
        };
        w.shows("compare_and_swap of absence", swap("s", None, Some("1")), &[set("s", "1")]).await?;
        w.shows("compare_and_swap", swap("s", Some(b"1"), Some("2")), &[set("s", "2")]).await?;
        w.shows("compare_and_swap to absence", swap("s", Some(b"2"), None), &[deleted("s")]).await?;
        let versioned = async {
            let swapped = b.cas("v").await?.swap("swapped").await?;
            ensure!(matches!(swapped, CasSwap::Swapped), "expected: a swap without a rival succeeds; found: it lost");
            Ok(())
        };
        w.shows("swap", versioned, &[set("v", "swapped")]).await?;
    }
    if cx.declared().cache {
        w.shows("set_with_ttl", async { Ok(b.set_with_ttl("t", "v", LONG).await?) }, &[set("t", "v")]).await?;
        w.shows("set over a deadline", async { Ok(b.set("t", "w").await?) }, &[set("t", "w")]).await?;
        let fill = async {
            match b.get_or_set("f").await? {
                GetOrSet::Vacant(vacancy) => ensure_eq!(vacancy.fill("filled", None).await?, Fill::Stored),
                GetOrSet::Occupied(_) => return Err(Stop::failed("expected: a vacancy; found: an entry")),
            }
            Ok(())
        };
        w.shows("fill", fill, &[set("f", "filled")]).await?;
    }
    let dropped = ("dropped", String::new(), None);
    w.shows("drop_bucket", async { Ok(cx.store().drop_bucket("b").await?) }, &[dropped]).await?;
    w.shows("set after the drop", async { Ok(b.set("k", "again").await?) }, &[set("k", "again")]).await
}

/// WCH-1: what writes nothing makes no event: reads, deletes of absent keys, lost swaps, refused calls.
pub(super) async fn no_write_makes_no_event(cx: &Context) -> Outcome {
    let mut w = Watched::new(cx).await?;
    let b = &w.bucket.clone();
    w.shows("a first set", async { Ok(b.set("k", "v").await?) }, &[set("k", "v")]).await?;
    w.shows("delete of an absent key", async { Ok(b.delete("absent").await?) }, &[]).await?;
    w.shows("delete_many of absent keys", async { Ok(b.delete_many(&["absent", "gone"]).await?) }, &[]).await?;
    let reads = async {
        b.get("k").await?;
        b.exists("k").await?;
        b.get_many(&["k", "absent"]).await?;
        b.keys("", None, 10).await?;
        Ok(())
    };
    w.shows("reads", reads, &[]).await?;
    let refused = async {
        let long = "k".repeat(kv_core::Limits::default().key_bytes + 1);
        ensure_kind!(b.set(&long, "v").await, LimitExceeded);
        ensure_kind!(b.set_many([("a", "v"), (long.as_str(), "v")]).await, LimitExceeded);
        Ok(())
    };
    w.shows("refused writes", refused, &[]).await?;
    if cx.declared().atomic {
        let lost = async {
            for (key, old) in [("k", None), ("k", Some(&b"other"[..])), ("absent", Some(b"v"))] {
                let swapped = b.compare_and_swap(key, old, Some("new".into())).await?;
                ensure!(swapped != Swap::Swapped, "expected: {key:?} differs from what was expected; found: a swap");
            }
            ensure_kind!(b.increment("k", 1).await, NotANumber);
            Ok(())
        };
        w.shows("lost swaps and refused increments", lost, &[]).await?;
        let stale = async {
            let handle = b.cas("k").await?;
            b.set("k", "newer").await?;
            ensure!(matches!(handle.swap("stale").await?, CasSwap::Lost(_)), "expected: a stale swap loses");
            Ok(())
        };
        w.shows("a write and a stale swap", stale, &[set("k", "newer")]).await?;
    }
    if cx.declared().cache {
        let found = async {
            let GetOrSet::Vacant(vacancy) = b.get_or_set("f").await? else {
                return Err(Stop::failed("expected: a vacancy; found: an entry"));
            };
            b.set("f", "first").await?;
            ensure!(vacancy.fill("second", None).await? != Fill::Stored, "expected: the first write stays");
            b.ttl("f").await?;
            drop(b.get_or_set("g").await?);
            Ok(())
        };
        w.shows("a write and a fill that came late", found, &[set("f", "first")]).await?;
    }
    cx.bucket("b2").await?.set("k", "v").await?;
    let elsewhere = async {
        cx.store().drop_bucket("b2").await?;
        cx.store().drop_bucket("never written").await?;
        Ok(())
    };
    w.shows("drops of other buckets", elsewhere, &[]).await
}

/// WCH-1: after a key's last change an event shows what is then current, whatever kind of write it was.
pub(super) async fn current_value_is_shown(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    let e = &mut events;
    bucket.set("k", "1").await?;
    until_current(e, &[set("k", "1")]).await?;
    bucket.set_many([("k", "2"), ("l", "2"), ("m", "2")]).await?;
    until_current(e, &[set("k", "2"), set("l", "2"), set("m", "2")]).await?;
    bucket.delete_many(&["l", "m"]).await?;
    until_current(e, &[deleted("l"), deleted("m")]).await?;
    bucket.delete("k").await?;
    until_current(e, &[deleted("k")]).await?;
    bucket.set_many((0..500).map(|n| (if n % 2 == 0 { "k" } else { "l" }, n.to_string()))).await?;
    until_current(e, &[set("k", "498"), set("l", "499")]).await?;
    if cx.declared().atomic {
        bucket.increment("k", 2).await?;
        until_current(e, &[set("k", "500")]).await?;
        bucket.compare_and_swap("k", Some(b"500"), Some("cas".into())).await?;
        until_current(e, &[set("k", "cas")]).await?;
        bucket.cas("k").await?.swap("swapped").await?;
        until_current(e, &[set("k", "swapped")]).await?;
        bucket.compare_and_swap("k", Some(b"swapped"), None).await?;
        until_current(e, &[deleted("k")]).await?;
    }
    if cx.declared().cache {
        bucket.set_with_ttl("t", "v", LONG).await?;
        until_current(e, &[set("t", "v")]).await?;
        if let GetOrSet::Vacant(vacancy) = bucket.get_or_set("f").await? {
            vacancy.fill("filled", None).await?;
        }
        until_current(e, &[set("f", "filled")]).await?;
    }
    cx.store().drop_bucket("b").await?;
    // A drop is told as such, or entry by entry where the latest is all that is shown.
    loop {
        let event = next(e).await?;
        let is_end = event.0 == "dropped" || (cx.declared().watch == Some(Watching::Latest) && event == deleted("l"));
        if is_end {
            break;
        }
    }
    bucket.set("k", "after the drop").await?;
    until_current(e, &[set("k", "after the drop")]).await.map(drop)
}

/// WCH-1, TTL-2: the end of an entry by its deadline is shown without anybody's read, once, after its write.
pub(super) async fn expiry_is_shown(cx: &Context) -> Outcome {
    const TTL: Duration = Duration::from_millis(40);
    const COUNT: usize = 20;
    let bucket = cx.bucket("b").await?;
    let is_every = cx.declared().watch == Some(Watching::Every);
    let mut events = bucket.watch("t").await?;
    let keys: Vec<String> = (0..COUNT).map(|n| format!("t{n}")).collect();
    bucket.set_with_ttl("t stays", "v", LONG).await?;
    for key in &keys {
        bucket.set_with_ttl(key, "v", TTL).await?;
    }
    let mut written = BTreeSet::new();
    let mut ended = BTreeSet::new();
    while ended.len() < COUNT {
        // TTL-2 gives the storage 60 s; the case's own limit is no more.
        let Ok(event) = tokio::time::timeout(Duration::from_secs(50), events.next()).await else {
            return Err(Stop::failed(format_args!("expected: {COUNT} entries' ends; found: {} in 50 s", ended.len())));
        };
        let Some(event) = event else {
            return Err(Stop::failed("expected: entries' ends are shown; found: the stream's end"));
        };
        let (what, key, value) = seen(&event);
        ensure!(key != "t stays" || what == "set", "expected: an entry of ten minutes stays; found: {what}");
        match what {
            "set" => {
                ensure_eq!(value.as_deref(), Some("v"), "the value shown of {key:?}");
                written.insert(key);
            }
            "deleted" if is_every => {
                return Err(Stop::failed(format_args!("expected: {key:?} is shown as expired; found: as deleted")));
            }
            "expired" | "deleted" => {
                let is_known = !is_every || written.contains(&key);
                ensure!(is_known, "expected: the write of {key:?} is shown before its end; found: after it");
                ensure!(ended.insert(key.clone()), "expected: the end of {key:?} once; found: twice");
            }
            other => return Err(Stop::failed(format_args!("expected: writes and their ends; found: {other}"))),
        }
    }
    ensure_eq!(ended.into_iter().collect::<BTreeSet<_>>(), keys.into_iter().collect(), "the keys that expired");
    Ok(())
}

/// WCH-1: a watcher sees its own bucket and prefix only, and all of them, whatever other watchers there are.
pub(super) async fn buckets_and_prefixes(cx: &Context) -> Outcome {
    const BUCKETS: [&str; 4] = ["b", "ba", "", "b:"];
    const PREFIXES: [&str; 8] = ["", "a", "ab", "a:", "é", "*", "\u{10ffff}", "whole key"];
    const KEYS: [&str; 14] =
        ["", "a", "A", "ab", "abc", "a:", "a:b", "b", "é", "e", "*", "**", "\u{10ffff}x", "whole key"];
    const LAST: &str = "last";
    let mut watchers = Vec::new();
    for bucket in BUCKETS {
        for prefix in PREFIXES {
            watchers.push((bucket, prefix, cx.bucket(bucket).await?.watch(prefix).await?));
        }
    }
    let value = |bucket: &str, key: &str| format!("{bucket}|{key}");
    for bucket in BUCKETS {
        let handle = cx.bucket(bucket).await?;
        let (one_by_one, together) = KEYS.split_at(5);
        for key in one_by_one {
            handle.set(key, value(bucket, key)).await?;
        }
        handle.set_many(together.iter().map(|key| (key, value(bucket, key)))).await?;
        for prefix in PREFIXES {
            let last = format!("{prefix}{LAST}");
            handle.set(&last, value(bucket, &last)).await?;
        }
    }
    for (bucket, prefix, events) in &mut watchers {
        let keys = KEYS.iter().map(|key| (*key).to_owned());
        let lasts = PREFIXES.iter().map(|prefix| format!("{prefix}{LAST}"));
        let expected: BTreeSet<Seen> = keys
            .chain(lasts)
            .filter(|key| key.starts_with(*prefix))
            .map(|key| set(&key, &value(bucket, &key)))
            .collect();
        let mut found = BTreeSet::new();
        while found.len() < expected.len() {
            let event = next(events).await?;
            ensure!(
                expected.contains(&event),
                "a watcher of {prefix:?} in bucket {bucket:?}: expected: writes of its own; found: {event:?}"
            );
            found.insert(event);
        }
    }
    Ok(())
}

/// WCH-1: a watch shows no write that ended before it was called, and each that starts once it has returned.
pub(super) async fn begins_after_return(cx: &Context) -> Outcome {
    const ROUNDS: usize = 60;
    let bucket = cx.bucket("b").await?;
    for round in 0..ROUNDS {
        bucket.set_many([("k", "old"), ("old", "old")]).await?;
        let mut events = bucket.watch("").await?;
        // At once: nothing but the call's return makes sure that this is seen.
        bucket.set("k", round.to_string()).await?;
        bucket.delete("old").await?;
        let found = until_current(&mut events, &[set("k", &round.to_string()), deleted("old")]).await?;
        let early = found.iter().find(|(_, _, value)| value.as_deref() == Some("old"));
        ensure!(early.is_none(), "expected: nothing written before the watch; found: {early:?}");
    }
    Ok(())
}

/// WCH-1: events carry whole values, however large.
pub(super) async fn large_values_are_whole(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let mut events = bucket.watch("").await?;
    for (n, size) in [1_usize, 65_535, 65_537, 300_000, 3 << 20].into_iter().enumerate() {
        let value: Vec<u8> = (0..size).map(|at| u8::try_from((at * 31 + n) % 251).unwrap_or_default()).collect();
        if n % 2 == 0 {
            bucket.set("k", value.as_slice()).await?;
        } else {
            bucket.set_many([("k", value.as_slice())]).await?;
        }
        let shown = shortly("the write is shown", async {
            while let Some(event) = events.next().await {
                if let Event::Set { value: shown, .. } = event
                    && shown.len() == size
                {
                    return Ok(shown);
                }
            }
            Err(Stop::failed("expected: the write is shown; found: the stream's end"))
        });
        let shown = shown.await??;
        ensure!(*shown == *value, "expected: the {size} bytes that were written; found: others");
    }
    Ok(())
}
