//! `kv backup`, and copies of a store that a program has open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::needs::Test;
use crate::run::Kv;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "backup::a_copy_is_a_store_like_any_other", needs: &[], run: copy },
    Test { name: "backup::a_copy_of_a_store_in_use_is_a_state_that_existed", needs: &[], run: while_writing },
    Test { name: "backup::a_bad_target_is_told_and_left_alone", needs: &[], run: bad_targets },
    Test { name: "backup::a_store_in_use_elsewhere_is_not_copied", needs: &[], run: locked },
];

/// Callers that write while copies are made, and copies.
const CALLERS: usize = 64;
const COPIES: usize = 4;

/// Calls of each caller, on average, between two copies.
const BETWEEN: usize = 30;

fn at(kv: &Kv, name: &str) -> Kv {
    Kv::at(format!("rocksdb:{}", kv.path(name).display()))
}

fn copy() {
    let kv = Kv::on("rocksdb", "");
    let words = crate::shared::words(5_000).join("\n");
    let file = kv.file("words", words);
    kv.ok(&["import", "words", &file, "--format", "lines"]);
    kv.ok(&["set", "files", "large", &format!("@{}", kv.file("large", vec![b'x'; 3 << 20]))]);
    kv.ok(&["set", "sessions", "ann", "signed in", "--ttl", "1h"]);
    kv.ok(&["set", "gone", "k", "v"]);
    kv.ok(&["drop-bucket", "gone", "--yes"]);
    assert_eq!(kv.ok(&["backup", "copy"]).text(), "");
    assert_eq!(kv.ok(&["backup", "another", "--json"]).json()["folder"], "another");
    for name in ["copy", "another"] {
        let copy = at(&kv, name);
        assert_eq!(copy.ok(&["buckets"]).text(), "files\nsessions\nwords\n");
        for bucket in ["files", "sessions", "words"] {
            assert!(copy.ok(&["export", bucket]).out == kv.ok(&["export", bucket]).out, "{bucket} differs in {name}");
        }
        // It can be written, and copied in its turn.
        copy.ok(&["set", "files", "mine", name]);
        assert_eq!(copy.ok(&["tour", "--json"]).json()["as_promised"], true);
        kv.run(&["get", "files", "mine"]).code(1);
    }
    at(&kv, "copy").ok(&["backup", kv.path("third").to_str().unwrap()]);
    assert_eq!(at(&kv, "third").ok(&["get", "files", "mine"]).out, b"copy");
}

/// How far a caller came.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    acknowledged: AtomicUsize,
}

/// Each caller writes its numbers one after another, and after each a pair that says how far it came.
async fn write(store: kv::Store, caller: usize, own: &Progress, is_over: &AtomicBool) -> kv::Result<()> {
    let bucket = store.open_bucket("b").await?;
    for n in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        own.begun.store(n + 1, Ordering::SeqCst);
        bucket.set(&format!("{caller:02}/{n:08}"), "v").await?;
        let text = n.to_string();
        bucket.set_many([(format!("{caller:02}/left"), text.clone()), (format!("{caller:02}/right"), text)]).await?;
        own.acknowledged.store(n + 1, Ordering::SeqCst);
    }
    Ok(())
}

fn while_writing() {
    let kv = Kv::on("rocksdb", "");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let copies = runtime.block_on(async {
        let store = kv::open(kv.url()).await.unwrap();
        let callers: Arc<Vec<Progress>> = Arc::new((0..CALLERS).map(|_| Progress::default()).collect());
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (store, callers, is_over) = (store.clone(), Arc::clone(&callers), Arc::clone(&is_over));
                tokio::spawn(async move { write(store, caller, &callers[caller], &is_over).await })
            })
            .collect();
        let mut copies = Vec::new();
        for nth in 1..=COPIES {
            let done = || callers.iter().map(|own| own.acknowledged.load(Ordering::SeqCst)).collect::<Vec<_>>();
            while done().iter().sum::<usize>() < nth * CALLERS * BETWEEN {
                assert!(tasks.iter().all(|task| !task.is_finished()), "a caller gave up");
                tokio::task::yield_now().await;
            }
            let least = done();
            store.checkpoint(kv.path(&format!("copy{nth}"))).await.unwrap();
            let most: Vec<_> = callers.iter().map(|own| own.begun.load(Ordering::SeqCst)).collect();
            copies.push((nth, least, most));
        }
        is_over.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        store.close().await.unwrap();
        copies
    });
    for (nth, least, most) in copies {
        let entries: BTreeMap<String, String> = at(&kv, &format!("copy{nth}"))
            .ok(&["export", "b"])
            .json_lines()
            .iter()
            .map(|line| (line["key"].as_str().unwrap().to_owned(), line["value"].as_str().unwrap().to_owned()))
            .collect();
        for caller in 0..CALLERS {
            let of = |rest: &str| entries.get(&format!("{caller:02}/{rest}"));
            let numbers = (0..).take_while(|n: &usize| of(&format!("{n:08}")).is_some()).count();
            let all = entries.range(format!("{caller:02}/")..format!("{caller:02}/l")).count();
            assert_eq!(numbers, all, "copy {nth}: caller {caller}'s writes have a gap");
            assert!((least[caller]..=most[caller]).contains(&numbers), "copy {nth}: {numbers} of caller {caller}");
            assert_eq!(of("left"), of("right"), "copy {nth}: half of caller {caller}'s pair");
            let pair = of("left").map_or(0, |text| text.parse::<usize>().unwrap() + 1);
            assert!(pair == numbers || pair + 1 == numbers, "copy {nth}: caller {caller}'s pair is of another time");
        }
    }
}

fn bad_targets() {
    let kv = Kv::on("rocksdb", "");
    kv.ok(&["set", "b", "k", "v"]);
    std::fs::create_dir(kv.path("folder")).unwrap();
    std::fs::create_dir(kv.path("empty")).unwrap();
    std::fs::write(kv.path("folder/file"), "precious").unwrap();
    kv.file("file", "precious");
    for target in ["folder", "empty", "file", "store", "missing/copy", "file/copy"] {
        let ran = kv.run(&["backup", target]).code(2);
        assert!(ran.err.starts_with("kv: ") && ran.err.trim_end().lines().count() == 1, "{target}: {}", ran.err);
        let ran = kv.run(&["backup", target, "--json"]).code(2);
        assert!(ran.err.contains("\"kind\":\"InvalidArgument\""), "{target}: {}", ran.err);
    }
    kv.run(&["backup", ""]).code(2);
    for file in ["folder/file", "file"] {
        assert_eq!(std::fs::read_to_string(kv.path(file)).unwrap(), "precious");
    }
    assert_eq!(std::fs::read_dir(kv.path("folder")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(kv.path("empty")).unwrap().count(), 0);
    assert!(!kv.path("missing").exists());
    assert_eq!(kv.ok(&["get", "b", "k"]).out, b"v");
}

fn locked() {
    let kv = Kv::on("rocksdb", "");
    kv.ok(&["set", "b", "k", "v"]);
    let (mut holder, mut lines) = kv.start(&["watch", "b"]);
    // It speaks once it holds the store.
    assert!(lines.next().unwrap().unwrap().contains("only this process can write"));
    kv.run(&["backup", "copy"]).code(3).says("is open elsewhere");
    assert!(!kv.path("copy").exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    kv.ok(&["backup", "copy"]);
    assert_eq!(at(&kv, "copy").ok(&["get", "b", "k"]).out, b"v");
}
