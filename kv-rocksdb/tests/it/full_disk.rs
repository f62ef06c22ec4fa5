//! A disk that is really full: a small one, in memory.

use std::path::Path;
use std::process::Command;

use kv_core::{Bucket, Durability, Effect, ErrorKind};
use libtest_mimic::{Failed, Trial};

use crate::support::{
    PATIENCE, Test, block_on, fail, ignored, is_all_required, is_root, open, refused, trial, value, within,
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 4] = [
        ("full_disk::of_small_values", || full(|n| if n.is_multiple_of(3) { 30 << 10 } else { 1_000 })),
        ("full_disk::of_large_values", || full(|n| if n.is_multiple_of(3) { 100 } else { 1 << 20 })),
        ("full_disk::a_stall_that_never_ends_keeps_nobody", stalled),
        ("full_disk::a_copy_without_room_leaves_nothing", copy_without_room),
    ];
    // Only what a user without rights can't run is ignored, for the tests as a whole need no root. Who is root may still not be
    // allowed to mount, in a container for one: then they fail and say so.
    let is_tried = is_root() || is_all_required();
    let test =
        |(name, test)| if is_tried { trial(name, test) } else { ignored(name, "needs root to mount a small disk") };
    tests.into_iter().map(test).collect()
}

/// A disk of a few MiB, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(mib: usize) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let options = format!("size={mib}m");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], folder.path())?;
        Ok(Self(folder))
    }

    fn enlarge(&self, mib: usize) -> Result<(), Failed> {
        mount(&["-o", &format!("remount,size={mib}m")], self.0.path())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> Result<(), Failed> {
    let refused = |why: &str| {
        fail(format!(
            "this test needs a small disk of its own, and this machine does not let it mount one ({}); run it as root where \
             mounting is allowed, in a container with the capability SYS_ADMIN, or leave it out with `--skip full_disk`",
            why.trim()
        ))
    };
    match Command::new("mount").args(arguments).arg(at).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => refused(&String::from_utf8_lossy(&output.stderr)),
        Err(cause) => refused(&format!("`mount`: {cause}")),
    }
}

fn name(n: usize) -> String {
    format!("key{n}")
}

async fn all_there(bucket: &Bucket, acknowledged: usize, size: fn(usize) -> usize) -> Result<(), Failed> {
    for n in 0..acknowledged {
        if bucket.get(&name(n)).await?.as_deref() != Some(&value(&name(n), size(n))[..]) {
            return fail(format!("{} of {acknowledged} is not there", name(n)));
        }
    }
    Ok(())
}

fn full(size: fn(usize) -> usize) -> Result<(), Failed> {
    let disk = Disk::new(48)?;
    let path = disk.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Power).await?;
        let bucket = store.open_bucket("b").await?;
        let mut acknowledged = 0;
        let error = loop {
            match bucket.set(&name(acknowledged), value(&name(acknowledged), size(acknowledged))).await {
                Ok(()) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        eprintln!("full after {acknowledged} writes: {}", error.trace());
        if error.kind() != ErrorKind::ResourceExhausted || acknowledged < 20 {
            return fail(format!("after {acknowledged}: {error:?}"));
        }
        let is_refused_ahead = error.effect() == Effect::None;
        for nth in 0..3 {
            let later = refused("a later write", bucket.set("later", value("later", 1 << 20)).await)?;
            let expected = if is_refused_ahead { ErrorKind::ResourceExhausted } else { ErrorKind::Unavailable };
            if later.kind() != expected || later.effect() != Effect::None {
                return fail(format!("later write {nth} after {error:?}: {later:?}"));
            }
        }
        within("while the disk is full", all_there(&bucket, acknowledged, size).await)?;
        // Closing may fail, but lets go of the folder.
        let closed = store.close().await;
        // Nothing may be lost by opening what a full disk left, whether there is room again or not.
        match open(&path, Durability::Power).await {
            Ok(store) => {
                let bucket = store.open_bucket("b").await?;
                within("opened on a full disk", all_there(&bucket, acknowledged, size).await)?;
                let _ = store.close().await;
            }
            Err(error) if error.kind() == ErrorKind::ResourceExhausted => {}
            Err(error) => return fail(format!("opening on a full disk: {error:?}, after closing gave {closed:?}")),
        }
        disk.enlarge(256)?;
        let store = open(&path, Durability::Power).await?;
        let bucket = store.open_bucket("b").await?;
        within("with room again", all_there(&bucket, acknowledged, size).await)?;
        bucket.set("later", value("later", 1 << 20)).await?;
        Ok(store.close().await?)
    })
}

/// Without a log the engine finds out that the disk is full when it writes out what it holds, and writers may wait for that
/// already: both memtables are filled sooner than the first one can fail to be written.
fn stalled() -> Result<(), Failed> {
    const WRITERS: usize = 64;
    // More than both memtables hold.
    const MOST: usize = 512 << 20;
    const BYTES: usize = 256 << 10;
    let disk = Disk::new(48)?;
    let path = disk.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Volatile).await?;
        let bucket = store.open_bucket("b").await?;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let bucket = bucket.clone();
                tokio::spawn(async move {
                    for n in 0..MOST / BYTES / WRITERS {
                        let key = format!("{writer}/{n}");
                        bucket.set(&key, value(&key, BYTES)).await?;
                    }
                    Ok(())
                })
            })
            .collect();
        let all = async {
            for writer in writers {
                let error = refused("more than the disk holds", writer.await?)?;
                if error.kind() != ErrorKind::Unavailable && error.kind() != ErrorKind::ResourceExhausted {
                    return fail(format!("{error:?}"));
                }
            }
            // What is in memory can't be written out, and closing says so.
            refused("closing on a full disk", store.close().await).map(drop)
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(done) => done?,
            Err(_) => return fail(format!("writers or closing still wait after {PATIENCE:?}")),
        }
        disk.enlarge(512)?;
        let store = open(&path, Durability::Volatile).await?;
        store.open_bucket("b").await?.set("later", "v").await?;
        Ok(store.close().await?)
    })
}

/// Copying to another disk copies the bytes; when that fails, no half of a store is left.
fn copy_without_room() -> Result<(), Failed> {
    let (folder, disk) = (tempfile::tempdir()?, Disk::new(4)?);
    block_on(async {
        let store = open(&folder.path().join("store"), Durability::Process).await?;
        let bucket = store.open_bucket("b").await?;
        for n in 0..12 {
            bucket.set(&name(n), value(&name(n), 1 << 20)).await?;
        }
        let target = disk.path().join("copy");
        let error = refused("a copy without room", store.checkpoint(&target).await)?;
        if error.kind() != ErrorKind::ResourceExhausted {
            return fail(format!("{error:?}"));
        }
        if std::fs::read_dir(disk.path())?.next().is_some() {
            return fail("half a copy was left");
        }
        bucket.set("later", "v").await?;
        all_there(&bucket, 12, |_| 1 << 20).await?;
        disk.enlarge(64)?;
        store.checkpoint(&target).await?;
        store.close().await?;
        let store = open(&target, Durability::Process).await?;
        all_there(&store.open_bucket("b").await?, 12, |_| 1 << 20).await?;
        Ok(store.close().await?)
    })
}
