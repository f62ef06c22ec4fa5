//! What goes over the connections, and other clients beside ours.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Instant;

use libtest_mimic::Failed;
use redis::Commands;

use crate::Row;
use crate::support::{PATIENCE, Server, begin, block_on, ensure_eq, on_one_thread, store};

pub(crate) const TESTS: &[Row] = &[
    (&[], "traffic::get_and_overwriting_set_are_one_command", commands),
    (&[], "traffic::other_clients_see_and_change_entries", beside),
    (&[], "traffic::foreign_data_is_untouched_and_dropped_space_given_back", foreign),
    (&[], "traffic::drops_beside_writers", drops),
    (&[], "traffic::what_is_written_after_a_drop_is_there", after_drops),
    (&[], "traffic::a_late_write_meets_what_lives", late),
    (&[], "traffic::a_late_write_beside_a_server_that_forgets", late_and_forgetful),
    (&[], "traffic::a_write_behind_a_flush_elsewhere", behind_a_flush),
    (&[], "traffic::a_write_before_a_drop_is_not_repeated", early),
    (&[], "traffic::what_was_read_after_a_drop_is_not_of_before", reads_after_drops),
    (&[], "traffic::buckets_with_expired_entries_are_listed_once", expired),
    (&[], "traffic::what_lives_is_never_swept", swept),
    (&[], "traffic::a_stream_outlives_the_handles", stream),
    (&["--tracking-table-max-keys", "1"], "traffic::a_server_that_forgets_whom_to_tell", forgetful),
];

/// Counts the server's calls of each command.
fn calls(server: &Server) -> Result<String, Failed> {
    let text: String = redis::cmd("INFO").arg("commandstats").query(&mut server.client()?)?;
    let calls = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let count = rest.split(',').next()?;
        // What this very question takes, and the look, once, for what earlier processes left, at its own time.
        let is_aside = matches!(name, "info" | "hello" | "client|setinfo" | "config|resetstat")
            || matches!(name, "srandmember" | "client|tracking");
        (!is_aside).then(|| format!("{name} {count}"))
    };
    Ok(text.lines().filter_map(calls).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", "))
}

fn commands(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let store = store(server, "t");
        let bucket = store.open_bucket("b").await?;
        bucket.set("k", "v").await?;
        let () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut server.client()?)?;
        for n in 0..100 {
            ensure_eq!(bucket.get("k").await?.is_some(), true);
            bucket.set("k", format!("{n}")).await?;
            store.open_bucket(&format!("b{n}")).await?;
        }
        ensure_eq!(calls(server)?, "get 100, set 100");
        Ok(())
    })
}

fn beside(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "kv").open_bucket("a:b").await?;
        bucket.set("n", "5").await?;
        bucket.set("gone", "1").await?;
        let mut other = server.client()?;
        ensure_eq!(other.get::<_, String>("kv:e:a%3Ab:0:n")?, "5");
        ensure_eq!(other.incr::<_, _, i64>("kv:e:a%3Ab:0:n", 2)?, 7);
        ensure_eq!(bucket.increment("n", 1).await?, 8);
        let guard = bucket.cas("n").await?;
        let () = other.set("kv:e:a%3Ab:0:n", "8")?;
        ensure_eq!(matches!(guard.swap("9").await?, kv_core::CasSwap::Lost(_)), true);
        let () = other.del("kv:e:a%3Ab:0:gone")?;
        ensure_eq!(bucket.keys("", None, 10).await?.keys, ["n"]);
        Ok(())
    })
}

