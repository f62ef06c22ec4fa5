//! What tests need of the machine.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

pub(crate) const WORDS: &str = "/usr/share/dict/american-english-huge";
pub(crate) const UNICODE: &str = "/usr/share/unicode/UnicodeData.txt";

/// Something that not every machine has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Debian's largest list of English words.
    Words,
    /// The table of Unicode's characters.
    Unicode,
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
            Self::Script => Command::new("script").arg("--version").output().is_ok_and(|ran| ran.status.success()),
            Self::Root => is_root(),
            Self::Mount => is_root() && *CAN_MOUNT,
        }
    }

    /// Whether it comes from a package of `xtask/src/packages.rs`.
    pub(crate) fn is_installed_by_xtask(&self) -> bool {
        matches!(self, Self::Words | Self::Unicode)
    }

    /// What brings it.
    pub(crate) fn brought_by(&self) -> &'static str {
        match self {
            Self::Words => "the package wamerican-huge",
            Self::Unicode => "the package unicode-data",
            Self::Script => "the package bsdutils",
            Self::Root => "root",
            Self::Mount => "the right to mount",
        }
    }
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
