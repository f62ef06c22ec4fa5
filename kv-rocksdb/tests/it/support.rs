//! Stores in temporary folders, values that can be checked, and children.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use kv_core::{Durability, Error, Result, Store};
use kv_rocksdb::{Config, Provider};
use libtest_mimic::{Failed, Trial};

/// Tells this binary that it is a child, and which.
pub(crate) const CHILD: &str = "KV_ROCKSDB_CHILD";

/// How long anything here may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that has no way to tell when it has happened.
const LOOK: Duration = Duration::from_millis(5);

/// What a test is, where several stand in a list.
pub(crate) type Test = fn() -> Result<(), Failed>;

pub(crate) fn trial(name: &str, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, test)
}

/// A test that can't run here, with the reason in its name.
pub(crate) fn ignored(name: &str, reason: &str) -> Trial {
    Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
}

/// Whether a test that can't run is to fail rather than to be ignored.
pub(crate) fn is_all_required() -> bool {
    std::env::var_os("KV_TEST_REQUIRE").is_some_and(|require| require == "all")
}

/// A test that can't run because a package is missing: ignored, or failed where everything has to be there.
pub(crate) fn lacking(name: &str, package: &'static str) -> Trial {
    if is_all_required() {
        return Trial::test(name, move || {
            Err(format!("{package} is not installed; `cargo xtask test --install` brings it").into())
        });
    }
    ignored(name, &format!("{package} is not installed"))
}

pub(crate) fn fail<T>(text: impl Into<String>) -> Result<T, Failed> {
    Err(Failed::from(text.into()))
}

/// Says where a failure was.
pub(crate) fn within<T>(place: &str, done: Result<T, Failed>) -> Result<T, Failed> {
    done.map_err(|failed| Failed::from(format!("{place}: {}", failed.message().unwrap_or_default())))
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

pub(crate) async fn open(folder: &Path, durability: Durability) -> Result<Store> {
    open_with(Config { durability, ..Config::new(folder) }).await
}

pub(crate) async fn open_with(config: Config) -> Result<Store> {
    Ok(Store::new(Provider::open(config).await?))
}

/// The durability class of a word of the URL.
pub(crate) fn class(word: &str) -> Durability {
    match word {
        "relaxed" => Durability::Volatile,
        "process" => Durability::Process,
        "power" => Durability::Power,
        other => panic!("no class is called {other}"),
    }
}

/// A number that looks random and is the same at each run.
pub(crate) fn random(name: &str) -> u64 {
    // FNV-1a, and the end of SplitMix64: names that differ in a digit must not give numbers that are near.
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) | 1
}

/// Bytes that tell which write they are from, and whether they are whole. They do not compress.
pub(crate) fn value(name: &str, bytes: usize) -> Vec<u8> {
    let mut state = random(name);
    let mut made = Vec::with_capacity(bytes + 8);
    while made.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        made.extend_from_slice(&state.to_le_bytes());
    }
    made.truncate(bytes);
    made
}

/// Looks again and again until `look` gives something; fails with `what` once patience is at its end.
pub(crate) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failed>,
) -> Result<T, Failed> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if begun.elapsed() > PATIENCE {
            return fail(format!("after {PATIENCE:?} still not: {what}"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A number that the store tells about itself, by the first word of its name's row that holds all of `words`.
pub(crate) async fn fact(store: &Store, words: &[&str]) -> Result<u64, Failed> {
    let rows = store.info().await?;
    let row = rows.iter().find(|(name, _)| words.iter().all(|word| name.contains(word)));
    let (_, text) = row.ok_or_else(|| format!("info() has no row with {words:?}: {rows:?}"))?;
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|cause| Failed::from(format!("{words:?} is {text:?}: {cause}")))
}

/// Bytes of all files below a folder, as they take room on the disk.
pub(crate) fn folder_bytes(folder: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => bytes += folder_bytes(&path)?,
            Ok(found) => bytes += found.blocks() * 512,
            // The engine removes files while it runs.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(bytes)
}

/// Copies a folder with all that is in it. What is removed meanwhile is left out.
pub(crate) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        let done = match file.file_type()?.is_dir() {
            true => copy(&file.path(), &target),
            false => fs::copy(file.path(), target).map(drop),
        };
        match done {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// Starts this binary as a child.
pub(crate) fn child(role: &str, arguments: &[&str]) -> Command {
    child_of(&std::env::current_exe().expect("this program has a path"), role, arguments)
}

/// Starts a copy of this binary as a child.
pub(crate) fn child_of(program: &Path, role: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env(CHILD, role).args(arguments);
    command
}

/// A child that is killed, should a test end before it.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the child ends; kills it where it hangs.
pub(crate) fn ended(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// The error of what must not succeed.
pub(crate) fn refused<T>(what: &str, done: Result<T>) -> Result<Error, Failed> {
    match done {
        Ok(_) => fail(format!("{what} was not refused")),
        Err(error) => Ok(error),
    }
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

pub(crate) fn has_program(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}
