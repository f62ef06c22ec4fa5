//! The README's commands, run in an empty folder as a reader types them.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly, their helpers too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

const KV: &str = env!("CARGO_BIN_EXE_kv");

/// Who runs each line of the README's `sh` blocks.
#[derive(Debug, PartialEq, Eq)]
enum Runner {
    /// This test, as this line of the `kv` command.
    Here(String),
    /// `cargo xtask test` runs it, or is it.
    Xtask,
}

fn root() -> PathBuf {
    Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap()).parent().unwrap().to_owned()
}

fn runner(line: &str) -> Option<Runner> {
    match line {
        "cargo xtask test --install" | "cargo install --locked --path kv-cli" => Some(Runner::Xtask),
        _ if line.starts_with("kv ") => Some(Runner::Here(line.to_owned())),
        _ => line.strip_prefix("cargo run --release -- ").map(|rest| Runner::Here(format!("kv {rest}"))),
    }
}

/// The lines of a text's `sh` blocks.
fn commands(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().unwrap().lines()).collect()
}

/// Runs a line in a shell that finds the binary of this build.
fn run(line: &str, folder: &Path) -> Output {
    let mut path = vec![Path::new(KV).parent().unwrap().to_owned()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", env::join_paths(path).unwrap())
        .env_remove("KV_STORE")
        .output()
        .unwrap()
}

#[test]
fn every_command_of_the_readme_runs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::copy(root().join("docs/planets.csv"), folder.path().join("docs/planets.csv")).unwrap();
    fs::create_dir_all(folder.path().join("guests/built")).unwrap();
    let guest = "guests/built/example-2023.wasm";
    fs::copy(root().join(guest), folder.path().join(guest)).unwrap();

    let mut printed = Vec::new();
    for line in commands(&readme) {
        match runner(line).unwrap_or_else(|| panic!("no test runs the README's line `{line}`")) {
            Runner::Xtask => {}
            Runner::Here(line) if line.contains(guest) && !cfg!(feature = "wasi") => {}
            Runner::Here(line) => {
                let output = run(&line, folder.path());
                let told = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "`{line}` ended with {}: {told}", output.status);
                printed.push((line, String::from_utf8(output.stdout).unwrap()));
            }
        }
    }

    let lines: Vec<&str> = printed.iter().map(|(line, _)| line.as_str()).collect();
    let with_guest = if cfg!(feature = "wasi") { 3 } else { 0 };
    assert_eq!(lines.len(), 6 + with_guest, "the tour, five lines and those with a guest: {lines:?}");
    if cfg!(feature = "wasi") {
        assert!(
            printed.iter().any(|(_, text)| text == "some([119, 111, 114, 108, 100])  # \"world\"\n"),
            "{printed:?}"
        );
    }
    let of = |start: &str| &printed.iter().find(|(line, _)| line.starts_with(start)).unwrap().1;
    assert!(of("kv tour").lines().count() > 20, "the tour shows every call");
    let mut planets: Vec<&str> = of("kv keys").lines().collect();
    planets.sort_unstable();
    assert_eq!(planets, ["Mars", "Mercury"]);
    assert!(of("kv get").contains("3389.5"), "{}", of("kv get"));
    let exported = fs::read_to_string(folder.path().join("planets.ndjson")).unwrap();
    assert_eq!(exported.lines().count(), 8);
    assert!(folder.path().join("kv-data").is_dir(), "the store is where the README says");
}

#[test]
fn the_readme_sets_up_with_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let set_up = readme.split("\n## ").find(|part| part.starts_with("Set up")).unwrap();
    assert_eq!(commands(set_up), ["cargo run --release -- tour", "cargo xtask test --install"]);
}

#[test]
fn a_line_that_nothing_runs_is_noticed() {
    assert_eq!(runner("curl example.org"), None);
    assert_eq!(runner("kv get a b"), Some(Runner::Here("kv get a b".into())));
    assert_eq!(commands("a\n```sh\nx\ny\n```\nb\n```rust\nz\n```\n```sh\nw\n```"), ["x", "y", "w"]);
}
