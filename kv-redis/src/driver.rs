//! How the driver is set up: what a [`Config`] means to it. Its own defaults are for a program at a desk: answers within
//! 500 ms, 50 calls queued, Nagle's delays.

use std::time::Duration;

use kv_core::{Effect, Error, ErrorKind, Result};
use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates,
};

use crate::config::{Address, Config};
use crate::error::unreachable;

/// Calls that may wait for the driver to write them, before further ones wait as futures.
const QUEUED_CALLS: usize = 1_024;

/// How long a connection may be silent before the system looks whether the other side is there, and how long what was
/// sent may stay unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of each connection.
pub(crate) fn settings(config: &Config) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout))
        .set_response_timeout(Some(config.timeout))
        .set_pipeline_buffer_size(QUEUED_CALLS)
}

/// What makes connections. Connects to nothing.
pub(crate) fn client(config: &Config) -> Result<Client> {
    let invalid = |cause| unreachable(&config.place(), cause);
    let (address, certificates) = match &config.address {
        Address::Tcp { host, port, tls: None } => (ConnectionAddr::Tcp(host.clone(), *port), None),
        Address::Tcp { host, port, tls: Some(tls) } => {
            let root_cert = tls.ca.as_ref().map(std::fs::read).transpose().map_err(|cause| {
                Error::new(ErrorKind::InvalidArgument, Effect::None, "the file that ca names can't be read")
                    .with_source(cause)
            })?;
            let address = ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None };
            (address, Some(TlsCertificates { client_tls: None, root_cert }))
        }
        Address::Unix(path) => (ConnectionAddr::Unix(path.clone()), None),
    };
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name()
        .set_db(i64::from(config.database));
    if let Some(user) = &config.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &config.password {
        settings = settings.set_password(password.reveal());
    }
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(USER_TIMEOUT);
    let info = address.into_connection_info().map_err(invalid)?.set_redis_settings(settings).set_tcp_settings(tcp);
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates).map_err(invalid),
        None => Client::open(info).map_err(invalid),
    }
}
