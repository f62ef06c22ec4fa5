//! Clusters: slots that move, primaries that die, and what spans several nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Bucket, CasSwap, ErrorKind, Event, Store};
use libtest_mimic::Failed;

use crate::GroupRow;
use crate::load::Load;
use crate::support::cluster::Cluster;
use crate::support::{PATIENCE, Server, begin, block_on, ensure_eq, on_one_thread, open};

pub(crate) const TESTS: &[GroupRow] = &[
    ("cluster::slots_move_and_a_primary_dies_under_load", |program| under_load(program, 0)),
    ("cluster::writes_that_wait_for_a_replica_outlive_their_primary", |program| under_load(program, 1)),
    ("cluster::listings_while_slots_move_and_a_primary_dies", listings),
    ("cluster::drops_are_one_step", drops),
    ("cluster::drops_beside_writers_and_drops", drops_beside),
    ("cluster::a_note_that_moves_looks_like_a_drop", note_moves),
    ("cluster::entries_of_other_clients_are_taken_up", taken_up),
    ("cluster::watchers_guards_and_scripts_outlive_a_primary", outlive),
    ("cluster::reads_from_replicas", replicas),
    ("cluster::one_server_is_no_cluster", mistaken),
];

fn store(cluster: &Cluster, options: &str) -> Result<Store, Failed> {
    // A primary that is frozen or gone must not hold a test up for longer than it takes to replace it.
    let timeouts = "timeout_ms=3000&connect_timeout_ms=500";
    Ok(open(&format!("redis+cluster://{}?{timeouts}{options}", cluster.hosts()))?)
}

/// The slot of a group of the bucket `b`, by another way than the provider's own.
fn slot(cluster: &Cluster, group: &str) -> Result<u16, Failed> {
    Ok(cluster.control(0)?.ask(&["CLUSTER", "KEYSLOT", &format!("b:{group}")])?)
}

fn under_load(program: &Path, wait: u32) -> Result<(), Failed> {
    let mut cluster = Cluster::start(program, &[])?;
    block_on(async {
        let store = store(&cluster, &format!("&wait_replicas={wait}"))?;
        let bucket = store.open_bucket("b").await?;
        let load = Load::start(&bucket);
        load.recovers(Instant::now()).await?;
        // 1,000 slots, many of which hold entries of the callers, go while they write.
        let begun = Instant::now();
        tokio::task::block_in_place(|| cluster.move_slots(0, 1, 0..1_000))?;
        let moving = begun.elapsed();
        let settled = load.recovers(begun).await?;
        load.may_lose();
        let killed = Instant::now();
        cluster.kill(2);
        tokio::task::block_in_place(|| {
            cluster.wait_until("it is replaced", |cluster| Ok(cluster.primary_of(15_000)? == 5))?;
            // Else nobody is left whom a write could wait for.
            if wait > 0 { cluster.resume(2) } else { Ok(()) }
        })?;
        let recovery = load.recovers(killed).await?;
        let sum = load.end().await?;
        println!(
            "wait_replicas={wait}: 1,000 slots moved in {moving:?}, the last failed call was after {settled:?}; a primary was \
             killed, the last failed call was after {recovery:?}; {sum:?}"
        );
        ensure_eq!(sum.acknowledged > 1_000, true, "{sum:?}");
        if wait > 0 {
            ensure_eq!(sum.lost, 0, "{sum:?}");
        }
        Ok(())
    })
}

async fn list(bucket: &Bucket) -> kv_core::Result<Vec<String>> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = bucket.keys("", cursor.as_deref(), 300).await?;
        all.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

