//! What an instance has of the host.

use kv_wasi::{Guest, KvCtx, KvCtxView, KvView};
use wasmtime::Store;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::http::Outgoing;

pub(in crate::commands) struct State {
    kv: KvCtx,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
}

impl State {
    /// The bucket that the program was refused last, and why.
    pub(super) fn refused(&self) -> Option<String> {
        self.kv.refused()
    }
}

impl KvView for State {
    fn kv(&mut self) -> KvCtxView<'_> {
        KvCtxView { ctx: &mut self.kv, table: &mut self.table }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }
}

/// A store for one instance.
pub(in crate::commands) fn store(
    engine: &wasmtime::Engine,
    guest: &Guest,
    wasi: WasiCtx,
    outgoing: Outgoing,
) -> Store<State> {
    let (table, http) = (ResourceTable::new(), WasiHttpCtx::new());
    let mut store = Store::new(engine, State { kv: guest.context(), table, wasi, http, outgoing });
    guest.prepare(&mut store);
    store
}

/// What every program is offered beside wasi:keyvalue: WASI 0.2, and its HTTP.
pub(in crate::commands) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}
