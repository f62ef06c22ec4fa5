//! A primary, its replica, and three sentinels that watch over them under the name `main`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::control::{Control, field, is_in_sync, password};
use super::process::{Process, retried, wait_until};

/// The name under which clients ask for the primary.
pub(crate) const NAME: &str = "main";

const SENTINELS: usize = 3;
const QUORUM: &str = "2";

pub(crate) struct Sentinels {
    servers: Vec<Process>,
    sentinels: Vec<Process>,
    password: Option<String>,
}

impl Sentinels {
    /// Starts all five and waits until the sentinels know each other and the replica. `options` are added to the two
    /// servers' command lines; a `--requirepass` among them is used here too.
    pub(crate) fn start(program: &Path, options: &[&str]) -> io::Result<Self> {
        let own: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let server = |_| Process::start(program, |_| Ok(own.clone()));
        let servers = (0..2).map(server).collect::<io::Result<Vec<_>>>()?;
        let sentinels = retried(|| {
            let sentinel = |_| Process::spawn(program, |_| Ok(vec!["--sentinel".to_owned()]));
            let mut sentinels = (0..SENTINELS).map(sentinel).collect::<io::Result<Vec<_>>>()?;
            sentinels.iter_mut().try_for_each(Process::wait)?;
            Ok(sentinels)
        })?;
        let all = Self { servers, sentinels, password: password(options) };
        all.form()?;
        Ok(all)
    }

    fn form(&self) -> io::Result<()> {
        let port = self.port(0);
        // Said at run time, so that a server that is started again keeps the role that the sentinels gave it.
        self.server(1)?.ask::<()>(&["REPLICAOF", "127.0.0.1", &port.to_string()])?;
        wait_until("the replica is in sync", || self.is_in_sync(0))?;
        for sentinel in 0..SENTINELS {
            let mut control = self.sentinel(sentinel)?;
            // By default they look and talk every few seconds, and after a hang of the machine they do nothing for 30 s,
            // which has tests wait.
            let hurry = ["INFO-PERIOD", "200", "ASK-PERIOD", "100", "PUBLISH-PERIOD", "100", "TILT-PERIOD", "1000"];
            control.ask::<()>(&[&["SENTINEL", "DEBUG"][..], &hurry].concat())?;
            control.ask::<()>(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port.to_string(), QUORUM])?;
            // Less, and a loaded machine has servers replaced that nothing ails.
            let mut options = vec!["down-after-milliseconds", "1000", "failover-timeout", "3000"];
            options.extend(self.password.iter().flat_map(|password| ["auth-pass", password]));
            control.ask::<()>(&[&["SENTINEL", "SET", NAME][..], &options].concat())?;
        }
        self.wait_until_settled()
    }

    /// The sentinels' addresses, as a URL lists them.
    pub(crate) fn hosts(&self) -> String {
        self.sentinels.iter().map(|process| format!("127.0.0.1:{}", process.port())).collect::<Vec<_>>().join(",")
    }

    /// The port of a server, 0 or 1.
    pub(crate) fn port(&self, server: usize) -> u16 {
        self.servers[server].port()
    }

    /// The server, 0 or 1, that the sentinels that run agree to be the primary.
    pub(crate) fn primary(&self) -> io::Result<usize> {
        let running = (0..SENTINELS).filter(|sentinel| self.sentinels[*sentinel].is_running());
        let mut ports = running.map(|sentinel| {
            let address = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
            let (_, port): (String, u16) = self.sentinel(sentinel)?.ask(&address)?;
            Ok::<u16, io::Error>(port)
        });
        let first = ports.next().ok_or_else(|| io::Error::other("no sentinel runs"))??;
        for port in ports {
            if port? != first {
                return Err(io::Error::other("the sentinels do not agree"));
            }
        }
        let server = self.servers.iter().position(|server| server.port() == first);
        server.ok_or_else(|| io::Error::other(format!("the sentinels name the port {first}, which is nobody's")))
    }

    /// Ends the primary as a crash would, and gives its number.
    pub(crate) fn kill_primary(&mut self) -> io::Result<usize> {
        let old = self.primary()?;
        self.servers[old].kill();
        Ok(old)
    }

    /// Freezes the primary, and gives its number.
    pub(crate) fn pause_primary(&mut self) -> io::Result<usize> {
        let old = self.primary()?;
        self.freeze(old)?;
        Ok(old)
    }

    /// Freezes a server.
    pub(crate) fn freeze(&mut self, server: usize) -> io::Result<()> {
        self.servers[server].signal("STOP")
    }

    /// Has a frozen server go on.
    pub(crate) fn unpause(&mut self, server: usize) -> io::Result<()> {
        self.servers[server].signal("CONT")
    }

    /// Starts a killed server again.
    pub(crate) fn resume(&mut self, server: usize) -> io::Result<()> {
        self.servers[server].resume()
    }

    pub(crate) fn kill_sentinel(&mut self, sentinel: usize) {
        self.sentinels[sentinel].kill();
    }

    pub(crate) fn resume_sentinel(&mut self, sentinel: usize) -> io::Result<()> {
        self.sentinels[sentinel].resume()
    }

    /// Waits until another server than the old one is the primary, by the sentinels' word and its own; gives its number.
    pub(crate) fn wait_for_new_primary(&self, old: usize) -> io::Result<usize> {
        let new = 1 - old;
        wait_until("the replica has taken over", || {
            let text: String = self.server(new)?.ask(&["INFO", "replication"])?;
            Ok(self.primary()? == new && field(&text, "role") == Some("master"))
        })?;
        Ok(new)
    }

    /// Waits until the other server is in sync with the primary, and every running sentinel knows both and the other sentinels.
    pub(crate) fn wait_until_settled(&self) -> io::Result<()> {
        wait_until("the sentinels know each other and the replica, which is in sync", || {
            let primary = self.primary()?;
            for sentinel in (0..SENTINELS).filter(|sentinel| self.sentinels[*sentinel].is_running()) {
                let known: BTreeMap<String, String> = self.sentinel(sentinel)?.ask(&["SENTINEL", "MASTER", NAME])?;
                let is = |name: &str, value: &str| known.get(name).is_some_and(|found| found == value);
                if !is("num-other-sentinels", "2") || !is("num-slaves", "1") || !is("flags", "master") {
                    return Err(io::Error::other(format!("sentinel {sentinel} says {known:?}")));
                }
            }
            self.is_in_sync(primary)
        })
    }

    fn is_in_sync(&self, primary: usize) -> io::Result<bool> {
        let other = 1 - primary;
        is_in_sync(&mut self.server(other)?, self.port(other), &mut self.server(primary)?, self.port(primary))
    }

    /// A connection to a server, for the test's own commands.
    pub(crate) fn server(&self, server: usize) -> io::Result<Control> {
        Control::connect(&self.servers[server].socket(), self.password.as_deref())
    }

    pub(crate) fn sentinel(&self, sentinel: usize) -> io::Result<Control> {
        Control::connect(&self.sentinels[sentinel].socket(), None)
    }
}
