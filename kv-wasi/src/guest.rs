use std::sync::{Arc, Mutex};

use tokio_util::task::TaskTracker;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::access::Access;
use crate::bindings;
use crate::context::{HasKv, KvCtx, KvCtxView, KvView, Shared};
use crate::cursors::Cursors;
use crate::error::Error;
use crate::limits::Limits;
use crate::missing::{Missing, missing};
use crate::rename::{self, Kind, Side};
use crate::shape::{Shape, refusal, split};
use crate::signature::{Function, Interfaces};

/// The version under which programs of late 2023 import WASI. Ours is found under any that begins as the second one.
const OLD_WASI: &str = "@0.2.0-rc-2023-11-10";
const WASI: &str = "@0.2.";

/// The bucket of the interface `cache`, which has no name for one.
const CACHE: &str = "cache";

/// How programs are to be run: which buckets they see, and how much they may use.
#[derive(Clone)]
pub struct Host {
    access: Access,
    limits: Limits,
    cache_bucket: String,
}

impl Host {
    /// A host whose guests see these buckets.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access, limits: Limits::default(), cache_bucket: CACHE.to_owned() }
    }

    /// Sets what each guest may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the bucket that the interface `cache` of `0.1.0` uses; `cache` unless set. The guest's access to that name counts.
    #[must_use]
    pub fn cache_bucket(mut self, name: impl Into<String>) -> Self {
        self.cache_bucket = name.into();
        self
    }

    /// Compiles a component and finds out which shape of `wasi:keyvalue` it is built against.
    ///
    /// Cost: compiling takes seconds for large components; give the engine a cache, or keep the guest.
    ///
    /// # Errors
    ///
    /// [`NotAComponent`](crate::ErrorKind::NotAComponent) for what is none,
    /// [`UnknownShape`](crate::ErrorKind::UnknownShape) for a shape that is not supported, and what the compiler says.
    pub fn load(&self, engine: &Engine, bytes: &[u8]) -> Result<Guest, Error> {
        match rename::kind(bytes) {
            Kind::Component => {}
            Kind::Module => {
                return Err(Error::not_a_component(
                    "it is a core module, and this host runs components; make one of it with `wasm-tools component new`",
                ));
            }
            Kind::Neither => return Err(Error::not_a_component("it is not a WebAssembly component")),
        }
        let damaged = |cause: wasmparser::BinaryReaderError| {
            Error::not_a_component(format!(
                "it is a damaged component: {}, at byte {}",
                cause.message(),
                cause.offset()
            ))
        };
        let names = rename::list(bytes).map_err(damaged)?;
        let renamed = rename::names(bytes, |side, name| wasi(&names, side, name)).map_err(damaged)?;
        let compile = |bytes: &[u8]| {
            let names = names.iter().map(|(_, name)| name.as_str());
            Component::from_binary(engine, bytes).map_err(|cause| refusal::of_compiling(names, cause))
        };
        let component = compile(&renamed)?;
        let interfaces = Interfaces::of(&component, engine);
        let shape = Shape::of(&interfaces)?;
        // A shape is linked under its own names.
        let own_name = |side, name: &str| {
            let linked = shape.filter(|_| side == Side::Import)?.linked_name(split(name)?.0);
            (linked != name).then_some(linked)
        };
        let again = rename::names(&renamed, own_name).map_err(damaged)?;
        let component = if *again == *renamed { component } else { compile(&again)? };
        Ok(Guest { component, shape, interfaces: Arc::new(interfaces), shared: self.shared() })
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::new(Shared {
            access: self.access.clone(),
            limits: self.limits.clone(),
            cache_bucket: self.cache_bucket.clone(),
            cursors: Mutex::new(Cursors::new(self.limits.cursors)),
            cas_handles: Arc::default(),
            memory: Arc::default(),
            writes: TaskTracker::new(),
        })
    }
}

/// The name under which something of November 2023 is found. A component may import or export it in both versions; which 0.2 it
/// is makes no difference to a linker.
fn wasi(taken: &[(Side, String)], side: Side, name: &str) -> Option<String> {
    let stem = name.strip_suffix(OLD_WASI).filter(|stem| stem.starts_with("wasi:"))?;
    let is_free = |name: &String| !taken.iter().any(|(at, taken)| *at == side && taken == name);
    (0..).map(|patch| format!("{stem}{WASI}{patch}")).find(is_free)
}

/// A program that was compiled. Any number of instances can be made of it.
pub struct Guest {
    component: Component,
    shape: Option<Shape>,
    interfaces: Arc<Interfaces>,
    shared: Arc<Shared>,
}

impl Guest {
    /// The same program for another host: with other buckets and limits, and compiled only once.
    #[must_use]
    pub fn with_host(&self, host: &Host) -> Self {
        let (component, interfaces) = (self.component.clone(), Arc::clone(&self.interfaces));
        Self { component, shape: self.shape, interfaces, shared: host.shared() }
    }

