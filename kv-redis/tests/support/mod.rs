//! Servers that tests start and end themselves.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test file uses some of it")]
#![allow(clippy::expect_used, reason = "tests may fail loudly")]

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use kv_core::Store;
use kv_redis::{Address, Config, Provider};
use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;

/// How long anything here may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server in a temporary folder, on a free port; it ends with this.
pub(crate) struct Server {
    program: PathBuf,
    options: Vec<String>,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts a server and waits until it answers; `options` are added to its command line.
    pub(crate) fn start(program: &std::path::Path, options: &[&str]) -> io::Result<Self> {
        let mut last = io::Error::other("no port is free");
        // Between the look and the start somebody else may take the port.
        for _ in 0..10 {
            let mut server = Self {
                program: program.to_owned(),
                options: options.iter().map(|option| (*option).to_owned()).collect(),
                folder: tempfile::tempdir()?,
                port: free_port()?,
                child: None,
            };
            match server.resume() {
                Ok(()) => return Ok(server),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Starts the server again, on the same port and with the same data, and waits until it answers.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
        command.arg("--dir").arg(self.folder.path()).arg("--unixsocket").arg(self.socket());
        command.args(&self.options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = self.child.insert(command.spawn()?);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}")));
            }
            if ping(self.port).is_ok() {
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

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn address(&self) -> Address {
        Address::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port: self.port, tls: None }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Any answer will do, a refusal for want of a password too; but not that it is still loading.
fn ping(port: u16) -> io::Result<()> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
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

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The program of a server, where it is installed.
pub(crate) fn redis_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|program| program.is_file())
}

/// A test that can't run because a package is missing: ignored, or failed where everything has to be there.
pub(crate) fn lacking(name: &str, package: &'static str) -> Trial {
    if std::env::var_os("KV_TEST_REQUIRE").is_some_and(|require| require == "all") {
        return Trial::test(name, move || {
            Err(format!("{package} is not installed; `cargo xtask test --install` brings it").into())
        });
    }
    Trial::test(format!("{name} ({package} is not installed)"), || Ok(())).with_ignored_flag(true)
}

pub(crate) fn run_alone(trial: Trial) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

/// Fails the test unless both are equal.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr $(, $($what:tt)+)?) => {
        match (&$found, &$expected) {
            (found, expected) if *found == *expected => {}
            (found, expected) => {
                #[allow(unused_mut, reason = "there may be nothing to add")]
                let mut text = format!("expected: {expected:?}; found: {found:?}");
                $(text.push_str(&format!("; {}", format_args!($($what)+)));)?
                return Err(libtest_mimic::Failed::from(text));
            }
        }
    };
}

pub(crate) use ensure_eq;

impl Server {
    /// A client beside ours.
    pub(crate) fn client(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(("127.0.0.1", self.port))?.get_connection()
    }
}

/// A store on the server.
pub(crate) fn store(server: &Server, namespace: &str) -> Store {
    store_with(server, namespace, |_| {})
}

pub(crate) fn store_with(server: &Server, namespace: &str, change: impl FnOnce(&mut Config)) -> Store {
    let mut config = Config::new(server.address());
    config.namespace = namespace.to_owned();
    change(&mut config);
    Store::new(Provider::new(config).expect("the configuration is good"))
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// Sends the server's process a signal.
pub(crate) fn signal(server: &Server, name: &str) -> io::Result<()> {
    let pid = server.pid().ok_or_else(|| io::Error::other("the server does not run"))?;
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill ended with {status}"))) }
}
