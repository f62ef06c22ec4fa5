//! What tests need of the machine.
#![allow(dead_code, reason = "several test programs use this, each some of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use libtest_mimic::Trial;

use crate::process::redis_server;

pub(crate) const WORDS: &str = "/usr/share/dict/american-english-huge";
pub(crate) const UNICODE: &str = "/usr/share/unicode/UnicodeData.txt";

/// A test and what it needs.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) run: fn(),
}

/// Something that not every machine has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Debian's largest list of English words.
    Words,
    /// The table of Unicode's characters.
    Unicode,
    /// A Redis server's program.
    Redis,
    /// The guests in JavaScript and Python, as xtask builds them.
    JavaScript,
    Python,
    /// The program that gives a command a terminal.
    Script,
    /// The right to become another user.
    Root,
    /// The right to mount a small file system.
    Mount,
}

static CAN_MOUNT: LazyLock<bool> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let is_mounted = mount(folder.path(), "1m");
    if is_mounted {
        unmount(folder.path());
    }
    is_mounted
});

impl Need {
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::Words => Path::new(WORDS).exists(),
            Self::Unicode => Path::new(UNICODE).exists(),
            Self::Redis => redis_server().is_some(),
            Self::JavaScript => built("js").exists(),
            Self::Python => built("python").exists(),
            Self::Script => Command::new("script").arg("--version").output().is_ok_and(|ran| ran.status.success()),
            Self::Root => is_root(),
            Self::Mount => is_root() && *CAN_MOUNT,
        }
    }

    /// Whether it comes from a package of `xtask/src/packages.rs`.
    pub(crate) fn is_installed_by_xtask(&self) -> bool {
        matches!(self, Self::Words | Self::Unicode | Self::Redis | Self::JavaScript | Self::Python)
    }

    /// What brings it.
    pub(crate) fn brought_by(&self) -> &'static str {
        match self {
            Self::Words => "the package wamerican-huge",
            Self::Unicode => "the package unicode-data",
            Self::Redis => "the package redis-server",
            Self::JavaScript => "the package componentize-js",
            Self::Python => "the package componentize-py",
            Self::Script => "the package bsdutils",
            Self::Root => "root",
            Self::Mount => "the right to mount",
        }
    }
}

/// The test: ignored where something is missing, or failed where everything that xtask installs has to be there.
pub(crate) fn trial(test: &Test) -> Trial {
    trial_of(test.name, test.needs, test.run)
}

/// The same for a test that is made when the program starts.
pub(crate) fn trial_of(name: &str, needs: &[Need], run: impl FnOnce() + Send + 'static) -> Trial {
    let is_all_required = std::env::var_os("KV_TEST_REQUIRE").is_some_and(|require| require == "all");
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_there()).collect();
    let work = move || {
        run();
        Ok(())
    };
    if missing.is_empty() {
        return Trial::test(name, work);
    }
    if is_all_required && let Some(need) = missing.iter().find(|need| need.is_installed_by_xtask()) {
        let reason = format!("needs {}; `cargo xtask test --install` brings it", need.brought_by());
        return Trial::test(name, move || Err(reason.into()));
    }
    let needs: Vec<&str> = missing.iter().map(|need| need.brought_by()).collect();
    Trial::test(format!("{name} (needs {})", needs.join(", ")), work).with_ignored_flag(true)
}

/// A guest that xtask builds when it is tested, in the folder that this program lies in too.
pub(crate) fn built(language: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().join("guests").join(format!("example-{language}.wasm"))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|ran| ran.stdout == b"0\n")
}

/// Mounts a file system in memory of this size.
pub(crate) fn mount(folder: &Path, size: &str) -> bool {
    let options = format!("size={size}");
    let args = ["-t", "tmpfs", "-o", &options, "tmpfs"];
    Command::new("mount").args(args).arg(folder).output().is_ok_and(|ran| ran.status.success())
}

pub(crate) fn unmount(folder: &Path) {
    // Lazily, for a process that was killed may hold it a moment longer.
    let _ = Command::new("umount").arg("-l").arg(folder).output();
}