fn listings(program: &Path) -> Result<(), Failed> {
    let mut cluster = Cluster::start(program, &[])?;
    block_on(async {
        let store = store(&cluster, "")?;
        let bucket = store.open_bucket("b").await?;
        let stays: BTreeSet<String> = (0..3_000).map(|n| format!("stays {n}")).collect();
        bucket.set_many(stays.iter().map(|key| (key, "v"))).await?;
        cluster.wait_until_settled()?;
        let is_done = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicU64::new(0));
        let (listed, done, broken) = (bucket.clone(), Arc::clone(&is_done), Arc::clone(&lost));
        let lister = tokio::spawn(async move {
            let mut whole = 0;
            while !done.load(Ordering::Relaxed) {
                match list(&listed).await {
                    Ok(found) => {
                        let found: BTreeSet<String> = found.into_iter().collect();
                        let missing = stays.difference(&found).count();
                        let foreign = found.iter().filter(|key| !key.starts_with("stays ") && !key.starts_with("own "));
                        if missing > 0 || foreign.count() > 0 {
                            return Err(format!("{missing} keys were not listed"));
                        }
                        whole += 1;
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
                        ensure(error.effect() == kv_core::Effect::None, &error)?;
                        broken.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    Err(error) => return Err(format!("a listing: {error}")),
                }
                tokio::task::yield_now().await;
            }
            Ok(whole)
        });
        tokio::task::block_in_place(|| cluster.move_slots(1, 0, 6_000..6_500))?;
        // Moving alone breaks none.
        ensure_eq!(lost.load(Ordering::Relaxed), 0, "listings failed while slots moved");
        cluster.kill(1);
        tokio::task::block_in_place(|| {
            cluster.wait_until("it is replaced", |cluster| Ok(cluster.primary_of(7_000)? == 4))
        })?;
        // A whole listing after it.
        let begun = Instant::now();
        while list(&bucket).await.is_err() {
            ensure_eq!(begun.elapsed() < PATIENCE, true, "no listing succeeds");
        }
        is_done.store(true, Ordering::Relaxed);
        let whole = lister.await??;
        let lost = lost.load(Ordering::Relaxed);
        println!("{whole} listings were whole, {lost} failed while the primary was gone");
        ensure_eq!(whole > 0, true);
        Ok(())
    })
}

fn ensure(is_so: bool, error: &kv_core::Error) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(format!("{error} has effect {:?}", error.effect())) }
}

/// Drops by another client: what was written before is gone in each group, what is written after is there, and nobody sees
/// a half.
fn drops(program: &Path) -> Result<(), Failed> {
    let cluster = Cluster::start(program, &[])?;
    block_on(async {
        let (ours, theirs) = (store(&cluster, "")?, store(&cluster, "")?);
        let bucket = ours.open_bucket("b").await?;
        let keys: Vec<String> = (0..300).map(|n| format!("{n}")).collect();
        for round in 0..20 {
            bucket.set_many(keys.iter().map(|key| (key, "old"))).await?;
            ensure_eq!(ours.buckets().await?, ["b"]);
            let guard = bucket.cas("7").await?;
            theirs.drop_bucket("b").await?;
            ensure_eq!(bucket.get("3").await?, None, "after drop {round}");
            ensure_eq!(matches!(guard.swap("late").await?, CasSwap::Lost(_)), true, "after drop {round}");
            let written = keys.iter().map(|key| bucket.set(key, format!("{round}")));
            futures_util::future::try_join_all(written).await?;
            let found = bucket.get_many(&keys).await?;
            let wrong = found.iter().filter(|found| found.as_deref() != Some(round.to_string().as_bytes())).count();
            ensure_eq!(wrong, 0, "of {} writes after drop {round}", keys.len());
            ensure_eq!(list(&bucket).await?.len(), keys.len());
            ours.drop_bucket("b").await?;
            ensure_eq!(theirs.open_bucket("b").await?.get_many(&keys).await?.iter().flatten().count(), 0);
            ensure_eq!(theirs.buckets().await?.is_empty(), true);
        }
        // Space is given back on every node, all but the generations.
        let begun = Instant::now();
        loop {
            let mut left = Vec::new();
            for node in cluster.primaries()? {
                left.extend(cluster.control(node)?.ask::<Vec<String>>(&["KEYS", "*"])?);
            }
            left.retain(|key| !key.starts_with("kv:g:"));
            if left.is_empty() {
                break;
            }
            ensure_eq!(begun.elapsed() < PATIENCE, true, "{} keys are still there", left.len());
            tokio::task::yield_now().await;
        }
        ours.drop_bucket("never").await?;
        Ok(())
    })
}

