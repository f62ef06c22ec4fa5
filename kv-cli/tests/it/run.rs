//! Runs the binary and looks at what it did.
#![allow(dead_code, reason = "several test programs use this, each some of it")]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A temporary folder, with a store in it once something was written.
pub(crate) struct Kv {
    folder: TempDir,
    url: String,
}

/// What a run of the binary left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Kv {
    /// A folder whose store is not there yet.
    pub(crate) fn new() -> Self {
        Self::with_options("")
    }

    /// The same, with options behind the URL's question mark.
    pub(crate) fn with_options(options: &str) -> Self {
        Self::on("sled", options)
    }

    /// The same, on another engine that keeps its store in a folder.
    pub(crate) fn on(engine: &str, options: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("{engine}:{}{options}", folder.path().join("store").display());
        Self { folder, url }
    }

    /// A store elsewhere, and a folder for files.
    pub(crate) fn at(url: impl Into<String>) -> Self {
        Self { folder: TempDir::new().unwrap(), url: url.into() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A path beside the store.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file beside the store.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command, on this store, in this folder.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = binary();
        command.env("KV_STORE", &self.url).current_dir(self.folder.path()).args(args);
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Ran {
        finish(&mut self.command(args))
    }

    /// Runs the command and expects exit code 0.
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, args: &[A]) -> Ran {
        self.run(args).code(0)
    }

    pub(crate) fn with_input<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let ran = Ran::from(child.wait_with_output().unwrap());
        // A command that fails early closes its end.
        let _ = writer.join().unwrap();
        ran
    }

    /// Starts the command and gives the lines of its standard error.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, args: &[A]) -> (Child, Lines<BufReader<ChildStderr>>) {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        (child, lines)
    }
}

/// The binary, without a store.
pub(crate) fn binary() -> Command {
    binary_at(Path::new(env!("CARGO_BIN_EXE_kv")))
}

pub(crate) fn binary_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_remove("KV_STORE").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

pub(crate) fn finish(command: &mut Command) -> Ran {
    command.output().unwrap().into()
}

/// The beginning of a long output is enough.
impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let out: String = String::from_utf8_lossy(&self.out).chars().take(2_000).collect();
        write!(f, "exit code {}, standard output:\n{out}\nstandard error:\n{}", self.code, self.err)
    }
}

impl From<std::process::Output> for Ran {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().expect("ended by itself"),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Standard error must be one sentence with this in it.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "expected {text:?} in {:?}", self.err);
        assert!(self.err.starts_with("kv: ") && self.err.trim_end().lines().count() == 1, "{:?}", self.err);
        self
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|cause| panic!("{cause}: {self:?}"))
    }

    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
