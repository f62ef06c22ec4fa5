//! What the fixtures themselves say to servers.

use std::io;
use std::path::Path;
use std::time::Duration;

use redis::{Cmd, Connection, FromRedisValue};

/// A frozen server must not freeze the test.
const ANSWER: Duration = Duration::from_secs(5);

/// A connection over the server's socket in the file system, so whatever its port speaks.
pub(crate) struct Control(Connection);

impl Control {
    pub(crate) fn connect(socket: &Path, password: Option<&str>) -> io::Result<Self> {
        let client = redis::Client::open(format!("unix:{}", socket.display())).map_err(io::Error::other)?;
        let connection = client.get_connection_with_timeout(ANSWER).map_err(io::Error::other)?;
        connection.set_read_timeout(Some(ANSWER)).map_err(io::Error::other)?;
        let mut control = Self(connection);
        if let Some(password) = password {
            control.ask::<()>(&["AUTH", password])?;
        }
        Ok(control)
    }

    /// Sends a command and waits for the answer; a refusal is an error.
    pub(crate) fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> io::Result<T> {
        let mut command = Cmd::new();
        command.arg(words);
        command.query(&mut self.0).map_err(|error| io::Error::other(format!("{}: {error}", words.join(" "))))
    }
}

/// The value of a field in what `INFO` and `CLUSTER INFO` tell.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Whether a replica has all of its primary's data and hears of what is new, by the word of both.
pub(crate) fn is_in_sync(
    replica: &mut Control,
    port: u16,
    primary: &mut Control,
    primary_port: u16,
) -> io::Result<bool> {
    let text: String = replica.ask(&["INFO", "replication"])?;
    let is_up = field(&text, "master_link_status") == Some("up");
    let is_up = is_up && field(&text, "master_port") == Some(&primary_port.to_string());
    let text: String = primary.ask(&["INFO", "replication"])?;
    Ok(is_up && text.contains(&format!("port={port},state=online")))
}

/// The password that a server's options set, which the fixtures have to give as well.
pub(crate) fn password(options: &[&str]) -> Option<String> {
    let at = options.iter().position(|option| *option == "--requirepass")?;
    options.get(at + 1).map(|password| (*password).to_owned())
}
