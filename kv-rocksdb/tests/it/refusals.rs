//! Folders that are no stores, stores in use, and options that do not exist: one clear sentence, the right kind, and
//! nothing changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kv_core::{Durability, Effect, ErrorKind};
use kv_rocksdb::{Config, Provider};
use libtest_mimic::{Failed, Trial};

use crate::support::{Running, block_on, child, child_of, ended, fail, is_root, open, refused, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("refusals::a_file_in_the_way", file_in_the_way),
        trial("refusals::no_store_and_none_wanted", no_store),
        trial("refusals::another_program's_database", foreign),
        trial("refusals::another_provider's_store", other_provider),
        trial("refusals::a_folder_with_other_files", other_files),
        trial("refusals::open_in_this_process", open_here),
        trial("refusals::open_in_another_process", open_elsewhere),
        trial("refusals::an_unreadable_folder", unreadable_folder),
        trial("refusals::a_folder_that_can_only_be_read", read_only_folder),
        trial("refusals::options_that_do_not_exist", options),
    ]
}

pub(crate) async fn refusal(config: Config) -> Result<kv_core::Error, Failed> {
    refused("opening", Provider::open(config).await)
}

pub(crate) fn expect(error: &kv_core::Error, kind: ErrorKind, text: &str) -> Result<(), Failed> {
    let said = error.to_string();
    if error.kind() != kind || !said.contains(text) || error.effect() != Effect::None {
        return fail(format!("{error:?}, not {kind} with: {text}"));
    }
    Ok(())
}

/// All files below a folder and what is in them.
pub(crate) fn content(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Failed> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        match path.is_dir() {
            true => found.append(&mut content(&path)?),
            false => drop(found.insert(path.clone(), fs::read(&path)?)),
        }
    }
    Ok(found)
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
        return fail("the file was changed");
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
        made => fail(format!("{made} files were made")),
    }
}

/// A database of another program on the same engine, also one with column families of its own.
fn foreign() -> Result<(), Failed> {
    for families in [&[][..], &["theirs"], &["entries", "meta"]] {
        let folder = tempfile::tempdir()?;
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let database = rocksdb::DB::open_cf(&options, folder.path(), families)?;
        database.put("k", "precious")?;
        drop(database);
        let before = content(folder.path())?;
        block_on(async {
            for create in [true, false] {
                let config = Config { create, ..Config::new(folder.path()) };
                let text = "does not hold a store of this kind";
                expect(&refusal(config).await?, ErrorKind::InvalidArgument, text)?;
            }
            Ok::<_, Failed>(())
        })?;
        // The engine may have taken its lock to look; nothing else is touched.
        let after = content(folder.path())?;
        let changed = before.iter().find(|(path, bytes)| after.get(*path) != Some(bytes));
        if let Some((path, _)) = changed.filter(|(path, _)| !path.ends_with("LOG")) {
            return fail(format!("{families:?}: {} was changed", path.display()));
        }
        let database = rocksdb::DB::open_cf(&options, folder.path(), families)?;
        if database.get("k")?.as_deref() != Some(b"precious") {
            return fail("the other program's data is gone");
        }
    }
    Ok(())
}

/// A folder in which another provider of ours keeps a store, as its marker tells.
fn other_provider() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("kv"), "kv-sled 1\nopen\n")?;
    fs::write(folder.path().join("db"), "precious")?;
    let before = content(folder.path())?;
    let text = "holds a store of another provider";
    expect(&block_on(refusal(Config::new(folder.path())))?, ErrorKind::InvalidArgument, text)?;
    if content(folder.path())? != before { fail("the folder was changed") } else { Ok(()) }
}

/// Files that look like the engine's, without the one that names them: a store that lost a file, or somebody else's.
/// Making a store there would remove them.
fn other_files() -> Result<(), Failed> {
    for name in ["000007.log", "000008.sst", "MANIFEST-000004", "OPTIONS-000005"] {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(name), "precious")?;
        let before = content(folder.path())?;
        let error = block_on(refusal(Config::new(folder.path())))?;
        if !matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::Corrupt) {
            return fail(format!("{name}: {error:?}"));
        }
        if content(folder.path())? != before {
            return fail(format!("{name}: the folder was changed"));
        }
    }
    // Whether or not a store is made beside somebody's files, they stay.
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("letters"))?;
    fs::write(folder.path().join("letters/one"), "precious")?;
    fs::write(folder.path().join("notes.txt"), "precious")?;
    let before = content(folder.path())?;
    block_on(async {
        match Provider::open(Config::new(folder.path())).await {
            Ok(provider) => kv_core::Store::new(provider).close().await.map_err(Failed::from),
            Err(error) => expect(&error, ErrorKind::InvalidArgument, ""),
        }
    })?;
    let after = content(folder.path())?;
    match before.iter().find(|(path, bytes)| after.get(*path) != Some(bytes)) {
        Some((path, _)) => fail(format!("{} was changed", path.display())),
        None => Ok(()),
    }
}

