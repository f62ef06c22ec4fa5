//! Starts guests.

use std::path::{Path, PathBuf};

use kv_wasi::{Guest, Host, KvCtx, KvCtxView, KvView, Ticker};
use wasmtime::component::{ComponentNamedList, Instance, Lift, Linker, Lower, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) struct State {
    pub(crate) kv: KvCtx,
    table: ResourceTable,
    wasi: WasiCtx,
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

/// A component that is kept with the sources.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/built").join(format!("{name}.wasm"))
}

pub(crate) struct Program {
    pub(crate) guest: Guest,
    linker: Linker<State>,
    engine: Engine,
    _ticker: Ticker,
}

/// One instance.
pub(crate) struct Running {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
}

impl Program {
    pub(crate) fn load(path: &Path, host: &Host) -> Self {
        Self::of(&std::fs::read(path).unwrap(), host)
    }

    pub(crate) fn of(component: &[u8], host: &Host) -> Self {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let guest = host.load(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let linker = guest.link(&linker).unwrap();
        Self { guest, linker, _ticker: Ticker::start(&engine).unwrap(), engine }
    }

    pub(crate) async fn start(&self) -> Running {
        let wasi = WasiCtx::builder().build();
        let state = State { kv: self.guest.context(), table: ResourceTable::new(), wasi };
        let mut store = Store::new(&self.engine, state);
        self.guest.prepare(&mut store);
        let instance = self.linker.instantiate_async(&mut store, self.guest.component()).await.unwrap();
        Running { store, instance }
    }
}

impl Running {
    /// Calls `name`, or `interface#name`.
    pub(crate) async fn call<P, R>(&mut self, name: &str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let (interface, name) = name.split_once('#').map_or((None, name), |(interface, name)| (Some(interface), name));
        let parent = interface.map(|name| self.instance.get_export_index(&mut self.store, None, name).unwrap());
        let index = self.instance.get_export_index(&mut self.store, parent.as_ref(), name).unwrap();
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, index)?;
        function.call_async(&mut self.store, params).await
    }
}
