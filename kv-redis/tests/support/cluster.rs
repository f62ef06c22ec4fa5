//! A cluster of six nodes: three primaries, each with a replica.

use std::io;
use std::ops::Range;
use std::path::Path;

use super::control::{Control, field, is_in_sync, password};
use super::process::{Process, free_port, retried, wait_until};

/// The first so many nodes begin as primaries.
const PRIMARIES: usize = 3;
const NODES: usize = 2 * PRIMARIES;

/// The slots of a cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// Keys of a slot that are looked at before some are moved.
const BATCH: &str = "1000";

pub(crate) struct Cluster {
    nodes: Vec<Node>,
    password: Option<String>,
}

/// A server of the cluster. Tests call it by its number, 0 to 5.
pub(crate) struct Node {
    process: Process,
    bus: u16,
    id: String,
    is_paused: bool,
}

/// What a node says of itself.
struct Own {
    is_primary: bool,
    epoch: u64,
    slots: Vec<Range<u16>>,
}

impl Cluster {
    /// Starts the nodes and waits until every slot is served and every replica is in sync. `options` are added to
    /// every node's command line; a `--requirepass` among them is used here too.
    pub(crate) fn start(program: &Path, options: &[&str]) -> io::Result<Self> {
        let nodes = retried(|| {
            let mut nodes = (0..NODES).map(|_| Node::spawn(program, options)).collect::<io::Result<Vec<_>>>()?;
            nodes.iter_mut().try_for_each(|node| node.process.wait())?;
            Ok(nodes)
        })?;
        let mut cluster = Self { nodes, password: password(options) };
        cluster.form()?;
        Ok(cluster)
    }

    /// Makes one cluster of nodes that do not know each other.
    fn form(&mut self) -> io::Result<()> {
        let mut controls = (0..NODES).map(|node| self.control(node)).collect::<io::Result<Vec<_>>>()?;
        for (number, control) in controls.iter_mut().enumerate() {
            self.nodes[number].id = control.ask(&["CLUSTER", "MYID"])?;
            // Else they would have to find out who steps back.
            control.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
            if number < PRIMARIES {
                let bound = |number: usize| usize::from(SLOTS) * number / PRIMARIES;
                let (first, last) = (bound(number).to_string(), (bound(number + 1) - 1).to_string());
                control.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
            }
            for other in &self.nodes[..number] {
                let (port, bus) = (other.port().to_string(), other.bus.to_string());
                control.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        for (number, control) in controls.iter_mut().enumerate().skip(PRIMARIES) {
            let primary = self.nodes[number - PRIMARIES].id.clone();
            wait_until("a replica knows its primary", || {
                control.ask::<()>(&["CLUSTER", "REPLICATE", &primary]).map(|()| true)
            })?;
        }
        self.wait_until_settled()
    }

    /// The nodes' addresses, as a URL lists them.
    pub(crate) fn hosts(&self) -> String {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Ends a node at once, as a crash would.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].process.kill();
        self.nodes[node].is_paused = false;
    }

    /// Starts a killed node again. Without `--appendonly yes` it has lost its data, unless its replica has taken over.
    pub(crate) fn resume(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].process.resume()
    }

