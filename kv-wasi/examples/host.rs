//! A whole host: runs the component of the mission's example on a store in memory.

use kv_wasi::{Access, Host, KvCtx, KvCtxView, KvView};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Engine, Store};

struct State(KvCtx, ResourceTable);

impl KvView for State {
    fn kv(&mut self) -> KvCtxView<'_> {
        KvCtxView { ctx: &mut self.0, table: &mut self.1 }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let component = std::fs::read(std::env::args().nth(1).ok_or("usage: host GUEST.wasm")?)?;
    let (engine, kv) = (Engine::default(), kv_memory::open_named("")?);
    let guest = Host::new(Access::all_of(&kv)).load(&engine, &component)?;
    let linker = guest.link(&Linker::new(&engine))?;

    let mut store = Store::new(&engine, State(guest.context(), ResourceTable::new()));
    let instance = linker.instantiate_async(&mut store, guest.component()).await?;
    let api = instance.get_export_index(&mut store, None, "golem:examples/api");
    let set = instance.get_export_index(&mut store, api.as_ref(), "set").ok_or("it has no api.set")?;
    let set = instance.get_typed_func::<(&str, &str, &[u8]), ()>(&mut store, set)?;
    set.call_async(&mut store, ("greetings", "hello", b"world")).await?;
    let found = kv.open_bucket("greetings").await?.get("hello").await?;
    println!("{:?}", found.map(bytes::Bytes::from));
    Ok(())
}
