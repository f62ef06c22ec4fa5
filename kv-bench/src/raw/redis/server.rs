use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use tempfile::TempDir;

use crate::client::Result;
use crate::engines::folder;

const PROGRAM: &str = "redis-server";

const LACKING: &str = "redis-server is not on the PATH";

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a server is started: between the look for a free port and the start somebody else may take it.
const ATTEMPTS: usize = 10;

/// A server that keeps nothing on disk, on a free port of this machine alone. It ends with this.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    /// Why this machine can't run one; none where it can.
    pub(crate) fn lacking() -> Option<&'static str> {
        if program().is_some() { None } else { Some(LACKING) }
    }

    /// Starts a server in a new folder under `dir`, and waits until it answers.
    ///
    /// # Errors
    ///
    /// What the system has, and a sentence if the server does not answer.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let program = program().ok_or(LACKING)?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let folder = folder(dir)?;
            let mut server = Self { child: spawn(&program, folder.path(), port)?, port, _folder: folder };
            match server.answers() {
                Ok(()) => return Ok(server),
                Err(why) => last = Some(why),
            }
        }
        Err(last.unwrap_or_else(|| "no port is free".into()))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What makes connections, set up as our provider sets its own up.
    ///
    /// # Errors
    ///
    /// None in practice; the driver's own.
    pub(crate) fn client(&self) -> Result<Client> {
        let address = ConnectionAddr::Tcp(Ipv4Addr::LOCALHOST.to_string(), self.port);
        let settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        let info = address.into_connection_info()?.set_redis_settings(settings);
        Ok(Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?)
    }

    fn answers(&mut self) -> Result {
        let client = self.client()?;
        // Somebody else's server may have the port.
        let own = format!("process_id:{}\r\n", self.child.id());
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{PROGRAM} ended with {status}").into());
            }
            let told = client
                .get_connection()
                .and_then(|mut connection| redis::cmd("INFO").arg("server").query::<String>(&mut connection));
            if told.is_ok_and(|told| told.contains(&own)) {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        Err(format!("{PROGRAM} does not answer").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, folder: &Path, port: u16) -> Result<Child> {
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    command.args(["--daemonize", "no"]).arg("--dir").arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?)
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|program| program.is_file())
}
