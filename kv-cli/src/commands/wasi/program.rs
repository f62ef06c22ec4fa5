//! A program, loaded and linked.

use std::path::Path;

use kv_wasi::{Access, ErrorKind, Guest, Host};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder};

use super::args::Which;
use super::engine::{Async, Running};
use super::http::Outgoing;
use super::policy::{Granted, Rules};
use super::state::{self, State};
use crate::exit::{Ended, Failure, Verdict};

pub(super) struct Program {
    pub(super) guest: Guest,
    pub(super) pre: InstancePre<State>,
    pub(super) running: Running,
    pub(super) shown: String,
}

/// Reads a component and finds its shape, on an engine that has what it needs.
pub(super) fn load(
    start: impl Fn(Async) -> Result<Running, Failure>,
    path: &Path,
) -> Result<(Running, Guest), Failure> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|cause| Failure::io(format!("reading {shown}"), &cause))?;
    let host = Host::new(Access::none());
    let mut running = start(Async::Off)?;
    let mut guest = host.load(&running.engine, &bytes);
    if guest.as_ref().is_err_and(|error| error.kind() == ErrorKind::NeedsAsync) {
        // There may not be address space for two pools.
        drop((running, guest));
        running = start(Async::On)?;
        guest = host.load(&running.engine, &bytes);
    }
    Ok((running, guest.map_err(|error| Failure::data(error.to_string()).within(&shown))?))
}

impl Program {
    /// Reads, compiles and links it. It sees no bucket yet, so that what is wrong here is told before a store is made.
    pub(super) fn load(start: impl Fn(Async) -> Result<Running, Failure>, which: &Which) -> Result<Self, Failure> {
        let shown = which.guest.display().to_string();
        let (running, guest) = load(start, &which.guest)?;
        let linker = state::linker(&running.engine).map_err(|cause| Failure::other(format!("{cause:#}")))?;
        let linker = if which.trap_missing { guest.link_or_trap(&linker) } else { guest.link(&linker) };
        let linker = linker.map_err(|error| unlinked(&error).within(&shown))?;
        let pre = linker.instantiate_pre(guest.component()).map_err(|cause| trapped(&cause).within(&shown))?;
        Ok(Self { guest, pre, running, shown })
    }

    /// Opens the stores of its buckets, by the file if one is given, else the one at `url`.
    pub(super) async fn grant(&mut self, rules: Rules, url: &str) -> Result<Granted, Failure> {
        let granted = rules.open(url).await?;
        let mut host = Host::new(granted.access.clone()).limits(granted.limits.clone());
        if let Some(bucket) = &granted.cache_bucket {
            host = host.cache_bucket(bucket.as_str());
        }
        self.guest = self.guest.with_host(&host);
        Ok(granted)
    }

    /// Waits for the writes that the program did not wait for, but no longer than until it is to be at once, and closes its
    /// stores.
    pub(super) async fn close(&self, granted: Granted, ended: Ended, at_once: impl Future<Output = ()>) -> Ended {
        tokio::select! {
            () = self.guest.settled() => {}
            () = at_once => {}
        }
        granted.end(ended).await
    }

    pub(super) fn store(&self, wasi: WasiCtx, outgoing: Outgoing) -> Store<State> {
        state::store(&self.running.engine, &self.guest, wasi, outgoing)
    }

    pub(super) async fn start(&self, wasi: WasiCtx) -> Result<(Store<State>, Instance), Failure> {
        let mut store = self.store(wasi, Outgoing::none());
        let instance = self.pre.instantiate_async(&mut store).await;
        let instance = instance.map_err(|cause| trapped(&cause).within(&self.shown))?;
        Ok((store, instance))
    }
}

/// Only what is missing can be trapped, and it is not missing where that was asked for.
fn unlinked(error: &kv_wasi::Error) -> Failure {
    let text = error.to_string();
    match text.split_once('\n') {
        Some((sentence, lines)) if error.kind() == ErrorKind::Missing => {
            let hint = "--trap-missing runs it all the same, until it calls one of these";
            Failure::data(sentence).below(format!("{lines}\n{hint}"))
        }
        _ => Failure::data(text),
    }
}

/// WASI as the command line asks for it.
pub(super) fn wasi(which: &Which) -> Result<WasiCtxBuilder, Failure> {
    build(which).map_err(Failure::data)
}

/// The same, with what is wrong as a sentence.
pub(super) fn build(which: &Which) -> Result<WasiCtxBuilder, String> {
    let mut wasi = WasiCtx::builder();
    wasi.envs(&which.env);
    for dir in &which.dir {
        let (folder, name) = dir.split_once("::").unwrap_or((dir, dir));
        wasi.preopened_dir(folder, name, FsPerms::ReadWrite)
            .map_err(|cause| format!("--dir {folder}: {}", cause.root_cause()))?;
    }
    Ok(wasi)
}

/// The program ended early.
pub(super) fn trapped(cause: &wasmtime::Error) -> Failure {
    Failure::other(format!("the program trapped: {}", cause.root_cause()))
}

/// The program did not come back from a call: it asked for its end, or trapped.
pub(super) fn ended(cause: &wasmtime::Error) -> Ended {
    match cause.downcast_ref::<I32Exit>() {
        Some(exit) => Ok(Verdict::Code(u8::try_from(exit.0).unwrap_or(u8::MAX))),
        None => Err(trapped(cause)),
    }
}

/// Says below why a program failed what it was refused before, since most do not look at that error.
pub(super) fn with_refusal(ended: Ended, store: &Store<State>) -> Ended {
    ended.map_err(|failure| match store.data().refused() {
        Some(refused) => failure.below(format!("before that it was refused {refused}")),
        None => failure,
    })
}
