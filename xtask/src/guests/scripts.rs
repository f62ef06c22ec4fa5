use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::{folder, sources::hex};
use crate::packages::{Own, Package};
use crate::project::metadata;
use crate::{Result, steps, valkey};

/// From PyPI. It has no dependencies.
const PY: &str = "componentize-py";
const PY_VERSION: &str = "0.25.1";

/// From npm, with the dependencies that `guests/js/package-lock.json` pins.
const JS: &str = "componentize-js";
const JS_VERSION: &str = "0.23.0";

/// The world of both, after the interfaces that it imports.
const WIT: [&str; 2] = ["wit/keyvalue/0.2.0-draft2.wit", "wit/examples/draft2.wit"];
const WORLD: &str = "golem:examples/key-value-example";

pub(crate) const COMPONENTIZE_PY: Package = Package::own(
    PY,
    "a guest in Python, from PyPI, into the user's cache folder",
    Own { is_present: has_py, install: install_py },
);

pub(crate) const COMPONENTIZE_JS: Package = Package::own(
    JS,
    "a guest in JavaScript, from npm, into the user's cache folder",
    Own { is_present: has_js, install: install_js },
);

/// Builds the guests in JavaScript and Python into `target/guests`, those apart whose tool is missing.
pub(crate) fn build() -> Result {
    let (guests, out) = (folder()?, metadata()?.target_directory.join("guests"));
    if has_py() {
        let source = guests.join("python/example.py");
        fresh(&out, "example-python", PY_VERSION, &[&source], |work, component| build_py(&source, work, component))?;
    } else {
        println!("the guest in Python is left out: {PY} is missing; `cargo xtask guests --install` brings it");
    }
    if has_js() {
        let source = guests.join("js/example.js");
        let lock = guests.join("js/package-lock.json");
        fresh(&out, "example-js", JS_VERSION, &[&source, &lock], |work, component| build_js(&source, work, component))?;
    } else {
        println!("the guest in JavaScript is left out: {JS} is missing; `cargo xtask guests --install` brings it");
    }
    Ok(())
}

/// Builds a component where it was not already built of the same.
fn fresh(
    out: &Path,
    name: &str,
    version: &str,
    sources: &[&Path],
    build: impl FnOnce(&Path, &Path) -> Result,
) -> Result {
    let mut digest = Sha256::new_with_prefix(version);
    for path in sources.iter().map(|path| path.to_path_buf()).chain(wit()?) {
        digest.update(fs::read(path)?);
    }
    let digest = hex(digest.finalize());
    let (component, stamp) = (out.join(format!("{name}.wasm")), out.join(format!("{name}.sha256")));
    if component.is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == digest) {
        println!("target/guests/{name}.wasm is built already");
        return Ok(());
    }
    fs::create_dir_all(out)?;
    // Beside the component's place, so that what is there is whole. It goes at the end, with whatever is in it.
    let work = tempfile::tempdir_in(out)?;
    let part = work.path().join("component");
    build(work.path(), &part)?;
    fs::rename(part, component)?;
    Ok(fs::write(stamp, digest)?)
}

fn wit() -> Result<[PathBuf; 2]> {
    let guests = folder()?;
    Ok(WIT.map(|path| guests.join(path)))
}

fn build_py(source: &Path, work: &Path, component: &Path) -> Result {
    let tool = place(PY, PY_VERSION)?;
    // Python writes what it compiles beside the source.
    fs::copy(source, work.join("example.py"))?;
    let mut command = Command::new("python3");
    command.arg(tool.join("bin").join(PY)).env("PYTHONPATH", tool);
    for path in wit()? {
        command.arg("--wit-path").arg(path);
    }
    command
        .args(["--quiet", "--world", WORLD, "componentize", "--python-path"])
        .arg(work)
        .arg("--output")
        .arg(component);
    steps::run(command.arg("example"))
}