fn open_here() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        store.open_bucket("b").await?.set("k", "v").await?;
        // By another way to the same folder, too.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link)?;
        for again in [&path, &link, &path.join("../store")] {
            let refused = refusal(Config::new(again)).await?;
            expect(&refused, ErrorKind::Locked, "open elsewhere")?;
            if !refused.is_retryable() {
                return fail("the store may be closed later, so opening may be tried again");
            }
        }
        // Nor is it another store under another name: the engine knows its own locks by the path.
        let moved = folder.path().join("moved");
        fs::rename(&path, &moved)?;
        let refused = refusal(Config::new(&moved)).await;
        fs::rename(&moved, &path)?;
        expect(&refused?, ErrorKind::Locked, "open elsewhere")?;
        if store.open_bucket("b").await?.get("k").await?.as_deref() != Some(b"v") {
            return fail("the store that is open does not work on");
        }
        // Once closed it opens at once (BKT-5), though handles are left.
        for _ in 0..5 {
            let store = store.clone();
            store.close().await?;
            let again = open(&path, Durability::Process).await?;
            again.close().await?;
        }
        Ok(())
    })
}

fn open_elsewhere() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let mut command = child("hold", &[&path.to_string_lossy(), "process"]);
    let mut holder = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(holder.0.stdout.take().ok_or("no output")?).lines();
    while lines.next().ok_or("the holder ended")?? != "open" {}
    block_on(async { expect(&refusal(Config::new(&path)).await?, ErrorKind::Locked, "open elsewhere") })?;
    // A refused opening must not have let go of the lock that the other holds: a file's locks end with any handle on it.
    block_on(async { expect(&refusal(Config::new(&path)).await?, ErrorKind::Locked, "open elsewhere") })?;
    drop(holder.0.stdin.take());
    if !ended(&mut holder.0) {
        return fail("the holder did not end");
    }
    block_on(async { Ok(open(&path, Durability::Process).await?.close().await?) })
}

/// Has another user open the store; gives what that said.
fn as_another_user(folder: &Path, path: &Path) -> Result<String, Failed> {
    // Permissions do not bind root, so a child gives root up. From a copy, because the other user may not be let to
    // where this program was built.
    let program = folder.join("reader");
    fs::copy(std::env::current_exe()?, &program)?;
    let mut reader = child_of(&program, "read", &[&path.to_string_lossy(), "process"]);
    if is_root() {
        reader.uid(65_534).gid(65_534);
    }
    Ok(String::from_utf8_lossy(&reader.output()?.stdout).into_owned())
}

fn unreadable_folder() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let path = folder.path().join("store");
    fs::create_dir(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000))?;
    let said = as_another_user(folder.path(), &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    not_allowed(&said?)
}

/// Another user's store, and a folder in which none can be made.
fn read_only_folder() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let path = folder.path().join("store");
    block_on(async {
        let store = open(&path, Durability::Process).await?;
        store.open_bucket("b").await?.set("k", "v").await?;
        store.close().await
    })?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555))?;
    let before = content(&path)?;
    let said = as_another_user(folder.path(), &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    not_allowed(&said?)?;
    if content(&path)? != before {
        return fail("the other user's store was changed");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555))?;
    let empty = folder.path().join("none");
    let outside = tempfile::tempdir()?;
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o755))?;
    let said = as_another_user(outside.path(), &empty);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    not_allowed(&said?)
}

fn not_allowed(said: &str) -> Result<(), Failed> {
    if !said.contains("\nrefused AccessDenied") || !said.contains("does not allow it") {
        return fail(format!("it said: {said}"));
    }
    Ok(())
}

fn options() -> Result<(), Failed> {
    for (url, text) in [
        ("rocksdb:", "names no folder"),
        ("rocksdb://data", "not a server"),
        ("rocksdb:d?durability=volatile", "one of relaxed, process, power"),
        ("rocksdb:d?io=fast", "one of auto, inline, offload"),
        ("rocksdb:d?cache_mb=0", "a number from 1"),
        ("rocksdb:d?cache=1", "did you mean cache_mb?"),
        ("rocksdb:d?compression=best", "one of"),
        ("rocksdb:d?max_open_files=many", "number"),
        ("rocksdb:d?create=maybe", "true"),
    ] {
        let error = refused(url, url.parse().and_then(|url| Config::from_url(&url)))?;
        if error.kind() != ErrorKind::InvalidArgument || !error.to_string().contains(text) {
            return fail(format!("{url}: {error:?}, not: {text}"));
        }
    }
    Ok(())
}