fn foreign(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let mut other = server.client()?;
        // Beside, before and within what our names begin with.
        let foreign = ["k", "kv", "kv:", "kv:e", "kv:e:", "kv:e:b", "kv:x", "kv2:e:b:0:k", "kv:e:b:x:k", "zz"];
        for key in foreign {
            let () = other.set(key, "foreign")?;
        }
        let store = store(server, "kv");
        let bucket = store.open_bucket("b").await?;
        bucket.set_many((0..3_000).map(|n| (format!("{n}"), "v"))).await?;
        let ttl = std::time::Duration::from_secs(1_000);
        bucket.set_with_ttl("k", "v", ttl).await?;
        ensure_eq!(store.buckets().await?, ["b"]);
        store.drop_bucket("b").await?;
        ensure_eq!(store.buckets().await?.is_empty(), true);
        ensure_eq!(bucket.keys("", None, 10).await?.keys.is_empty(), true);
        let begun = Instant::now();
        loop {
            let keys: BTreeSet<String> = other.keys("*")?;
            let left = keys.iter().filter(|key| !foreign.contains(&key.as_str())).cloned().collect::<Vec<_>>();
            ensure_eq!(keys.len() - left.len(), foreign.len(), "foreign keys");
            // The generation stays.
            if left == ["kv:g:b"] {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} keys are still there", left.len()).into());
            }
            tokio::task::yield_now().await;
        }
    })
}

/// Writers and readers go on while another client drops their bucket: what was written after a drop is there, what was
/// written before is not, and nobody gets an error.
fn drops(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let (ours, theirs) = (store(server, "d"), store(server, "d"));
        let bucket = ours.open_bucket("b").await?;
        let mut writers = Vec::new();
        for writer in 0..32 {
            let bucket = bucket.clone();
            writers.push(tokio::spawn(async move {
                for n in 0..500 {
                    let key = format!("{writer}");
                    bucket.set(&key, format!("{n}")).await?;
                    // Its own write, or nothing since a drop: never an older one.
                    if let Some(found) = bucket.get(&key).await? {
                        let found = String::from_utf8_lossy(&found).into_owned();
                        if found != format!("{n}") {
                            return Ok(Some(format!("{key}: wrote {n}, read {found}")));
                        }
                    }
                }
                bucket.set(&format!("{writer}"), "last").await?;
                Ok::<_, kv_core::Error>(None)
            }));
        }
        let dropper = async {
            for _ in 0..50 {
                theirs.drop_bucket("b").await?;
                tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            }
            Ok::<(), kv_core::Error>(())
        };
        dropper.await?;
        for writer in writers {
            if let Some(wrong) = writer.await?? {
                return Err(wrong.into());
            }
        }
        Ok(())
    })
}

/// Drops by another client, each followed by writes of ours that have not heard of it yet: more than a task's budget of
/// them, and every one acknowledged is there.
fn after_drops(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let (ours, theirs) = (store(server, "d"), store(server, "d"));
        let bucket = ours.open_bucket("b").await?;
        let keys: Vec<String> = (0..300).map(|n| format!("{n}")).collect();
        for round in 0..50 {
            bucket.set_many(keys.iter().map(|key| (key, "old"))).await?;
            theirs.drop_bucket("b").await?;
            let written = keys.iter().map(|key| bucket.set(key, format!("{round}")));
            futures_util::future::try_join_all(written).await?;
            let found = bucket.get_many(&keys).await?;
            let wrong = found.iter().filter(|found| found.as_deref() != Some(round.to_string().as_bytes())).count();
            ensure_eq!(wrong, 0, "of {} writes after drop {round}", keys.len());
            ensure_eq!(bucket.keys("", None, 1_000).await?.keys.len(), keys.len());
        }
        Ok(())
    })
}

/// More entries than one step of a sweep removes.
const MANY: usize = 1_000;

/// Drops the bucket by another client.
fn dropped_aside(server: &Server, prefix: &'static str) -> Result<(), Failed> {
    let theirs = store(server, prefix);
    let drops = std::thread::spawn(move || block_on(async { Ok(theirs.drop_bucket("b").await?) }));
    drops.join().expect("the thread that drops ends")
}

