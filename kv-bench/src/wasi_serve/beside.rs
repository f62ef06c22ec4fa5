//! What stands beside `kv serve`: a server made of `wasmtime-wasi-http` and `wasmtime-wasi-keyvalue` in memory, as their
//! documentation makes one.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kv_bench::Result;
use kv_wasi::{Limits, Ticker};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx, WasiKeyValueCtxBuilder};

/// The pool of `kv serve`, whose numbers stand in kv-cli's `engine.rs`.
const AT_ONCE: u32 = 1_000;
const CORES: u32 = 1_000;
const TABLE_ELEMENTS: usize = 1 << 20;

/// Serves until standard input ends, which it does with the process that started this one.
pub(crate) fn beside(guest: &Path) -> Result {
    let engine = engine()?;
    let _ticker = Ticker::start(&engine)?;
    let pre = link(&engine, &std::fs::read(guest)?)?;
    let runtime = kv_bench::runtime()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let ready = serde_json::json!({"listening": format!("http://{}", listener.local_addr()?)});
    println!("{ready}");
    std::io::stdout().flush()?;
    runtime.spawn(accept(listener, Arc::new(pre)));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

fn engine() -> wasmtime::Result<Engine> {
    let memory_bytes = Limits::default().memory_bytes;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(AT_ONCE)
        .total_core_instances(AT_ONCE * CORES)
        .max_core_instances_per_component(CORES)
        .total_memories(AT_ONCE * 2)
        .max_memories_per_component(AT_ONCE * 2)
        .total_tables(AT_ONCE * 4)
        .max_tables_per_component(AT_ONCE * 4)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(AT_ONCE)
        .max_memory_size(memory_bytes);
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config.memory_reservation(memory_bytes as u64);
    Engine::new(&config)
}

fn link(engine: &Engine, component: &[u8]) -> wasmtime::Result<ProxyPre<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_keyvalue::add_to_linker(&mut linker, |state: &mut State| {
        WasiKeyValue::new(&state.kv, &mut state.table)
    })?;
    ProxyPre::new(linker.instantiate_pre(&Component::new(engine, component)?)?)
}

/// What an instance has of the host. Its data are its own: these crates have no store that several instances share.
struct State {
    kv: WasiKeyValueCtx,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: NoOutgoing,
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

/// The guest asks no other server, and so kv-bench needs no client for https.
struct NoOutgoing;

type Sent = std::result::Result<(Response<WasiBody>, Box<dyn Future<Output = Done> + Send>), Error>;
type Done = std::result::Result<(), Error>;

impl WasiHttpHooks for NoOutgoing {
    fn send_request(
        &mut self,
        _: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Done> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

async fn accept(listener: TcpListener, pre: Arc<ProxyPre<State>>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(connect(socket, Arc::clone(&pre)));
    }
}

async fn connect(socket: TcpStream, pre: Arc<ProxyPre<State>>) {
    // As in kv serve: the load would wait for packets otherwise.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| {
        let pre = Arc::clone(&pre);
        async move { answer(&pre, request).await }
    });
    // What is wrong with a connection the load tells.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

/// Runs the guest for one request, in an instance of its own.
async fn answer(pre: &ProxyPre<State>, request: Request<Incoming>) -> wasmtime::Result<Response<HyperOutgoingBody>> {
    let state = State {
        kv: WasiKeyValueCtxBuilder::new().build(),
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().build(),
        http: WasiHttpCtx::new(),
        outgoing: NoOutgoing,
    };
    let mut store = Store::new(pre.engine(), state);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let (sender, receiver) = oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let pre = pre.clone();
    let running = tokio::spawn(async move {
        let proxy = pre.instantiate_async(&mut store).await?;
        proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
    });
    match receiver.await {
        Ok(answer) => Ok(answer?),
        Err(_) => {
            running.await.map_err(wasmtime::Error::new)??;
            Err(wasmtime::Error::msg("the guest ended without an answer"))
        }
    }
}