    /// The compiled component.
    #[must_use]
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// The shape that it is built against; `None` if it does not use `wasi:keyvalue`.
    #[must_use]
    pub fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// All functions that it imports, by the names that the file has, but for WASI's of 2023.
    #[must_use]
    pub fn imports(&self) -> &[Function] {
        &self.interfaces.imports
    }

    /// All functions that it exports.
    #[must_use]
    pub fn exports(&self) -> &[Function] {
        &self.interfaces.exports
    }

    /// Adds the guest's shape, and no other, to a copy of the linker.
    ///
    /// # Errors
    ///
    /// [`Missing`](crate::ErrorKind::Missing), with all that the guest imports and nobody provides.
    pub fn link<T: KvView + 'static>(&self, linker: &Linker<T>) -> Result<Linker<T>, Error> {
        let (missing, linker) = self.complete(linker)?;
        if missing.is_empty() { linker } else { Err(Error::missing(&missing)) }
    }

    /// As [`link`](Self::link), with a trap in the place of what is missing.
    ///
    /// # Errors
    ///
    /// What has no stand-in: an import that is a module or a component.
    pub fn link_or_trap<T: KvView + 'static>(&self, linker: &Linker<T>) -> Result<Linker<T>, Error> {
        self.complete(linker)?.1
    }

    /// All that the guest imports and nobody provides.
    ///
    /// # Errors
    ///
    /// [`Other`](crate::ErrorKind::Other) if the linker can't take `wasi:keyvalue`, because it has one already.
    pub fn missing<T: KvView + 'static>(&self, linker: &Linker<T>) -> Result<Vec<Missing>, Error> {
        Ok(self.complete(linker)?.0)
    }

    /// What is missing, and the linker with the guest's shape and traps for that.
    fn complete<T: KvView + 'static>(&self, linker: &Linker<T>) -> Result<Completed<T>, Error> {
        let linker = self.add_shape(linker)?;
        let (missing, linker) = missing(&linker, &self.component);
        Ok((missing, linker.map_err(|cause| Error::of("linking it failed", cause))))
    }

    fn add_shape<T: KvView + 'static>(&self, linker: &Linker<T>) -> Result<Linker<T>, Error> {
        let mut linker = linker.clone();
        let added = match self.shape {
            None => Ok(()),
            Some(Shape::Golem2023) => add_golem_2023(&mut linker),
            Some(Shape::V0_1_0) => add_v0_1_0(&mut linker),
            Some(Shape::Draft) => bindings::draft::Imports::add_to_linker::<_, HasKv>(&mut linker, view::<T>),
            Some(Shape::Draft2) => bindings::draft2::Imports::add_to_linker::<_, HasKv>(&mut linker, view::<T>),
            Some(Shape::Spin) => bindings::spin::Imports::add_to_linker::<_, HasKv>(&mut linker, view::<T>),
        };
        added.map_err(|cause| Error::of("adding wasi:keyvalue to the linker failed", cause))?;
        Ok(linker)
    }

    /// What an instance of the guest needs in its store's data.
    #[must_use]
    pub fn context(&self) -> KvCtx {
        KvCtx::new(&self.shared)
    }

    /// Waits for the writes to `cache` that instances began and did not wait for. Before a store is closed, which ends them.
    pub async fn settled(&self) {
        self.shared.writes.close();
        self.shared.writes.wait().await;
    }

    /// Sets a store up with the guest's limits, and so that a guest that never waits lets other tasks run every millisecond.
    ///
    /// The latter takes an engine with [`epoch_interruption`](wasmtime::Config::epoch_interruption) and a
    /// [`Ticker`](crate::Ticker).
    pub fn prepare<T: KvView + 'static>(&self, store: &mut Store<T>) {
        store.set_hostcall_fuel(self.shared.limits.call_bytes);
        store.limiter(|data| {
            let KvCtxView { ctx, .. } = data.kv();
            &mut ctx.memory
        });
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
    }
}

type Completed<T> = (Vec<Missing>, Result<Linker<T>, Error>);

fn view<T: KvView>(data: &mut T) -> KvCtxView<'_> {
    data.kv()
}

fn add_golem_2023<T: KvView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::golem_2023::wasi::keyvalue::{atomic, batch, readwrite, types, wasi_cloud_error};
    wasi_cloud_error::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    types::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    readwrite::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    batch::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    atomic::add_to_linker::<_, HasKv>(linker, view::<T>)
}

fn add_v0_1_0<T: KvView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::v0_1_0::wasi::keyvalue::{atomic, cache, eventual, eventual_batch, types, wasi_keyvalue_error};
    wasi_keyvalue_error::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    types::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    eventual::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    eventual_batch::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    atomic::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    cache::add_to_linker::<_, HasKv>(linker, view::<T>)
}
