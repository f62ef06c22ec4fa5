//! How to reach a server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kv_core::{Durability, Effect, Error, ErrorKind, Result, StoreUrl};

const DEFAULT_PORT: u16 = 6379;

/// How long an answer may take. The driver's own default, 500 ms, is less than a server needs to write a snapshot.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The namespace unless the URL gives another.
const NAMESPACE: &str = "kv";

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP, and TLS over it where `tls` is given.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Whether the connection is encrypted, and how.
        tls: Option<Tls>,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// How TLS is done: the server's name must be that of its certificate.
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

/// How to reach a server, and a few choices. `Debug` shows neither user nor password (ERR-4).
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens.
    pub address: Address,
    /// The ACL user; the server's default user without.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The database's number.
    pub database: u32,
    /// What every key begins with, so that several stores share a server.
    pub namespace: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What the server is set to, so what an acknowledged write survives (DUR-1). Nobody checks it.
    pub durability: Durability,
}

impl Config {
    /// The defaults, for an address.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            user: None,
            password: None,
            database: 0,
            namespace: NAMESPACE.to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            timeout: REPLY_TIMEOUT,
            durability: Durability::Volatile,
        }
    }

    /// Reads `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://…` for TLS, or `unix:SOCKET`, with options.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a URL without a host or socket, for an unknown option and an
    /// option's value that it does not take; [`AccessDenied`](ErrorKind::AccessDenied) and others for a password that can't
    /// be read from where the URL says.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        let mut options = url.options()?;
        let scheme = url.scheme();
        let ca = if scheme == "rediss" { options.take("ca").map(PathBuf::from) } else { None };
        let address = match (scheme, url.hosts()) {
            ("unix", None) if !url.path().is_empty() => Address::Unix(url.path().into()),
            ("unix", _) => return Err(Error::invalid("the unix URL names no socket; write unix:/run/redis.sock")),
            (_, Some(hosts)) if !hosts.is_empty() => {
                let (host, port) = host_and_port(hosts)?;
                Address::Tcp { host, port, tls: (scheme == "rediss").then_some(Tls { ca }) }
            }
            _ => {
                return Err(Error::invalid(format!("the {scheme} URL names no host; write {scheme}://localhost:6379")));
            }
        };
        let mut config = Self::new(address);
        config.user = url.user().map(str::to_owned);
        let file = options.take("password_file");
        let variable = options.take("password_env");
        config.password = password(url.password(), file, variable)?;
        if config.user.is_some() && config.password.is_none() {
            return Err(Error::invalid(format!(
                "the {scheme} URL gives a user but no password; add one, or password_file="
            )));
        }
        config.database = match (&config.address, url.path()) {
            (Address::Unix(_), _) => options.take_number("database", 0, u32::MAX)?.unwrap_or(0),
            (_, "") => 0,
            (_, path) => path.parse().ok().ok_or_else(|| {
                Error::invalid(format!(
                    "the path of the {scheme} URL is the number of a database, as in {scheme}://host/0"
                ))
            })?,
        };
        let durability =
            [("volatile", Durability::Volatile), ("process", Durability::Process), ("power", Durability::Power)];
        config.durability = options.take_word("durability", &durability)?.unwrap_or(config.durability);
        config.namespace = options.take("namespace").unwrap_or(config.namespace);
        let millis = |found: Option<u64>, otherwise| found.map_or(otherwise, Duration::from_millis);
        config.timeout = millis(options.take_number("timeout_ms", 1, 3_600_000)?, config.timeout);
        config.connect_timeout =
            millis(options.take_number("connect_timeout_ms", 1, 3_600_000)?, config.connect_timeout);
        options.finish()?;
        Ok(config)
    }

    /// The address for people, without secrets.
    pub(crate) fn place(&self) -> String {
        match &self.address {
            Address::Tcp { host, port, .. } => format!("{host}:{port}"),
            Address::Unix(path) => path.display().to_string(),
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
            .finish_non_exhaustive()
    }
}

