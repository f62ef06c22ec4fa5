//! Everything that a store can do, on other servers and by other ways than the other tests use.

use std::path::Path;

use kv_redis::Address;
use libtest_mimic::Failed;

use crate::GroupRow;
use crate::support::smoke::smoke;
use crate::support::{Server, block_on, ensure_eq, store, store_with};

pub(crate) const ON_REDIS: &[GroupRow] = &[("smoke::over_a_unix_socket", socket)];

pub(crate) const ON_VALKEY: &[GroupRow] = &[("smoke::on_valkey", valkey)];

fn socket(program: &Path) -> Result<(), Failed> {
    // Nobody listens on a port.
    let server = Server::start(program, &["--port", "0"])?;
    let store = store_with(&server, "s", |config| config.address = Address::Unix(server.socket()));
    block_on(smoke(&store))
}

fn valkey(program: &Path) -> Result<(), Failed> {
    let server = Server::start(program, &[])?;
    let name: String = redis::cmd("INFO").arg("server").query(&mut server.client()?)?;
    ensure_eq!(name.lines().any(|line| line == "server_name:valkey"), true, "{name}");
    block_on(smoke(&store(&server, "v")))
}
