//! A whole host: runs the component of the mission's example on a store in memory.

use kv_wasi::{Access, Host, KvCtx, KvCtxView, KvView, Ticker};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};

struct State(KvCtx, ResourceTable);

impl KvView for State {
    fn kv(&mut self) -> KvCtxView<'_> {
        KvCtxView { ctx: &mut self.0, table: &mut self.1 }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> wasmtime::Result<()> {
    let path = std::env::args().nth(1).unwrap_or("guests/built/example-2023.wasm".into());
    println!("{:?}", run(&std::fs::read(path)?).await?);
    Ok(())
}

pub(crate) async fn run(component: &[u8]) -> wasmtime::Result<Option<bytes::Bytes>> {
    let engine = Engine::new(Config::new().epoch_interruption(true))?;
    let (_ticker, kv) = (Ticker::start(&engine)?, kv_memory::open_named("")?);
    let guest = Host::new(Access::all_of(&kv)).load(&engine, component)?;
    let linker = guest.link(&Linker::new(&engine))?;
    let mut store = Store::new(&engine, State(guest.context(), ResourceTable::new()));
    guest.prepare(&mut store);
    let instance = linker.instantiate_async(&mut store, guest.component()).await?;
    let api = instance.get_export_index(&mut store, None, "golem:examples/api");
    let set = instance.get_export_index(&mut store, api.as_ref(), "set");
    let set = set.ok_or_else(|| wasmtime::Error::msg("it has no api.set"))?;
    let set = instance.get_typed_func::<(&str, &str, &[u8]), ()>(&mut store, set)?;
    set.call_async(&mut store, ("greetings", "hello", b"world")).await?;
    Ok(kv.open_bucket("greetings").await?.get("hello").await?.map(Into::into))
}
