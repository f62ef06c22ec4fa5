//! Making connections: what a [`Config`] means to a socket, TLS, and the first words to a server.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kv_core::{Effect, Error, ErrorKind, Result};
use redis::{Cmd, PushInfo, Value};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::config::{Config, Node, Tls};
use crate::error::{turned_away, unreachable};
use crate::wire::{Fault, Why, Wire};

/// How long a connection may be silent before the system looks whether the other side is there, and how long what was
/// sent may stay unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// What makes connections.
pub(crate) struct Dialer {
    config: Config,
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// Reads the certificates. Connects to nothing.
    pub(crate) fn new(config: Config) -> Result<Self> {
        let tls = config.address.tls().map(connector).transpose()?;
        Ok(Self { config, tls })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Connects, signs in and chooses the database. What the server tells of its own accord goes to `hear`.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        role: Role,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Wire> {
        let place = target.to_string();
        let dialing = async {
            let wire = self.connect(target, hear).await.map_err(|cause| unreachable(&place, cause))?;
            self.greet(&wire, role, &place).await?;
            Ok(wire)
        };
        let late = |_| Err(unreachable(&place, io::ErrorKind::TimedOut.into()));
        tokio::time::timeout(self.config.connect_timeout, dialing).await.unwrap_or_else(late)
    }

    async fn connect(&self, target: &Target, hear: impl Fn(PushInfo) + Send + Sync + 'static) -> io::Result<Wire> {
        let timeout = self.config.timeout;
        let Node { host, port } = match target {
            Target::Unix(path) => return Ok(Wire::start(UnixStream::connect(path).await?, timeout, hear)),
            Target::Node(node) => node,
        };
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        set_up(&stream)?;
        let Some(tls) = &self.tls else { return Ok(Wire::start(stream, timeout, hear)) };
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        Ok(Wire::start(tls.connect(name, stream).await?, timeout, hear))
    }

    /// The first words.
    async fn greet(&self, wire: &Wire, role: Role, place: &str) -> Result<()> {
        let config = &self.config;
        let (user, password, database) = match role {
            Role::Server => (&config.user, &config.password, config.database),
            Role::Sentinel => (&config.sentinel_user, &config.sentinel_password, 0),
        };
        let mut hello = redis::cmd("HELLO");
        hello.arg(3);
        if let Some(password) = password {
            hello.arg("AUTH").arg(user.as_deref().unwrap_or("default")).arg(password.reveal());
        }
        // By itself: a server that turns us away says so once.
        let facts = ask(wire, place, &hello).await?;
        if role == Role::Server && !config.address.is_cluster() && is_cluster(&facts) {
            // It would answer for its own slots, and have nothing else.
            let text =
                format!("connecting to {place}: it is part of a cluster; write redis+cluster:// with its address");
            return Err(Error::new(ErrorKind::InvalidArgument, Effect::None, text));
        }
        if database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(database);
            ask(wire, place, &select).await?;
        }
        Ok(())
    }
}

/// Whether a server says of itself that it is part of a cluster.
fn is_cluster(facts: &Value) -> bool {
    let Value::Map(facts) = facts else { return false };
    let is = |value: &Value, word: &str| matches!(value, Value::BulkString(text) if text == word.as_bytes());
    facts.iter().any(|(name, value)| is(name, "mode") && is(value, "cluster"))
}

async fn ask(wire: &Wire, place: &str, command: &Cmd) -> Result<Value> {
    let answer = wire.command(command).await.map_err(|Fault { why, .. }| match why {
        Why::Timeout => unreachable(place, io::ErrorKind::TimedOut.into()),
        Why::Lost(kind) => unreachable(place, kind.into()),
        Why::Garbage => turned_away(place, None),
    })?;
    match answer.value {
        facts @ (Value::Map(_) | Value::Okay) => Ok(facts),
        Value::ServerError(error) => Err(turned_away(place, Some(&error))),
        _ => Err(turned_away(place, None)),
    }
}

fn set_up(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// What stands in a file of certificates.
pub(crate) fn authorities(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| {
        Error::new(ErrorKind::InvalidArgument, Effect::None, "the file that ca names can't be read").with_source(cause)
    })
}

/// What does TLS.
fn connector(tls: &Tls) -> Result<TlsConnector> {
    let invalid = |text, cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::InvalidArgument, Effect::None, text).with_source(cause)
    };
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(path) => {
            let text = authorities(path)?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                const ODD: &str = "the file that ca names has something else than certificates (PEM)";
                let certificate = certificate.map_err(|cause| invalid(ODD, cause.into()))?;
                roots.add(certificate).map_err(|cause| invalid(ODD, cause.into()))?;
            }
        }
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    if roots.is_empty() {
        let text = "there are no certificates that may sign the server's; name a file of them with ca";
        return Err(Error::new(ErrorKind::InvalidArgument, Effect::None, text));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|cause| invalid("setting TLS up failed", cause.into()))?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}