/// Writers go on while others drop their bucket, two at once: what was written after a drop that the writer has seen is
/// there until the next one.
fn drops_beside(program: &Path) -> Result<(), Failed> {
    let cluster = Cluster::start(program, &[])?;
    block_on(async {
        let (ours, theirs, others) = (store(&cluster, "")?, store(&cluster, "")?, store(&cluster, "")?);
        let bucket = ours.open_bucket("b").await?;
        let drops = Arc::new(AtomicU64::new(0));
        let mut writers = Vec::new();
        for writer in 0..32 {
            let (bucket, drops) = (bucket.clone(), Arc::clone(&drops));
            writers.push(tokio::spawn(async move {
                for n in 0..300 {
                    let key = format!("{writer}");
                    let before = drops.load(Ordering::SeqCst);
                    bucket.set(&key, format!("{n}")).await?;
                    let found = bucket.get(&key).await?.map(|found| String::from_utf8_lossy(&found).into_owned());
                    // No drop has begun or ended meanwhile, where the count is even and the same.
                    let is_quiet = before % 2 == 0 && drops.load(Ordering::SeqCst) == before;
                    let is_good = found.as_ref().map_or(!is_quiet, |found| *found == format!("{n}"));
                    if !is_good {
                        return Ok(Some(format!("{key}: wrote {n}, read {found:?}")));
                    }
                }
                Ok::<_, kv_core::Error>(None)
            }));
        }
        for _ in 0..30 {
            drops.fetch_add(1, Ordering::SeqCst);
            tokio::try_join!(theirs.drop_bucket("b"), others.drop_bucket("b"))?;
            drops.fetch_add(1, Ordering::SeqCst);
            // Written after the drop by who has heard of it, and never lost to it.
            let mark = ours.open_bucket("b").await?;
            mark.set("mark", "here").await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
            ensure_eq!(mark.get("mark").await?.is_some(), true);
        }
        for writer in writers {
            if let Some(wrong) = writer.await?? {
                return Err(wrong.into());
            }
        }
        Ok(())
    })
}

/// A write behind the message that its group's note is gone, which went ahead to another node; then a drop, there. The
/// write came first, and must not be sent again.
fn note_moves(program: &Path) -> Result<(), Failed> {
    let cluster = Cluster::start(program, &[])?;
    on_one_thread(async {
        let bucket = store(&cluster, "")?.open_bucket("b").await?;
        bucket.set("k", "old").await?;
        // So that the generation is known where it is written to.
        bucket.set("k", "older").await?;
        let slot: u16 = cluster.control(0)?.ask(&["CLUSTER", "KEYSLOT", "k"])?;
        let group = format!("{:02x}", slot & 0xFF);
        let slot = self::slot(&cluster, &group)?;
        let from = cluster.primary_of(slot)?;
        let to = cluster.primaries()?.into_iter().find(|node| *node != from).ok_or("another primary")?;
        let mut at_source = cluster.control(from)?;
        let mut set = pin!(bucket.set("k", "early"));
        begin(set.as_mut()).await?;
        cluster.begin_to_move(from, to, slot, &format!("kv:g:{{b:{group}}}"))?;
        while at_source.ask::<String>(&["GET", &format!("kv:e:{{b:{group}}}:0:k")])? != "early" {
            tokio::task::yield_now().await;
        }
        cluster.move_slots(from, to, slot..slot + 1)?;
        let theirs = store(&cluster, "")?;
        let drops = std::thread::spawn(move || block_on(theirs.drop_bucket("b")));
        drops.join().expect("the thread that drops ends")?;
        let error = set.await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, kv_core::Effect::Unknown));
        ensure_eq!(bucket.get("k").await?, None);
        Ok(())
    })
}

