use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{self, Package};
use crate::{Result, project};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler for the target, whose standard library it builds itself, from its sources.
const DEBIAN: &str = "/usr/bin/rustc";

/// What brings it.
pub(crate) const PACKAGES: &[Package] = &[
    Package::with_file("rustc-web", "a compiler with the target wasm32", DEBIAN),
    Package::with_file(
        "rust-web-src",
        "the standard library for wasm32",
        "/usr/lib/rustlib/src/rust/library/Cargo.lock",
    ),
    Package::with_file(
        "libstd-rust-web-dev",
        "the standard library for what runs while guests are built",
        "/usr/share/doc/libstd-rust-web-dev",
    ),
    Package::with_file("lld-19", "a linker for wasm32", "/usr/bin/wasm-ld-19"),
];

/// What the guests in Rust are built with.
pub(crate) enum Compiler {
    /// The toolchain's own, with the target added.
    Toolchain,
    Debian,
}

impl Compiler {
    pub(crate) fn of_this_machine() -> Result<Self> {
        if has_target() {
            return Ok(Self::Toolchain);
        }
        let missing = packages::missing(PACKAGES);
        if missing.is_empty() {
            return Ok(Self::Debian);
        }
        Err(format!(
            "no compiler here knows {TARGET}: `rustup target add {TARGET}` adds it to the toolchain, and Debian's packages \
             {} bring one (missing here: {}); `cargo xtask guests --install` installs those",
            packages::names(PACKAGES.iter()),
            packages::names(missing.into_iter())
        )
        .into())
    }

    /// Cargo, as it builds for the target.
    pub(crate) fn cargo(&self) -> Result<Command> {
        let mut command = project::cargo(&["build", "--release", "--target", TARGET])?;
        if matches!(self, Self::Debian) {
            command.env("RUSTC", DEBIAN).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19");
            // Debian has no built standard library for this target, and only unstable cargo builds one.
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
        }
        // The places of panics would otherwise name folders of this machine.
        let remapped = [(project::root()?, "kv"), (cargo_home()?, "cargo")];
        let flags: Vec<String> =
            remapped.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(command)
    }
}

/// Whether the toolchain's own compiler has the target.
pub(crate) fn has_target() -> bool {
    let printed = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    printed.is_ok_and(|printed| {
        printed.status.success() && Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_dir()
    })
}

fn cargo_home() -> Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME").filter(|home| *home != OsString::new())?).join(".cargo"));
    set.or_else(home).ok_or_else(|| "neither CARGO_HOME nor HOME says where cargo keeps its packages".into())
}