fn build_js(source: &Path, work: &Path, component: &Path) -> Result {
    let tool = place(JS, JS_VERSION)?;
    // It takes one folder, in which the world's imports lie where they are looked for.
    let [keyvalue, world] = wit()?;
    fs::create_dir_all(work.join("deps"))?;
    fs::copy(world, work.join("world.wit"))?;
    fs::copy(keyvalue, work.join("deps/keyvalue.wit"))?;
    let mut command = Command::new("node");
    command.arg(tool.join("node_modules/@bytecodealliance/componentize-js/src/cli.js")).arg(source);
    command.arg("--wit").arg(work).args(["--world-name", WORLD]).arg("--out").arg(component);
    // The engine's own imports, none of which the guest uses.
    steps::run(command.args(["--disable", "stdio", "random", "clocks", "http", "fetch-event"]))
}

/// Whether Python's packages are still to be installed.
pub(crate) fn needs_pip() -> bool {
    !has_py()
}

fn has_py() -> bool {
    place(PY, PY_VERSION).is_ok_and(|folder| folder.is_dir())
}

fn has_js() -> bool {
    place(JS, JS_VERSION).is_ok_and(|folder| folder.is_dir())
}

/// Where a tool is installed, without root.
fn place(name: &str, version: &str) -> Result<PathBuf> {
    Ok(valkey::cache()?.join(format!("{name}-{version}")))
}

fn install_py() -> Result {
    install(&place(PY, PY_VERSION)?, |work, part| {
        let venv = work.join("venv");
        steps::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["--quiet", "--disable-pip-version-check", "install", "--no-deps", "--only-binary", ":all:"]);
        // Not into the environment itself, which can't be moved.
        steps::run(pip.arg("--target").arg(part).arg(format!("{PY}=={PY_VERSION}")))
    })
}

fn install_js() -> Result {
    let js = folder()?.join("js");
    install(&place(JS, JS_VERSION)?, |_, part| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(js.join(file), part.join(file))?;
        }
        let mut npm = Command::new("npm");
        npm.current_dir(part).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
        steps::run(&mut npm)
    })
}

/// Fills a folder and moves it to its place in one step, so that what is there is whole. Several may install at the same
/// time: the first one stays.
fn install(place: &Path, fill: impl FnOnce(&Path, &Path) -> Result) -> Result {
    let cache = place.parent().ok_or("the cache folder has no name")?;
    fs::create_dir_all(cache)?;
    // It goes at the end, with whatever is in it.
    let work = tempfile::tempdir_in(cache)?;
    let part = work.path().join("part");
    fs::create_dir(&part)?;
    fill(work.path(), &part)?;
    match fs::rename(&part, place) {
        Err(cause) if !place.is_dir() => Err(format!("{}: {cause}", place.display()).into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_brings_the_version_that_is_named() {
        let package = include_str!("../../../guests/js/package.json");
        assert!(package.contains(&format!("\"@bytecodealliance/{JS}\": \"{JS_VERSION}\"")));
    }

    #[test]
    fn what_is_installed_first_stays_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("tool-1.2");
        let fill = |text: &'static str| move |_: &Path, part: &Path| Ok(fs::write(part.join("tool"), text)?);
        install(&place, fill("first")).unwrap();
        install(&place, fill("second")).unwrap();
        assert_eq!(fs::read_to_string(place.join("tool")).unwrap(), "first");
        assert!(install(&folder.path().join("other-1"), |_, _| Err("no network".into())).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_component_is_built_once_for_the_same_sources() {
        let folder = tempfile::tempdir().unwrap();
        let (out, source) = (folder.path().join("out"), folder.path().join("source"));
        let mut built = 0;
        for (text, version) in [("a", "1"), ("a", "1"), ("b", "1"), ("b", "2"), ("b", "2")] {
            fs::write(&source, text).unwrap();
            fresh(&out, "x", version, &[&source], |_, part| {
                built += 1;
                Ok(fs::write(part, "component")?)
            })
            .unwrap();
        }
        assert_eq!(built, 3);
        assert_eq!(fs::read_dir(out).unwrap().count(), 2);
    }
}
