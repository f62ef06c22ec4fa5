//! Builds the benchmarks in release and runs them.
//!
//! Two programs, because counting allocations costs time: the first one counts, the second one measures with the
//! system's allocator as it is and puts both into one report. What the options mean is `kv-bench`'s own to say:
//! `cargo xtask bench --help`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scope::Scope;
use crate::{Result, steps};

/// Where `report.json`, `report.md` and `report.svg` go.
const OUT: &str = "target/bench";

/// Runs the workloads beside the raw drivers.
pub(crate) fn run(args: &[String]) -> Result {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the workspace's folder was not found")?;
    // `cargo xtask bench -- --quick` and `cargo xtask bench --quick` mean the same.
    let args = args.strip_prefix(&["--".to_owned()]).unwrap_or(args);

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut build = Command::new(cargo);
    build.current_dir(root).args(["build", "--release", "--package", "kv-bench", "--bins"]);
    match Scope::of_this_machine() {
        Scope::Everything => drop(build.arg("--all-features")),
        Scope::WithoutRocksdb => eprintln!("rocksdb is left out: its driver is built with the package libclang-14-dev"),
    }
    steps::run(&mut build)?;
    if !args.iter().any(|arg| matches!(arg.as_str(), "--help" | "-h" | "--list")) {
        steps::run(program(root, "kv-bench-allocs").args(["--out", OUT]).args(args))?;
    }
    steps::run(program(root, "kv-bench").args(["--out", OUT]).args(args))
}

fn program(root: &Path, name: &str) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let mut command =
        Command::new(root.join(target).join("release").join(name).with_extension(std::env::consts::EXE_EXTENSION));
    command.current_dir(root);
    command
}
