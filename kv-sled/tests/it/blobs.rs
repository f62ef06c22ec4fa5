//! No record of ours is large enough for one of sled's blob files, which it never syncs.

use kv_core::Durability;
use libtest_mimic::{Failed, Trial};

use crate::support::{block_on, open, trial, value};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("blobs::the_worst_load_makes_none", worst_load)]
}

fn worst_load() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    block_on(async {
        let store = open(folder.path(), Durability::Volatile).await?;
        let bucket = store.open_bucket("b").await?;
        let deep = |tail: String| format!("{}{tail}", "k".repeat((32 << 10) - 8));
        // Inline records at their largest beside small ones, under keys at their largest, so that leaves are full of
        // both and separators are long.
        for round in 0..3 {
            for n in 0..1_500 {
                let key = format!("{}{n:05}", "s".repeat(395));
                bucket.set(&key, value(&key, if (n + round) % 3 == 0 { 10 } else { 4 << 10 })).await?;
            }
            for n in 0..150 {
                bucket.set(&deep(format!("{n:08}")), value("long", 3 << 10)).await?;
            }
            for n in 0..200 {
                bucket.set(&format!("cut{n}"), value("cut", (16 << 10) + n * 997)).await?;
                bucket.set(&format!("small{n}"), value("small", 10)).await?;
            }
            // Sparse deletes merge nodes.
            for n in (0..1_500).filter(|n| n % 7 != round) {
                bucket.delete(&format!("{}{n:05}", "s".repeat(395))).await?;
            }
            for bytes in [1 << 20, 16 << 20, 64 << 20] {
                bucket.set("large", value("large", bytes)).await?;
            }
        }
        // Writers that split and merge the same nodes at once.
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let bucket = bucket.clone();
                tokio::spawn(async move {
                    for n in 0..300_usize {
                        let key = format!("{}{:05}", "p".repeat(395), n * 8 + task);
                        bucket.set(&key, value(&key, 4 << 10)).await?;
                        bucket.set(&format!("q{task}"), value(&key, 40 << 10)).await?;
                        if n % 5 != 0 {
                            bucket.delete(&key).await?;
                        }
                    }
                    Ok::<_, kv_core::Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        store.close().await?;
        let blobs = std::fs::read_dir(folder.path().join("blobs"))?.count();
        if blobs > 0 {
            return Err(Failed::from(format!("{blobs} blob files")));
        }
        Ok(())
    })
}