    /// Freezes a node.
    pub(crate) fn pause(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].is_paused = true;
        self.nodes[node].process.signal("STOP")
    }

    /// Has a frozen node go on.
    pub(crate) fn unpause(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].is_paused = false;
        self.nodes[node].process.signal("CONT")
    }

    /// A connection to a node, for the test's own commands.
    pub(crate) fn control(&self, node: usize) -> io::Result<Control> {
        Control::connect(&self.nodes[node].process.socket(), self.password.as_deref())
    }

    /// The node that serves a slot. After a failover the old primary may believe for a moment that it still does; the
    /// higher epoch is right.
    pub(crate) fn primary_of(&self, slot: u16) -> io::Result<usize> {
        let owns = |own: &Own| own.is_primary && own.slots.iter().any(|range| range.contains(&slot));
        let mut owners: Vec<_> = self.answers().into_iter().filter(|(_, own)| owns(own)).collect();
        owners.sort_by_key(|(_, own)| own.epoch);
        owners.pop().map(|(node, _)| node).ok_or_else(|| io::Error::other(format!("nobody serves slot {slot}")))
    }

    /// The nodes that serve slots.
    pub(crate) fn primaries(&self) -> io::Result<Vec<usize>> {
        let mut all = Vec::new();
        for (node, own) in self.answers() {
            for range in own.slots.iter().filter(|_| own.is_primary) {
                if self.primary_of(range.start)? == node && !all.contains(&node) {
                    all.push(node);
                }
            }
        }
        Ok(all)
    }

    /// What the nodes that run say of themselves.
    fn answers(&self) -> Vec<(usize, Own)> {
        let running = (0..NODES).filter(|node| self.nodes[*node].runs());
        running.filter_map(|node| Some((node, own(&mut self.control(node).ok()?).ok()?))).collect()
    }

    /// Moves slots from one primary to another, with their keys, while clients go on.
    pub(crate) fn move_slots(&self, from: usize, to: usize, slots: Range<u16>) -> io::Result<()> {
        let (mut source, mut target) = (self.control(from)?, self.control(to)?);
        let others = self.primaries()?.into_iter().filter(|node| ![from, to].contains(node));
        let mut others = others.map(|node| self.control(node)).collect::<io::Result<Vec<_>>>()?;
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        for slot in slots {
            open_slot((&mut source, from), (&mut target, to), slot)?;
            let slot = slot.to_string();
            loop {
                let mut keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, BATCH])?;
                // One by one, and indices and generations before entries: clients meet every mixture.
                keys.sort_unstable_by_key(|key| key.contains(":e:"));
                let Some(key) = keys.first() else { break };
                self.move_key(&mut source, to, key)?;
            }
            // The new owner first, so that at no time nobody owns it.
            for control in [&mut target, &mut source].into_iter().chain(&mut others) {
                control.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &to.id])?;
            }
        }
        Ok(())
    }

    /// Begins to move a slot, with one of its keys; [`move_slots`](Self::move_slots) ends it.
    pub(crate) fn begin_to_move(&self, from: usize, to: usize, slot: u16, key: &str) -> io::Result<()> {
        let (mut source, mut target) = (self.control(from)?, self.control(to)?);
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        open_slot((&mut source, from), (&mut target, to), slot)?;
        self.move_key(&mut source, to, key)
    }

    fn move_key(&self, source: &mut Control, to: &Node, key: &str) -> io::Result<()> {
        let port = to.port().to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000"];
        command.extend(self.password.iter().flat_map(|password| ["AUTH", password]));
        command.extend(["KEYS", key]);
        source.ask::<()>(&command)
    }

    /// Waits until it is so; errors meanwhile count as not yet.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> io::Result<bool>) -> io::Result<()> {
        wait_until(what, || is_so(self))
    }

    /// Waits until every running node says that all is well, and every running replica is in sync with a primary.
    pub(crate) fn wait_until_settled(&self) -> io::Result<()> {
        self.wait_until("the cluster has settled", |cluster| {
            let running = (0..NODES).filter(|node| cluster.nodes[*node].runs());
            for node in running {
                let mut control = cluster.control(node)?;
                let text: String = control.ask(&["CLUSTER", "INFO"])?;
                let expected = [("cluster_state", "ok"), ("cluster_slots_ok", "16384"), ("cluster_known_nodes", "6")];
                if let Some((name, _)) = expected.iter().find(|(name, value)| field(&text, name) != Some(value)) {
                    return Err(io::Error::other(format!("node {node} says {name} {:?}", field(&text, name))));
                }
                if own(&mut control)?.is_primary {
                    continue;
                }
                let text: String = control.ask(&["INFO", "replication"])?;
                let port = field(&text, "master_port").and_then(|port| port.parse().ok());
                let primary = cluster.nodes.iter().position(|node| Some(node.port()) == port);
                let primary = primary.ok_or_else(|| io::Error::other(format!("node {node} has no primary")))?;
                let ports = [node, primary].map(|node| cluster.nodes[node].port());
                if !is_in_sync(&mut control, ports[0], &mut cluster.control(primary)?, ports[1])? {
                    return Err(io::Error::other(format!("node {node} is not in sync")));
                }
            }
            Ok(true)
        })
    }
}

impl Node {
    fn spawn(program: &Path, options: &[&str]) -> io::Result<Self> {
        let bus = free_port()?;
        let own = ["--cluster-enabled", "yes", "--cluster-port", &bus.to_string(), "--cluster-node-timeout", "1000"];
        let options: Vec<String> = own.iter().chain(options).map(|word| (*word).to_owned()).collect();
        let process = Process::spawn(program, |_| Ok(options.clone()))?;
        Ok(Self { process, bus, id: String::new(), is_paused: false })
    }

    pub(crate) fn port(&self) -> u16 {
        self.process.port()
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it runs, and is not frozen.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_running() && !self.is_paused
    }
}

fn open_slot((source, from): (&mut Control, &Node), (target, to): (&mut Control, &Node), slot: u16) -> io::Result<()> {
    let slot = slot.to_string();
    target.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.id])?;
    source.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.id])
}

/// Reads the line of `CLUSTER NODES` in which a node tells of itself:
/// `ID HOST:PORT@BUS FLAGS PRIMARY PING PONG EPOCH LINK SLOTS…`, where slots that are on their way stand in brackets.
fn own(control: &mut Control) -> io::Result<Own> {
    let bad = || io::Error::other("CLUSTER NODES is not as it was expected");
    let text: String = control.ask(&["CLUSTER", "NODES"])?;
    let line = text.lines().find(|line| line.contains("myself")).ok_or_else(bad)?;
    let words: Vec<&str> = line.split(' ').collect();
    let (flags, epoch) = (words.get(2).ok_or_else(bad)?, words.get(6).ok_or_else(bad)?);
    let slots = words.iter().skip(8).filter(|word| !word.starts_with('[')).map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some(first.parse().ok()?..last.parse::<u16>().ok()? + 1)
    });
    Ok(Own {
        is_primary: flags.contains("master"),
        epoch: epoch.parse().map_err(io::Error::other)?,
        slots: slots.collect::<Option<_>>().ok_or_else(bad)?,
    })
}
