//! Servers that tests start and end themselves.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test file uses some of it")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

pub(crate) mod cluster;
pub(crate) mod control;
pub(crate) mod process;
pub(crate) mod sentinel;
pub(crate) mod smoke;
pub(crate) mod tls;
pub(crate) mod valkey;

use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::task::Poll;

use kv_core::Store;
use kv_redis::{Address, Config, Provider};
use libtest_mimic::{Arguments, Failed, Trial};
pub(crate) use process::{PATIENCE, redis_server};

use process::Process;

/// A server of its own for a test; it ends with this.
pub(crate) struct Server(Process);

impl Server {
    /// Starts a server and waits until it answers; `options` are added to its command line.
    pub(crate) fn start(program: &Path, options: &[&str]) -> io::Result<Self> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Process::start(program, |_| Ok(options.clone())).map(Self)
    }

    /// Starts the server again, on the same port and with the same data, and waits until it answers.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.0.resume()
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.socket()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.folder()
    }

    pub(crate) fn address(&self) -> Address {
        Address::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port: self.port(), tls: None }
    }

    /// Sends the server's process a signal.
    pub(crate) fn signal(&self, name: &str) -> io::Result<()> {
        self.0.signal(name)
    }

    /// A client beside ours.
    pub(crate) fn client(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(("127.0.0.1", self.port()))?.get_connection()
    }
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

/// A store at a URL of its own.
pub(crate) fn open(url: &str) -> kv_core::Result<Store> {
    Ok(Store::new(Provider::new(Config::from_url(&url.parse()?)?)?))
}

/// Runs it on this thread, where nothing else runs while it blocks.
pub(crate) fn on_one_thread(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test)
}

/// Polls once, which hands the call to the connection.
pub(crate) async fn begin<T>(mut call: Pin<&mut impl Future<Output = T>>) -> Result<(), Failed> {
    let is_pending = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
    ensure_eq!(is_pending, true);
    Ok(())
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}
