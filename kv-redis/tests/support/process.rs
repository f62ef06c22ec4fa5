//! The processes of servers, in temporary folders and on free ports. Knows nothing of kv-redis: kv-cli's tests use it too.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything here may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server's process; it ends with this.
pub(crate) struct Process {
    program: PathBuf,
    options: Vec<String>,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Process {
    /// Starts a server and waits until it answers. Its command line gets the options that the closure gives, which override
    /// those that every server has.
    pub(crate) fn start(program: &Path, options: impl Fn(&Self) -> io::Result<Vec<String>>) -> io::Result<Self> {
        retried(|| {
            let mut process = Self::spawn(program, &options)?;
            process.wait()?;
            Ok(process)
        })
    }

    /// Starts a server and does not wait: it may end at once, because somebody else took its port.
    pub(crate) fn spawn(program: &Path, options: impl Fn(&Self) -> io::Result<Vec<String>>) -> io::Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut process = Self { program: program.to_owned(), options: Vec::new(), folder, port, child: None };
        // Servers that are told to keep what they were told at run time write it there.
        std::fs::write(process.file(), "")?;
        process.options = options(&process)?;
        process.launch()?;
        Ok(process)
    }

    /// Starts the server again, on the same port and with the same data, and waits until it answers.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.launch()?;
        self.wait()
    }

    fn launch(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command.arg(self.file()).args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--daemonize", "no", "--dir"]).arg(self.folder()).arg("--unixsocket").arg(self.socket());
        // Replicas get their copies through a file: else a primary waits 5 s for others that might want the same copy, and
        // sends what is new only up to a second after it says that it does.
        command.args(["--repl-diskless-sync", "no"]);
        command.args(&self.options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let failed = |cause: io::Error| io::Error::other(format!("starting {}: {cause}", self.program.display()));
        self.child = Some(command.spawn().map_err(failed)?);
        Ok(())
    }

    /// Waits until the server answers.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let socket = self.socket();
        let child = self.child.as_mut().ok_or_else(|| io::Error::other("the server does not run"))?;
        while begun.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}")));
            }
            if ping(&socket).is_ok() {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        Err(io::Error::other("the server does not answer"))
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends the process a signal: `STOP` freezes it, `CONT` has it go on.
    pub(crate) fn signal(&self, name: &str) -> io::Result<()> {
        let child = self.child.as_ref().ok_or_else(|| io::Error::other("the server does not run"))?;
        let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill ended with {status}"))) }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The socket in the file system where every server listens beside its port.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join("socket")
    }

    fn file(&self) -> PathBuf {
        self.folder().join("server.conf")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Any answer will do, a refusal for want of a password too; but not that it is still loading. Over the socket, because
/// the port may want TLS.
fn ping(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer)?;
    let answer = answer.get(..read).unwrap_or_default();
    if answer.is_empty() || answer.starts_with(b"-LOADING") {
        return Err(io::Error::other("not ready"));
    }
    Ok(())
}

/// Tries again what needs free ports: between the look and the start somebody else may take one.
pub(crate) fn retried<T>(start: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::other("no port is free");
    for _ in 0..10 {
        match start() {
            Ok(started) => return Ok(started),
            Err(error) => last = error,
        }
    }
    Err(last)
}

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until it is so, and tells what it was that did not come.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        let found = is_so();
        if matches!(found, Ok(true)) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            let why = found.err().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(io::Error::other(format!("after {PATIENCE:?} not yet: {what}{why}")));
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The program of a server, where it is installed.
pub(crate) fn redis_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|program| program.is_file())
}