/// A write that reaches the server after a drop of which we have not heard. In the dropped generation it finds an entry to
/// overwrite: the drop has not removed it yet, or somebody who has not heard either has made it again.
fn late(server: &mut Server) -> Result<(), Failed> {
    on_one_thread(async {
        let bucket = store(server, "l").open_bucket("b").await?;
        for round in 0..20 {
            bucket.set_many((0..MANY).map(|n| (format!("{n}"), "v"))).await?;
            bucket.set("k", "old").await?;
            let mut set = pin!(bucket.set("k", format!("late {round}")));
            begin(set.as_mut()).await?;
            dropped_aside(server, "l")?;
            let () = server.client()?.set(format!("l:e:b:{round}:k"), "made again")?;
            set.await?;
            ensure_eq!(bucket.get("k").await?.as_deref(), Some(format!("late {round}").as_bytes()));
            ensure_eq!(bucket.keys("", None, 10).await?.keys, ["k"]);
        }
        Ok(())
    })
}

/// The same on a connection whose server has told of a change that was none: then the generation is read beside each write.
fn late_and_forgetful(server: &mut Server) -> Result<(), Failed> {
    on_one_thread(async {
        let bucket = store(server, "l").open_bucket("b").await?;
        let mut other = server.client()?;
        let () = other.set("l:g:b", "7")?;
        bucket.set("k", "old").await?;
        let () = other.set("l:g:b", "7")?;
        bucket.set("k", "older").await?;
        let () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut other)?;
        for n in 0..10 {
            bucket.set("k", format!("{n}")).await?;
        }
        ensure_eq!(calls(server)?, "get 10, set 10");
        for round in 7..17 {
            bucket.set("k", "old").await?;
            let mut set = pin!(bucket.set("k", format!("late {round}")));
            begin(set.as_mut()).await?;
            dropped_aside(server, "l")?;
            let () = other.set(format!("l:e:b:{round}:k"), "made again")?;
            set.await?;
            ensure_eq!(bucket.get("k").await?.as_deref(), Some(format!("late {round}").as_bytes()));
            ensure_eq!(bucket.keys("", None, 10).await?.keys, ["k"]);
        }
        Ok(())
    })
}

/// A write behind the message that some database was flushed, and a drop: nobody can tell which came first.
fn behind_a_flush(server: &mut Server) -> Result<(), Failed> {
    on_one_thread(async {
        let bucket = store(server, "l").open_bucket("b").await?;
        bucket.set("k", "old").await?;
        bucket.set("k", "older").await?;
        let mut other = server.client()?;
        let mut set = pin!(bucket.set("k", "early"));
        begin(set.as_mut()).await?;
        let mut elsewhere = server.client()?;
        let () = redis::cmd("SELECT").arg(1).query(&mut elsewhere)?;
        let () = redis::cmd("FLUSHDB").query(&mut elsewhere)?;
        while other.get::<_, String>("l:e:b:0:k")? != "early" {
            tokio::task::yield_now().await;
        }
        dropped_aside(server, "l")?;
        let error = set.await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (kv_core::ErrorKind::Unavailable, kv_core::Effect::Unknown));
        ensure_eq!(bucket.get("k").await?, None);
        Ok(())
    })
}

/// A write that the server had before a drop, while we hear of the drop before anybody looks at the answer.
fn early(server: &mut Server) -> Result<(), Failed> {
    on_one_thread(async {
        let bucket = store(server, "y").open_bucket("b").await?;
        let mut other = server.client()?;
        for round in 0..20 {
            bucket.set_many((0..MANY).map(|n| (format!("{n}"), "v"))).await?;
            bucket.set("k", "old").await?;
            let mut set = pin!(bucket.set("k", "early"));
            begin(set.as_mut()).await?;
            while other.get::<_, String>(format!("y:e:b:{round}:k"))? != "early" {
                tokio::task::yield_now().await;
            }
            dropped_aside(server, "y")?;
            set.await?;
            ensure_eq!(bucket.get("k").await?, None, "after drop {round}");
        }
        Ok(())
    })
}