fn host_and_port(hosts: &str) -> Result<(String, u16)> {
    let bad = || Error::invalid("the URL's host is written as host, host:port or [IPv6 address]:port");
    let (host, port) = match hosts.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(bad)?;
            (host, port.strip_prefix(':').or((port.is_empty()).then_some("")).ok_or_else(bad)?)
        }
        None => hosts.split_once(':').unwrap_or((hosts, "")),
    };
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().ok().ok_or_else(bad)? };
    if host.is_empty() || host.contains(',') {
        return Err(bad());
    }
    Ok((host.to_owned(), port))
}

/// The password from the one place that gives it.
fn password(in_url: Option<&str>, file: Option<String>, variable: Option<String>) -> Result<Option<Secret>> {
    match (in_url, file, variable) {
        (None, None, None) => Ok(None),
        (Some(password), None, None) => Ok(Some(Secret::new(password))),
        (None, Some(file), None) => match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n'])))),
            Err(cause) => {
                let kind = match cause.kind() {
                    std::io::ErrorKind::PermissionDenied => ErrorKind::AccessDenied,
                    _ => ErrorKind::InvalidArgument,
                };
                Err(Error::new(kind, Effect::None, "the file that password_file names can't be read")
                    .with_source(cause))
            }
        },
        (None, None, Some(variable)) => match std::env::var(&variable) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(_) => Err(Error::invalid("the environment has no variable of the name that password_env gives")),
        },
        _ => Err(Error::invalid("give the password once: in the URL, by password_file or by password_env")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Result<Config> {
        Config::from_url(&url.parse()?)
    }

    #[test]
    fn a_url_gives_each_option() {
        let tcp = |host: &str, port, tls| Address::Tcp { host: host.to_owned(), port, tls };
        assert_eq!(config("redis://h").unwrap(), Config::new(tcp("h", 6379, None)));
        assert_eq!(config("redis://[::1]:7/").unwrap().address, tcp("::1", 7, None));
        let ca = Tls { ca: Some("/ca.pem".into()) };
        assert_eq!(config("rediss://h:1?ca=/ca.pem").unwrap().address, tcp("h", 1, Some(ca)));
        let unix = config("unix:/run/r.sock?database=3&namespace=a:b").unwrap();
        assert_eq!((unix.address, unix.database), (Address::Unix("/run/r.sock".into()), 3));
        assert_eq!(unix.namespace, "a:b");
        let all = config("redis://me:p%40ss@h/2?timeout_ms=5&connect_timeout_ms=6&durability=power").unwrap();
        assert_eq!((all.user.as_deref(), all.password.as_ref().map(Secret::reveal)), (Some("me"), Some("p@ss")));
        assert_eq!((all.database, all.durability), (2, Durability::Power));
        assert_eq!((all.timeout.as_millis(), all.connect_timeout.as_millis()), (5, 6));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_shown() {
        for (url, text) in [
            ("redis:", "names no host"),
            ("redis://", "names no host"),
            ("redis://h:port", "host:port"),
            ("redis://a,b", "host:port"),
            ("redis://h/zero", "number of a database"),
            ("unix:", "names no socket"),
            ("redis://h?ca=x", "unknown option"),
            ("redis://h?timeout=1", "did you mean timeout_ms?"),
            ("redis://alice@h", "no password"),
            ("redis://:geheim@h?password_env=X", "give the password once"),
            ("redis://h?password_env=KV_NO_SUCH_VARIABLE", "no variable"),
            ("redis://h?password_file=/no/such/file", "can't be read"),
        ] {
            let error = config(url).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
            assert!(!format!("{error:?}").contains("geheim"));
        }
        let shown = format!("{:?}", config("redis://alice:geheim@h").unwrap());
        assert!(!shown.contains("geheim") && !shown.contains("alice"));
    }
}
