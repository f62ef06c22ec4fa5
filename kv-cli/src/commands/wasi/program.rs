//! A program, loaded and linked.

use std::path::Path;

use kv_wasi::{Guest, Host};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::Which;
use super::engine::Running;
use super::http::Outgoing;
use super::policy::Granted;
use super::state::{self, State};
use crate::exit::Failure;

pub(super) struct Program {
    pub(super) guest: Guest,
    pub(super) pre: InstancePre<State>,
    pub(super) running: Running,
    pub(super) shown: String,
}

/// Reads a component and finds its shape.
pub(super) fn load(running: &Running, host: &Host, path: &Path) -> Result<Guest, Failure> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|cause| Failure::io(format!("reading {shown}"), &cause))?;
    host.load(&running.engine, &bytes).map_err(|error| Failure::data(error.to_string()).within(&shown))
}

impl Program {
    pub(super) fn load(running: Running, which: &Which, granted: &Granted) -> Result<Self, Failure> {
        let mut host = Host::new(granted.access.clone());
        if let Some(bucket) = &granted.cache_bucket {
            host = host.cache_bucket(bucket.as_str());
        }
        let shown = which.guest.display().to_string();
        let guest = load(&running, &host, &which.guest)?;
        let linker = state::linker(&running.engine).map_err(|cause| Failure::other(format!("{cause:#}")))?;
        let linker = if which.trap_missing { guest.link_or_trap(&linker) } else { guest.link(&linker) };
        let linker = linker.map_err(|error| {
            let text = error.to_string();
            let (sentence, lines) = text.split_once('\n').unwrap_or((&text, ""));
            let hint = "--trap-missing runs it all the same, until it calls one of these";
            Failure::data(sentence).within(&shown).below(format!("{lines}\n{hint}"))
        });
        let pre = linker?.instantiate_pre(guest.component()).map_err(|cause| trapped(&cause).within(&shown))?;
        Ok(Self { guest, pre, running, shown })
    }

    pub(super) fn store(&self, wasi: WasiCtx, outgoing: Outgoing) -> Store<State> {
        state::store(&self.running.engine, &self.guest, wasi, outgoing)
    }

    /// Whether it exports an interface whose name begins so.
    pub(super) fn exports(&self, interface: &str) -> bool {
        self.guest.exports().iter().any(|function| function.interface.starts_with(interface))
    }

    pub(super) async fn start(&self, wasi: WasiCtx) -> Result<(Store<State>, Instance), Failure> {
        let mut store = self.store(wasi, Outgoing::none());
        let instance = self.pre.instantiate_async(&mut store).await.map_err(|cause| trapped(&cause))?;
        Ok((store, instance))
    }
}

/// WASI as the command line asks for it.
pub(super) fn wasi(which: &Which) -> Result<WasiCtxBuilder, Failure> {
    let mut wasi = WasiCtx::builder();
    wasi.envs(&which.env);
    for dir in &which.dir {
        let (folder, name) = dir.split_once("::").unwrap_or((dir, dir));
        wasi.preopened_dir(folder, name, FsPerms::ReadWrite)
            .map_err(|cause| Failure::data(format!("--dir {folder}: {}", cause.root_cause())))?;
    }
    Ok(wasi)
}

/// The program ended early.
pub(super) fn trapped(cause: &wasmtime::Error) -> Failure {
    Failure::other(format!("the program trapped: {}", cause.root_cause()))
}
