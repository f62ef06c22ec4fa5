//! What a store URL says about servers.

use std::path::PathBuf;
use std::time::Duration;

use kv_core::{Durability, Effect, Error, ErrorKind, Result, StoreUrl};

use crate::config::{Address, Config, Node, Reads, Secret, Tls};
use crate::driver::authorities;

/// The schemes of URLs that this provider takes.
pub const SCHEMES: [&str; 7] =
    ["redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];

const DEFAULT_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// The configuration that a URL gives; see [`Config::from_url`].
pub(crate) fn parse(url: &StoreUrl) -> Result<Config> {
    let mut options = url.options()?;
    let scheme = url.scheme();
    let (is_encrypted, kind) = match scheme {
        "unix" => (false, "unix"),
        _ => (scheme.starts_with("rediss"), scheme.split_once('+').map_or("server", |(_, kind)| kind)),
    };
    let tls = is_encrypted.then(|| Tls { ca: options.take("ca").map(PathBuf::from) });
    let (hosts, path) = (url.hosts().unwrap_or_default(), url.path());
    if kind == "unix" {
        if url.hosts().is_some() || path.is_empty() {
            return Err(Error::invalid("the unix URL names no socket; write unix:/run/redis.sock"));
        }
    } else if hosts.is_empty() {
        return Err(Error::invalid(format!("the {scheme} URL names no host; write {scheme}://localhost:6379")));
    }
    let address = match kind {
        "unix" => Address::Unix(path.into()),
        "sentinel" if path.is_empty() => {
            let text = format!("the path of the {scheme} URL is the primary's name, as in {scheme}://host/main");
            return Err(Error::invalid(text));
        }
        "sentinel" => Address::Sentinel { sentinels: nodes(hosts, SENTINEL_PORT)?, primary: path.to_owned(), tls },
        "cluster" => Address::Cluster { nodes: nodes(hosts, DEFAULT_PORT)?, tls },
        _ => match <[Node; 1]>::try_from(nodes(hosts, DEFAULT_PORT)?) {
            Ok([Node { host, port }]) => Address::Tcp { host, port, tls },
            Err(_) => {
                let text = format!(
                    "the {scheme} URL names several hosts; write {scheme}+cluster:// for a cluster, {scheme}+sentinel:// \
                     for sentinels"
                );
                return Err(Error::invalid(text));
            }
        },
    };
    // A mistake in the URL shows here already.
    address.tls().and_then(|tls| tls.ca.as_deref()).map(authorities).transpose()?;
    let mut config = Config::new(address);
    config.user = url.user().map(str::to_owned);
    let (file, variable) = (options.take("password_file"), options.take("password_env"));
    config.password = password(url.password(), file, variable)?;
    if config.user.is_some() && config.password.is_none() {
        let text = format!("the {scheme} URL gives a user but no password; add one, or password_file=");
        return Err(Error::invalid(text));
    }
    config.database = match kind {
        "unix" | "sentinel" => options.take_number("database", 0, u32::MAX)?.unwrap_or(0),
        "cluster" if !matches!(path, "" | "0") => {
            return Err(Error::invalid(format!("a cluster has one database; leave the path of the {scheme} URL away")));
        }
        _ if path.is_empty() => 0,
        _ => path.parse().ok().ok_or_else(|| {
            let text = format!("the path of the {scheme} URL is the number of a database, as in {scheme}://host/0");
            Error::invalid(text)
        })?,
    };
    if kind == "sentinel" {
        config.sentinel_user = options.take("sentinel_user");
        let (file, variable) = (options.take("sentinel_password_file"), options.take("sentinel_password_env"));
        config.sentinel_password = password(None, file, variable)?;
    }
    if matches!(kind, "sentinel" | "cluster") {
        let reads = [("primary", Reads::Primary), ("replica", Reads::Replica)];
        config.reads = options.take_word("reads", &reads)?.unwrap_or_default();
    }
    config.wait_replicas = options.take_number("wait_replicas", 0, 100)?.unwrap_or(0);
    let classes = [("volatile", Durability::Volatile), ("process", Durability::Process), ("power", Durability::Power)];
    config.durability = options.take_word("durability", &classes)?.unwrap_or(config.durability);
    config.namespace = options.take("namespace").unwrap_or(config.namespace);
    let millis = |found: Option<u64>, otherwise| found.map_or(otherwise, Duration::from_millis);
    config.timeout = millis(options.take_number("timeout_ms", 1, 3_600_000)?, config.timeout);
    config.connect_timeout = millis(options.take_number("connect_timeout_ms", 1, 3_600_000)?, config.connect_timeout);
    options.finish()?;
    Ok(config)
}

fn nodes(hosts: &str, port: u16) -> Result<Vec<Node>> {
    hosts.split(',').map(|host| node(host, port)).collect()
}

fn node(text: &str, otherwise: u16) -> Result<Node> {
    let bad = || Error::invalid("a host of the URL is written as host, host:port or [IPv6 address]:port");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(bad)?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or_else(bad)?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = if port.is_empty() { otherwise } else { port.parse().ok().ok_or_else(bad)? };
    if host.is_empty() {
        return Err(bad());
    }
    Ok(Node { host: host.to_owned(), port })
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
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        let ca = Tls { ca: Some(file.path().to_owned()) };
        assert_eq!(config(&format!("rediss://h:1?ca={path}")).unwrap().address, tcp("h", 1, Some(ca.clone())));
        let unix = config("unix:/run/r.sock?database=3&namespace=a:b").unwrap();
        assert_eq!((unix.address, unix.database), (Address::Unix("/run/r.sock".into()), 3));
        assert_eq!(unix.namespace, "a:b");
        let all = config("redis://me:p%40ss@h/2?timeout_ms=5&connect_timeout_ms=6&durability=power").unwrap();
        assert_eq!((all.user.as_deref(), all.password.as_ref().map(Secret::reveal)), (Some("me"), Some("p@ss")));
        assert_eq!((all.database, all.durability), (2, Durability::Power));
        assert_eq!((all.timeout.as_millis(), all.connect_timeout.as_millis()), (5, 6));
        assert_eq!((all.reads, all.wait_replicas), (Reads::Primary, 0));
        let node = |host: &str, port| Node { host: host.to_owned(), port };
        let sentinel = config("redis+sentinel://a,[::1]:7/main?database=3&sentinel_user=s&wait_replicas=1").unwrap();
        let sentinels = vec![node("a", 26379), node("::1", 7)];
        assert_eq!(sentinel.address, Address::Sentinel { sentinels, primary: "main".to_owned(), tls: None });
        assert_eq!((sentinel.database, sentinel.wait_replicas), (3, 1));
        assert_eq!(sentinel.sentinel_user.as_deref(), Some("s"));
        let cluster = config(&format!("rediss+cluster://a:1,b?reads=replica&ca={path}")).unwrap();
        let nodes = vec![node("a", 1), node("b", 6379)];
        assert_eq!(cluster.address, Address::Cluster { nodes, tls: Some(ca) });
        assert_eq!(cluster.reads, Reads::Replica);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_shown() {
        for (url, text) in [
            ("redis:", "names no host"),
            ("redis://", "names no host"),
            ("redis+cluster://", "names no host"),
            ("redis://h:port", "host:port"),
            ("redis+cluster://a,,b", "host:port"),
            ("redis://a,b", "redis+cluster://"),
            ("redis://h/zero", "number of a database"),
            ("redis+cluster://h/1", "one database"),
            ("redis+sentinel://h", "primary's name"),
            ("unix:", "names no socket"),
            ("redis://h?ca=x", "unknown option"),
            ("rediss://h?ca=/no/such/file", "can't be read"),
            ("redis://h?reads=replica", "unknown option"),
            ("redis://h?sentinel_user=x", "unknown option"),
            ("redis://h?timeout=1", "did you mean timeout_ms?"),
            ("redis://alice@h", "no password"),
            ("redis://:geheim@h?password_env=X", "give the password once"),
            ("redis://h?password_env=KV_NO_SUCH_VARIABLE", "no variable"),
            ("redis://h?password_file=/no/such/file", "can't be read"),
        ] {
            let error = config(url).unwrap_err();
            assert!(error.to_string().contains(text), "{url}: {error}");
            assert!(!format!("{error:?}").contains("geheim"));
        }
        let mut config = config("redis+sentinel://alice:geheim@h/main?sentinel_user=alice").unwrap();
        config.sentinel_password = Some(Secret::new("geheim"));
        let shown = format!("{config:?}");
        assert!(!shown.contains("geheim") && !shown.contains("alice"));
    }
}
