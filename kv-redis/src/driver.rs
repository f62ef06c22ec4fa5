//! How the driver is set up: what a [`Config`] means to it. Its own defaults are for a program at a desk: answers within
//! 500 ms, 50 calls queued, Nagle's delays.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kv_core::{Effect, Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, PushInfo, RedisConnectionInfo,
    RedisResult, TlsCertificates,
};

use rustls::crypto::CryptoProvider;

use crate::config::{Config, Node, Secret, Tls};
use crate::error::unreachable;

/// Calls that may wait for the driver to write them, before further ones wait as futures.
const QUEUED_CALLS: usize = 1_024;

/// How long a connection may be silent before the system looks whether the other side is there, and how long what was
/// sent may stay unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Node(Node),
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// As whom to connect, and to which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Sentinel,
}

/// The certificates that may sign the server's.
pub(crate) fn root(tls: &Tls) -> Result<Option<Vec<u8>>> {
    tls.ca.as_ref().map(std::fs::read).transpose().map_err(|cause| {
        Error::new(ErrorKind::InvalidArgument, Effect::None, "the file that ca names can't be read").with_source(cause)
    })
}

/// What makes connections.
pub(crate) struct Dialer {
    config: Config,
    /// The certificates that may sign the server's, where the configuration names a file of them.
    root: Option<Vec<u8>>,
}

impl Dialer {
    /// Connects to nothing.
    pub(crate) fn new(config: Config) -> Result<Self> {
        let root = config.address.tls().map(root).transpose()?.flatten();
        if config.address.tls().is_some() && CryptoProvider::get_default().is_none() {
            // The driver leaves it to the program to bring cryptography, and panics if nobody does. Another thread may
            // have been faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(Self { config, root })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Makes a connection; what the server tells of its own accord goes to `hear`.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        role: Role,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.connect_timeout))
            .set_response_timeout(Some(self.config.timeout))
            .set_pipeline_buffer_size(QUEUED_CALLS)
            .set_push_sender(move |message| {
                hear(message);
                Ok::<(), ()>(())
            });
        let unreachable = |cause| unreachable(&target.to_string(), cause);
        let client = self.client(target, role).map_err(unreachable)?;
        client.get_multiplexed_async_connection_with_config(&settings).await.map_err(unreachable)
    }

    fn client(&self, target: &Target, role: Role) -> RedisResult<Client> {
        let tls = self.config.address.tls();
        let address = match (target, tls) {
            (Target::Node(Node { host, port }), None) => ConnectionAddr::Tcp(host.clone(), *port),
            (Target::Node(Node { host, port }), Some(_)) => {
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
            }
            (Target::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
        };
        let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        let (user, password) = match role {
            Role::Server => (&self.config.user, &self.config.password),
            Role::Sentinel => (&self.config.sentinel_user, &self.config.sentinel_password),
        };
        if role == Role::Server {
            settings = settings.set_db(i64::from(self.config.database));
        }
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        if let Some(password) = password {
            settings = settings.set_password(Secret::reveal(password));
        }
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(USER_TIMEOUT);
        let info = address.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp);
        match tls {
            Some(_) => {
                let root_cert = self.root.clone();
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
            None => Client::open(info),
        }
    }
}
