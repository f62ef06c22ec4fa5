//! A server in a process of its own, so that its memory can be told from the load's.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kv_bench::Result;
use serde::Deserialize;

/// A server that runs; it ends with this value.
pub(super) struct Server {
    name: &'static str,
    child: Child,
    /// Where it listens: a host and a port.
    pub(super) address: String,
}

/// What a server prints once it listens.
#[derive(Deserialize)]
struct Ready {
    listening: String,
}

impl Server {
    /// The command that is measured, with its data in memory as the other's are.
    pub(super) fn kv(kv: &Path, guest: &Path) -> Result<Self> {
        let mut command = Command::new(kv);
        command.args(["--json", "--store", "memory:", "serve", "--addr", "127.0.0.1:0"]).arg(guest);
        Self::start("kv serve", command.stdin(Stdio::null()))
    }

    /// This program once more, as a server made of wasmtime's own crates.
    pub(super) fn beside(guest: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::start("the server beside", command.arg("beside").arg(guest).stdin(Stdio::piped()))
    }

    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|cause| format!("{}: {cause}", command.get_program().display()))?;
        let stdout = child.stdout.take();
        // A server at once, so that it ends also where the next steps fail.
        let mut server = Self { name, child, address: String::new() };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ready: Ready = serde_json::from_str(&line).map_err(|_ignored| {
            format!("{name} did not say where it listens, but {line:?}; what is wrong stands above")
        })?;
        server.address = ready.listening.strip_prefix("http://").ok_or("it listens, but not for http")?.to_owned();
        Ok(server)
    }

    /// Bytes of memory that it has for itself now; none but on Linux, where the system tells it in a file.
    pub(super) fn resident(&self) -> Result<Option<u64>> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        // In `status` it stands in kibibytes; `statm` has it in pages, whose size stands elsewhere.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok(Some(resident(&status).ok_or_else(|| format!("{} has ended", self.name))?))
    }

    /// That it still runs: one that was started anew would have a small memory, and one that ended has none.
    pub(super) fn check(&mut self) -> Result {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended under load: {status}", self.name).into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data are in memory, so there is nothing to end in good order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resident memory in the text of `/proc/PID/status`, in bytes; none of a process that has ended.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_as_bytes() {
        assert_eq!(resident("VmHWM:\t   99 kB\nVmRSS:\t   12 kB\nThreads:\t3\n"), Some(12 * 1024));
        assert_eq!(resident("State:\tZ (zombie)\n"), None);
    }
}