/// Reads of ours after drops by another client, some of which were sent before this one has heard of the drop.
fn reads_after_drops(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let (ours, theirs) = (store(server, "d"), store(server, "d"));
        let bucket = ours.open_bucket("b").await?;
        for round in 0..1_000 {
            bucket.set("k", "old").await?;
            theirs.drop_bucket("b").await?;
            ensure_eq!(bucket.get("k").await?, None, "after drop {round}");
            ensure_eq!(bucket.exists("k").await?, false, "after drop {round}");
        }
        Ok(())
    })
}

/// A bucket whose entries have all but one expired, more than one step looks at, behind a living one.
fn expired(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let store = store(server, "e");
        for name in ["a", "m", "z"] {
            store.open_bucket(name).await?.set("zz", "lives").await?;
        }
        let mut add = redis::cmd("ZADD");
        add.arg("e:i:m:0");
        for n in 0..12_000 {
            add.arg(0).arg(format!("gone {n}"));
        }
        let _: i64 = add.query(&mut server.client()?)?;
        ensure_eq!(store.buckets().await?, ["a", "m", "z"]);
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = store.open_bucket("m").await?.keys("", cursor.as_deref(), 10).await?;
            seen.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        ensure_eq!(seen, ["zz"]);
        Ok(())
    })
}

/// A living generation among the garbage, as a drop leaves that was refused half-way.
fn swept(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let mut other = server.client()?;
        let store = store(server, "s");
        let bucket = store.open_bucket("b").await?;
        bucket.set("k", "v").await?;
        let _: i64 = other.sadd("s:t", "b:0")?;
        store.open_bucket("c").await?.set("k", "v").await?;
        store.drop_bucket("c").await?;
        let begun = Instant::now();
        while other.exists("s:t")? {
            ensure_eq!(begun.elapsed() < PATIENCE, true, "the garbage is still there");
            tokio::task::yield_now().await;
        }
        ensure_eq!(bucket.get("k").await?.as_deref(), Some(&b"v"[..]));
        ensure_eq!(bucket.keys("", None, 10).await?.keys, ["k"]);
        Ok(())
    })
}

fn stream(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let mut events = store(server, "w").open_bucket("b").await?.watch("").await?;
        let other = store(server, "w");
        other.open_bucket("b").await?.set("k", "v").await?;
        let seen = tokio::time::timeout(PATIENCE, events.next()).await?;
        ensure_eq!(seen, Some(kv_core::Event::Set { key: "k".to_owned(), value: bytes::Bytes::from("v").into() }));
        let closed = store(server, "w");
        let bucket = closed.open_bucket("b").await?;
        let mut events = bucket.watch("").await?;
        closed.close().await?;
        ensure_eq!(tokio::time::timeout(PATIENCE, events.next()).await?, None);
        for error in [bucket.cas("k").await.map(drop), bucket.set("k", vec![0; 1 << 20]).await] {
            ensure_eq!(error.unwrap_err().kind(), kv_core::ErrorKind::Unavailable);
        }
        Ok(())
    })
}

/// Messages that tell of no drop: the server tells because it has no room to remember whom to tell.
fn forgetful(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let (ours, theirs) = (store(server, "f"), store(server, "f"));
        for n in 0..200 {
            let name = format!("b{}", n % 4);
            let (bucket, other) = (ours.open_bucket(&name).await?, theirs.open_bucket(&name).await?);
            bucket.set("k", format!("{n}")).await?;
            ensure_eq!(other.get("k").await?.as_deref(), Some(n.to_string().as_bytes()));
            ensure_eq!(other.increment("n", 1).await?, n / 4 + 1);
            ensure_eq!(bucket.get("n").await?.as_deref(), Some((n / 4 + 1).to_string().as_bytes()));
        }
        Ok(())
    })
}
