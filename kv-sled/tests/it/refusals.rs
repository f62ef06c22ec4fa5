//! Folders that are no stores, stores in use, and disks that are full: one clear sentence, the right kind, nothing
//! lost.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kv_core::{Durability, Effect, ErrorKind, Result};
use kv_sled::{Config, Provider};
use libtest_mimic::{Failed, Trial};

use crate::support::{block_on, child, child_of, has_program, ignored, is_root, open, trial, value};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("refusals::a_file_in_the_way", file_in_the_way),
        trial("refusals::no_store_and_none_wanted", no_store),
        trial("refusals::another_program's_database", foreign),
        trial("refusals::another_provider's_store", other_provider),
        trial("refusals::open_in_another_process", open_elsewhere),
        trial("refusals::leftovers_of_a_kill_are_no_damage", leftovers),
    ];
    let unreadable = "refusals::an_unreadable_folder";
    let full = "refusals::a_full_disk";
    trials.push(trial(unreadable, unreadable_folder));
    trials.push(match is_root() && has_program("mount") {
        true => trial(full, full_disk),
        false => ignored(full, "needs root to mount a small disk"),
    });
    trials
}

async fn refusal(config: Config) -> Result<kv_core::Error, Failed> {
    match Provider::open(config).await {
        Ok(_) => Err(Failed::from("it opened")),
        Err(error) => Ok(error),
    }
}

fn expect(error: &kv_core::Error, kind: ErrorKind, text: &str) -> Result<(), Failed> {
    let said = error.to_string();
    if error.kind() != kind || !said.contains(text) || error.effect() != Effect::None {
        return Err(Failed::from(format!("{error:?}, not {kind} with: {text}")));
    }
    Ok(())
}

fn file_in_the_way() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    fs::write(&file, "precious")?;
    block_on(async {
        expect(&refusal(Config::new(&file)).await?, ErrorKind::InvalidArgument, "is a file")?;
        expect(&refusal(Config::new(file.join("below"))).await?, ErrorKind::InvalidArgument, "is a file")
    })?;
    if fs::read(&file)? != b"precious" {
        return Err(Failed::from("the file was changed"));
    }
    Ok(())
}

fn no_store() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let config = |path: &Path| Config { create: false, ..Config::new(path) };
    block_on(async {
        let missing = folder.path().join("missing");
        expect(&refusal(config(&missing)).await?, ErrorKind::InvalidArgument, "there is no store at")?;
        expect(&refusal(config(folder.path())).await?, ErrorKind::InvalidArgument, "there is no store at")
    })?;
    match fs::read_dir(folder.path())?.count() {
        0 => Ok(()),
        made => Err(Failed::from(format!("{made} files were made"))),
    }
}

fn foreign() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("blobs"))?;
    fs::write(folder.path().join("conf"), "segment_size: 524288\nuse_compression: false\nversion: 0.34\n\0\0\0\0")?;
    fs::write(folder.path().join("db"), vec![0; 1 << 19])?;
    block_on(async {
        expect(
            &refusal(Config::new(folder.path())).await?,
            ErrorKind::InvalidArgument,
            "does not hold a store of this kind",
        )
    })
}

/// A folder in which another provider of ours keeps a store, as its marker tells.
fn other_provider() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("kv"), "kv-rocksdb 1\nopen\n")?;
    let text = "holds a store of another provider";
    block_on(async { expect(&refusal(Config::new(folder.path())).await?, ErrorKind::InvalidArgument, text) })?;
    match fs::read_dir(folder.path())?.count() {
        1 => Ok(()),
        files => Err(Failed::from(format!("there are {files} files"))),
    }
}

fn open_elsewhere() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let mut holder = child("hold", &[&path.to_string_lossy()]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(holder.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let refused = block_on(async { expect(&refusal(Config::new(&path)).await?, ErrorKind::Locked, "open elsewhere") });
    drop(holder.stdin.take());
    holder.wait()?;
    refused?;
    block_on(async { Ok(open(&path, Durability::Process).await?.close().await?) })
}

/// What sled leaves when it is killed while it opens, and could not open itself.
fn leftovers() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    fs::create_dir(&path)?;
    fs::write(path.join("conf"), "segment_size: 2097152\nuse_compr")?;
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        store.open_bucket("b").await?.set("k", "v").await?;
        store.close().await?;
        fs::write(path.join("snap.FFFFFFFFFFFFFFFF.generating"), "half")?;
        let store = open(&path, Durability::Process).await?;
        match store.open_bucket("b").await?.get("k").await? {
            Some(found) if *found == *b"v" => Ok(store.close().await?),
            other => Err(Failed::from(format!("{other:?}"))),
        }
    })
}

fn unreadable_folder() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    // Permissions do not bind root, so a child gives root up.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let path = folder.path().join("store");
    fs::create_dir(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000))?;
    // From here, because the other user may not be let to where this program was built.
    let program = folder.path().join("reader");
    fs::copy(std::env::current_exe()?, &program)?;
    let mut reader = child_of(&program, "read", &[&path.to_string_lossy()]);
    if is_root() {
        reader.uid(65_534).gid(65_534);
    }
    let output = reader.output();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let output = output?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !said.starts_with("refused AccessDenied") || !said.contains("does not allow it") {
        return Err(Failed::from(format!("it said: {said}")));
    }
    Ok(())
}

/// A disk of a few MiB, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(mib: usize) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        Self::mount(folder.path(), &format!("size={mib}m"))?;
        Ok(Self(folder))
    }

    fn mount(folder: &Path, options: &str) -> Result<(), Failed> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).status()?;
        if mount.success() { Ok(()) } else { Err(Failed::from("mounting a small disk failed")) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn full_disk() -> Result<(), Failed> {
    let disk = Disk::new(24)?;
    let path = disk.0.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Power).await?;
        let bucket = store.open_bucket("b").await?;
        let name = |n: usize| format!("key{n}");
        let size = |n: usize| if n.is_multiple_of(3) { 300 << 10 } else { 1_000 };
        let mut acknowledged = 0;
        let error = loop {
            match bucket.set(&name(acknowledged), value(&name(acknowledged), size(acknowledged))).await {
                Ok(()) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        if error.kind() != ErrorKind::ResourceExhausted || acknowledged == 0 {
            return Err(Failed::from(format!("after {acknowledged}: {error:?}")));
        }
        expect(&error, ErrorKind::ResourceExhausted, "the disk is nearly full")?;
        let later = bucket.set("later", value("later", 300 << 10)).await.err().ok_or("a later write went on")?;
        expect(&later, ErrorKind::ResourceExhausted, "the disk is nearly full")?;
        for n in 0..acknowledged {
            if bucket.get(&name(n)).await?.as_deref() != Some(&value(&name(n), size(n))[..]) {
                return Err(Failed::from(format!("{} can't be read any more", name(n))));
            }
        }
        let remount = Command::new("mount").args(["-o", "remount,size=96m"]).arg(disk.0.path()).status()?;
        if !remount.success() {
            return Err(Failed::from("enlarging the disk failed"));
        }
        bucket.set("later", "x").await?;
        store.close().await?;
        let store = open(&path, Durability::Power).await?;
        let bucket = store.open_bucket("b").await?;
        for n in 0..acknowledged {
            if bucket.get(&name(n)).await?.as_deref() != Some(&value(&name(n), size(n))[..]) {
                return Err(Failed::from(format!("{} was lost", name(n))));
            }
        }
        bucket.set("later", "x").await?;
        Ok(store.close().await?)
    })
}
