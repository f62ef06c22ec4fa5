//! Stores in temporary folders, values that can be checked, and children.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use kv_core::{Durability, Result, Store};
use kv_sled::{Config, Provider};
use libtest_mimic::{Failed, Trial};

/// How long anything here may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn trial(name: &str, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, test)
}

/// A test that can't run here, with the reason in its name.
pub(crate) fn ignored(name: &str, reason: &str) -> Trial {
    Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
}

/// A test that can't run because a package is missing: ignored, or failed where everything has to be there.
pub(crate) fn lacking(name: &str, package: &'static str) -> Trial {
    if std::env::var_os("KV_TEST_REQUIRE").is_some_and(|require| require == "all") {
        return Trial::test(name, move || {
            Err(format!("{package} is not installed; `cargo xtask test --install` brings it").into())
        });
    }
    ignored(name, &format!("{package} is not installed"))
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

pub(crate) async fn open(folder: &Path, durability: Durability) -> Result<Store> {
    let mut config = Config::new(folder);
    config.durability = durability;
    Ok(Store::new(Provider::open(config).await?))
}

/// Bytes that tell which write they are from, and whether they are whole.
pub(crate) fn value(name: &str, bytes: usize) -> Vec<u8> {
    let mut state = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// Starts this binary as a child.
pub(crate) fn child(role: &str, arguments: &[&str]) -> Command {
    child_of(&std::env::current_exe().expect("this program has a path"), role, arguments)
}

/// Starts a copy of this binary as a child.
pub(crate) fn child_of(program: &Path, role: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env("KV_SLED_CHILD", role).args(arguments);
    command
}

/// Waits until the child ends; kills it where it hangs.
pub(crate) fn ended(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return true;
        }
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

pub(crate) fn has_program(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}