fn taken_up(program: &Path) -> Result<(), Failed> {
    let cluster = Cluster::start(program, &[])?;
    block_on(async {
        let store = store(&cluster, "")?;
        let bucket = store.open_bucket("b").await?;
        bucket.set("ours", "1").await?;
        let theirs: Vec<String> = (0..50).map(|n| format!("theirs {n}")).collect();
        for key in &theirs {
            let group = cluster.control(0)?.ask::<u16>(&["CLUSTER", "KEYSLOT", key])? & 255;
            let group = format!("{group:02x}");
            let node = cluster.primary_of(slot(&cluster, &group)?)?;
            let mut control = cluster.control(node)?;
            control.ask::<()>(&["SET", &format!("kv:e:{{b:{group}}}:0:{key}"), key])?;
            // In a wrong group it is nobody's.
            if group != "00" && cluster.primary_of(slot(&cluster, "00")?)? == node {
                control.ask::<()>(&["SET", &format!("kv:e:{{b:00}}:0:{key}"), "stray"])?;
            }
            ensure_eq!(bucket.get(key).await?.as_deref(), Some(key.as_bytes()));
        }
        ensure_eq!(list(&bucket).await?, ["ours"]);
        ensure_eq!(store.reindex("b").await?, 50);
        ensure_eq!(store.reindex("b").await?, 0);
        ensure_eq!(list(&bucket).await?.len(), 51);
        Ok(())
    })
}

/// A watcher, a guard and a script go on after their primary was replaced, and after a slot went elsewhere.
fn outlive(program: &Path) -> Result<(), Failed> {
    let mut cluster = Cluster::start(program, &[])?;
    block_on(async {
        let store = store(&cluster, "")?;
        let bucket = store.open_bucket("b").await?;
        let keys: BTreeMap<usize, String> = (0..100)
            .map(|n| format!("k{n}"))
            .map(|key| {
                let group = cluster.control(0)?.ask::<u16>(&["CLUSTER", "KEYSLOT", &key])? & 255;
                Ok::<_, Failed>((cluster.primary_of(slot(&cluster, &format!("{group:02x}"))?)?, key))
            })
            .collect::<Result<_, _>>()?;
        ensure_eq!(keys.len(), 3);
        for key in keys.values() {
            bucket.set(key, "1").await?;
            ensure_eq!(bucket.compare_and_swap(key, Some(b"1"), Some("2".into())).await?, kv_core::Swap::Swapped);
        }
        let mut events = bucket.watch("").await?;
        let guard = bucket.cas(&keys[&2]).await?;
        let other = bucket.cas(&keys[&1]).await?;
        cluster.wait_until_settled()?;
        cluster.kill(2);
        let lost = loop {
            match bucket.cas(&keys[&2]).await {
                Ok(fresh) => break fresh,
                Err(error) => ensure_eq!(error.effect(), kv_core::Effect::None, "{error}"),
            }
        };
        drop(lost);
        // The others call the cluster down for a moment.
        tokio::task::block_in_place(|| cluster.wait_until_settled())?;
        ensure_eq!(matches!(guard.swap("late").await?, CasSwap::Lost(_)), true);
        ensure_eq!(matches!(other.swap("3").await?, CasSwap::Swapped), true);
        ensure_eq!(bucket.compare_and_swap(&keys[&2], Some(b"2"), Some("4".into())).await?, kv_core::Swap::Swapped);
        let resync = async { while events.next().await.is_some_and(|event| event != Event::Resync) {} };
        tokio::time::timeout(PATIENCE, resync).await?;
        for key in keys.values() {
            bucket.set(key, "seen").await?;
            let seen = async {
                loop {
                    match events.next().await {
                        Some(Event::Set { key: found, value }) if found == *key && *value == *b"seen" => return true,
                        None => return false,
                        Some(_) => {}
                    }
                }
            };
            ensure_eq!(tokio::time::timeout(PATIENCE, seen).await?, true);
        }
        // A slot that goes elsewhere takes its guards with it, and nothing else.
        let key = &keys[&0];
        let group = cluster.control(0)?.ask::<u16>(&["CLUSTER", "KEYSLOT", key])? & 255;
        let at = slot(&cluster, &format!("{group:02x}"))?;
        let guard = bucket.cas(key).await?;
        tokio::task::block_in_place(|| cluster.move_slots(0, 1, at..at + 1))?;
        ensure_eq!(matches!(guard.swap("late").await?, CasSwap::Lost(_)), true);
        ensure_eq!(bucket.get(key).await?.as_deref(), Some(&b"seen"[..]));
        bucket.set(key, "moved").await?;
        ensure_eq!(bucket.increment("count", 1).await?, 1);
        Ok(())
    })
}

