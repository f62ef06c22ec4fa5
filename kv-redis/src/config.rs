//! How to reach a server, or several.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kv_core::{Durability, Result, StoreUrl};

use crate::url;

/// How long an answer may take. The driver's own default, 500 ms, is less than a server needs to write a snapshot.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The namespace unless the URL gives another.
const NAMESPACE: &str = "kv";

/// The name or address of a machine, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where the server listens, or how the one to ask is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// One server over TCP, and TLS over it where `tls` is given.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Whether the connection is encrypted, and how.
        tls: Option<Tls>,
    },
    /// One server's socket in the file system.
    Unix(PathBuf),
    /// The primary that sentinels name, whichever it is at the time.
    Sentinel {
        /// The sentinels, of which one that answers is enough.
        sentinels: Vec<Node>,
        /// The name under which they watch the primary.
        primary: String,
        /// Whether connections are encrypted, those to the sentinels too, and how.
        tls: Option<Tls>,
    },
    /// A cluster.
    Cluster {
        /// Some of its nodes, of which one that answers is enough.
        nodes: Vec<Node>,
        /// Whether connections are encrypted, and how.
        tls: Option<Tls>,
    },
}

impl Address {
    /// Whether this is a cluster: then a bucket is spread over its nodes.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// Whether the server may be another one later.
    pub(crate) fn may_move(&self) -> bool {
        matches!(self, Self::Sentinel { .. } | Self::Cluster { .. })
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Tcp { tls, .. } | Self::Sentinel { tls, .. } | Self::Cluster { tls, .. } => tls.as_ref(),
            Self::Unix(_) => None,
        }
    }
}

/// How TLS is done: a server's name must be that of its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A file of the certificates (PEM) that may sign the server's, instead of the system's.
    pub ca: Option<PathBuf>,
}

/// A password. No text shows it (ERR-4).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Who answers reads of single entries and `get_many`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// The primary.
    #[default]
    Primary,
    /// A replica, where there is one: a read may give what was there a moment ago, also to who wrote since.
    Replica,
}

/// How to reach a server, and a few choices. `Debug` shows neither user nor password (ERR-4).
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens.
    pub address: Address,
    /// The ACL user; the server's default user without.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The ACL user at the sentinels.
    pub sentinel_user: Option<String>,
    /// The password at the sentinels; none without.
    pub sentinel_password: Option<Secret>,
    /// The database's number; a cluster has 0 only.
    pub database: u32,
    /// What every key begins with, so that several stores share a server.
    pub namespace: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What the server is set to, so what an acknowledged write survives (DUR-1). Nobody checks it.
    pub durability: Durability,
    /// Who answers reads.
    pub reads: Reads,
    /// Replicas that must have a write before it is acknowledged.
    pub wait_replicas: u32,
}

impl Config {
    /// The defaults, for an address.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            user: None,
            password: None,
            sentinel_user: None,
            sentinel_password: None,
            database: 0,
            namespace: NAMESPACE.to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            timeout: REPLY_TIMEOUT,
            durability: Durability::Volatile,
            reads: Reads::Primary,
            wait_replicas: 0,
        }
    }

    /// Reads `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `unix:SOCKET`, `redis+sentinel://HOST:PORT,…/NAME` or
    /// `redis+cluster://HOST:PORT,…`, with options; `rediss` instead of `redis` is TLS.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](kv_core::ErrorKind::InvalidArgument) for a URL without a host or socket, for an unknown option
    /// and an option's value that it does not take; [`AccessDenied`](kv_core::ErrorKind::AccessDenied) and others for a
    /// password that can't be read from where the URL says.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        url::parse(url)
    }

    /// The address for people, without secrets.
    pub(crate) fn place(&self) -> String {
        let list = |nodes: &[Node]| nodes.iter().map(Node::to_string).collect::<Vec<_>>().join(", ");
        match &self.address {
            Address::Tcp { host, port, .. } => Node { host: host.clone(), port: *port }.to_string(),
            Address::Unix(path) => path.display().to_string(),
            Address::Sentinel { sentinels, primary, .. } => format!("{primary} by the sentinels {}", list(sentinels)),
            Address::Cluster { nodes, .. } => format!("the cluster of {}", list(nodes)),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address)
            .field("database", &self.database)
            .field("namespace", &self.namespace)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("durability", &self.durability)
            .field("reads", &self.reads)
            .field("wait_replicas", &self.wait_replicas)
            .finish_non_exhaustive()
    }
}
