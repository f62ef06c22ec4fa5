use std::fs;
use std::path::Path;
use std::process::Command;

use crate::project::{Metadata, cargo, metadata, root};
use crate::scope::Scope;
use crate::steps::{Steps, run as run_command};
use crate::{Result, guests, packages, tidy};

/// One profile for everything, so that each dependency is built once. The engines that come with C++ code take
/// minutes.
const PROFILE: &str = "--release";

/// Turns a test that is ignored because this machine lacks something into a failure.
const REQUIRE: &str = "KV_TEST_REQUIRE";

/// `cargo xtask test [--install]`: all that a change has to pass.
pub(crate) fn run(args: &[String]) -> Result {
    let install = match args {
        [] => false,
        [only] if only == "--install" => true,
        _ => return Err("`cargo xtask test` takes no argument but --install".into()),
    };
    let mut steps = Steps::new();
    if install {
        steps.step("packages", || packages::install_missing(packages::ALL));
    }
    // Only now: what was just installed decides what can be built.
    let scope = Scope::of_this_machine();
    steps.step("formatting", || {
        cargo_run(&["fmt", "--all", "--", "--check"])?;
        cargo_run(&["fmt", "--all", "--manifest-path", "guests/rust/Cargo.toml", "--", "--check"])
    });
    if scope == Scope::Everything {
        // Before all that waits for it: a quarter of an hour at the first time, and the same build for every step.
        steps.step("RocksDB's driver", || cargo_run(&["build", PROFILE, "--package", "kv-rocksdb"]));
    }
    steps.step("clippy", || {
        let mut clippy = cargo(&["clippy", PROFILE, "--all-targets"])?;
        run_command(clippy.args(scope.arguments()?).args(["--", "-D", "warnings"]))
    });
    steps.step("guests in scripts", guests::build_scripts);
    steps.step("tests", || tests(&["--lib", "--bins", "--tests", "--examples"], scope, install));
    steps.step("doctests", || tests(&["--doc"], scope, install));
    steps.step("documentation", || {
        let mut doc = cargo(&["doc", PROFILE, "--no-deps"])?;
        run_command(doc.args(scope.arguments()?).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.step("each crate and feature alone", || alone(&metadata()?, scope));
    steps.step("installation", || installation(&metadata()?));
    steps.step("tidy", tidy::run);
    let result = steps.finish();

    let left_out = packages::missing(packages::ALL);
    if !left_out.is_empty() {
        println!("\nleft out, because this machine lacks a package:");
        for package in left_out {
            println!("  {:<16}{}", package.name, package.brings);
        }
        println!("`cargo xtask test --install` brings them and tests everything");
    }
    result
}
fn cargo_run(args: &[&str]) -> Result {
    run_command(&mut cargo(args)?)
}

fn tests(targets: &[&str], scope: Scope, install: bool) -> Result {
    let mut command = cargo(&["test", PROFILE, "--no-fail-fast"])?;
    command.args(scope.arguments()?).args(targets);
    if install {
        command.env(REQUIRE, "all");
    }
    run_command(&mut command)
}

/// Builds every crate without the others, for a workspace build gives each the features that another asked for;
/// and those with features of their own with each choice of one, none and all.
fn alone(metadata: &Metadata, scope: Scope) -> Result {
    let mut failed = Vec::new();
    for package in scope.members(metadata) {
        for choice in choices(scope.features(package), scope.has_all_features(package)) {
            let mut args = vec!["clippy", PROFILE, "--package", &package.name];
            args.extend(choice.iter().map(String::as_str));
            args.extend(["--", "-D", "warnings"]);
            if let Err(error) = cargo_run(&args) {
                failed.push(error.to_string());
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ").into()) }
}

/// The arguments for each choice of features.
fn choices<'a>(features: impl Iterator<Item = &'a str>, has_all: bool) -> Vec<Vec<String>> {
    let mut choices = vec![Vec::new()];
    let features: Vec<&str> = features.collect();
    if !features.is_empty() {
        choices.push(vec!["--no-default-features".to_owned()]);
        if has_all {
            choices.push(vec!["--all-features".to_owned()]);
        }
    }
    for feature in features {
        choices.push(["--no-default-features", "--features", feature].map(str::to_owned).to_vec());
    }
    choices
}

/// Runs the README's own `cargo install` line, into a folder under `target`, and then the command that it brought.
fn installation(metadata: &Metadata) -> Result {
    let readme = fs::read_to_string(root()?.join("README.md"))?;
    let line = readme
        .lines()
        .find_map(|line| line.trim().strip_prefix("cargo install "))
        .ok_or("README.md has no line that begins with `cargo install`; it should tell how to install the command")?;
    let folder = metadata.target_directory.join("installed");
    let mut install = cargo(&["install"])?;
    install.args(line.split_whitespace()).arg("--force").arg("--root").arg(&folder);
    install.arg("--target-dir").arg(&metadata.target_directory);
    run_command(&mut install)?;
    run_command(Command::new(folder.join(Path::new("bin/kv"))).arg("--version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_tried_alone_all_and_none() {
        assert_eq!(choices([].into_iter(), true), [Vec::<String>::new()]);
        assert_eq!(choices(["redis"].into_iter(), false).len(), 3);
        let choices = choices(["redis", "sled"].into_iter(), true);
        let lines: Vec<String> = choices.iter().map(|choice| choice.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "",
                "--no-default-features",
                "--all-features",
                "--no-default-features --features redis",
                "--no-default-features --features sled"
            ]
        );
    }

    #[test]
    fn an_unknown_argument_is_refused_before_anything_runs() {
        assert!(run(&["--instal".to_owned()]).is_err());
    }
}