fn replicas(program: &Path) -> Result<(), Failed> {
    let cluster = Cluster::start(program, &[])?;
    block_on(async {
        let store = store(&cluster, "&reads=replica&wait_replicas=1")?;
        ensure_eq!(store.declared().consistency, kv_core::Consistency::Eventual);
        let bucket = store.open_bucket("b").await?;
        let keys: Vec<String> = (0..200).map(|n| format!("{n}")).collect();
        for key in &keys {
            bucket.set(key, "1").await?;
        }
        // The nodes tell each other of replicas that have something little by little.
        let begun = Instant::now();
        loop {
            let before = reads(&cluster)?;
            ensure_eq!(list(&bucket).await?.len(), keys.len());
            for key in &keys {
                // Its only replica has it, since the write has waited for it.
                ensure_eq!(bucket.get(key).await?.as_deref(), Some(&b"1"[..]));
            }
            let after = reads(&cluster)?;
            if after.0 == before.0 && after.1 >= before.1 + 200 {
                break;
            }
            ensure_eq!(begun.elapsed() < PATIENCE, true, "{before:?} {after:?}");
        }
        let before = reads(&cluster)?;
        ensure_eq!(bucket.get_many(&keys).await?.iter().flatten().count(), keys.len());
        let after = reads(&cluster)?;
        ensure_eq!((after.0 == before.0, after.1 >= before.1 + 200), (true, true), "{before:?} {after:?}");
        Ok(())
    })
}

/// `GET`s that primaries and replicas have had.
fn reads(cluster: &Cluster) -> Result<(u64, u64), Failed> {
    let (primaries, mut sums) = (cluster.primaries()?, (0, 0));
    for node in 0..cluster.nodes().len() {
        let text: String = cluster.control(node)?.ask(&["INFO", "commandstats"])?;
        let calls =
            text.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls=")?.split(',').next()?.parse().ok());
        let sum = if primaries.contains(&node) { &mut sums.0 } else { &mut sums.1 };
        *sum += calls.unwrap_or(0_u64);
    }
    Ok(sums)
}

fn mistaken(program: &Path) -> Result<(), Failed> {
    let cluster = Cluster::start(program, &[])?;
    let server = Server::start(program, &[])?;
    block_on(async {
        let plain = open(&format!("redis+cluster://127.0.0.1:{}", server.port()))?;
        let error = plain.open_bucket("b").await?.set("k", "v").await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::InvalidArgument, kv_core::Effect::None), "{error}");
        ensure_eq!(error.to_string().contains("not part of a cluster"), true, "{error}");
        let one = open(&format!("redis://127.0.0.1:{}", cluster.nodes()[0].port()))?;
        let bucket = one.open_bucket("b").await?;
        let mut refused = 0;
        for n in 0..20 {
            match bucket.set(&format!("{n}"), "v").await {
                Err(error) if error.to_string().contains("part of a cluster") => {
                    ensure_eq!((error.kind(), error.effect()), (ErrorKind::InvalidArgument, kv_core::Effect::None));
                    refused += 1;
                }
                other => return Err(format!("a cluster's node took a write: {other:?}").into()),
            }
        }
        ensure_eq!(refused, 20);
        let nobody = open("redis+cluster://127.0.0.1:1,127.0.0.1:2?connect_timeout_ms=500")?;
        let error = nobody.open_bucket("b").await?.get("k").await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, kv_core::Effect::None), "{error}");
        Ok(())
    })
}
