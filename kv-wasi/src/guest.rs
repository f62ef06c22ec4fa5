use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio_util::task::TaskTracker;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::access::Access;
use crate::context::{KvCtx, KvCtxView, KvView, Shared};
use crate::cursors::Cursors;
use crate::error::Error;
use crate::limits::Limits;
use crate::link;
use crate::missing::{LAST_PATCH, Missing, missing};
use crate::rename::{self, Kind, Renamed, Side};
use crate::shape::{Shape, Shapes, refusal};
use crate::signature::{Function, Interfaces};

/// How the versions begin under which programs of that winter import WASI 0.2; a date follows. Ours is found under any that
/// begins as the second one.
const CANDIDATE: &str = "0.2.0-rc-";
const WASI: &str = "0.2.";

/// What WASI 0.2.0 came to be made of. Other proposals have such versions to this day, and are linked under those.
const PACKAGES: [&str; 7] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:http/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

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

    /// Compiles a component and finds out which shapes of `wasi:keyvalue` it is built against.
    ///
    /// Cost: compiling takes seconds for large components; give the engine a cache, or keep the guest.
    ///
    /// # Errors
    ///
    /// [`NotAComponent`](crate::ErrorKind::NotAComponent) for what is none,
    /// [`UnknownShape`](crate::ErrorKind::UnknownShape) for a shape that is not supported,
    /// [`NeedsAsync`](crate::ErrorKind::NeedsAsync) for what takes another engine, and what the compiler says.
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
        let mut renamed = Renamed::default();
        let mut taken: HashSet<(Side, String)> = names.iter().cloned().collect();
        let wasi = |side, name: &str| {
            let found = released(&mut taken, side, name)?;
            renamed.add(side, &found, name);
            Some(found)
        };
        let released = rename::names(bytes, wasi).map_err(damaged)?;
        let compile = |bytes: &[u8]| {
            let names = names.iter().map(|(_, name)| name.as_str());
            Component::from_binary(engine, bytes).map_err(|cause| refusal::of_compiling(names, cause))
        };
        let component = compile(&released)?;
        let mut interfaces = Interfaces::of(&component, engine);
        for function in &mut interfaces.imports {
            function.interface = renamed.in_file(Side::Import, &function.interface).to_owned();
        }
        let shapes = Shapes::of(&interfaces)?;
        // A shape is linked under its own names.
        let own_name = |side, name: &str| {
            let linked = shapes.linked_name(name).filter(|linked| side == Side::Import && linked != name)?;
            renamed.add(side, &linked, name);
            Some(linked)
        };
        let traps = shapes.traps();
        let again = rename::names(&released, own_name).map_err(damaged)?;
        let component = if *again == *released { component } else { compile(&again)? };
        let about = Arc::new(About { shapes: shapes.all(), traps, interfaces, renamed });
        Ok(Guest { component, about, shared: self.shared() })
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

/// The name under which a release candidate of WASI is found. A component may import or export it in several versions; which 0.2
/// it is makes no difference to a linker.
fn released(taken: &mut HashSet<(Side, String)>, side: Side, name: &str) -> Option<String> {
    let (interface, version) = name.split_once('@')?;
    let date = version.strip_prefix(CANDIDATE)?;
    let is_date = date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !is_date || !PACKAGES.iter().any(|package| interface.starts_with(package)) {
        return None;
    }
    let mut names = (0..=LAST_PATCH).map(|patch| format!("{interface}@{WASI}{patch}"));
    names.find(|name| taken.insert((side, name.clone())))
}

/// A program that was compiled. Any number of instances can be made of it.
pub struct Guest {
    component: Component,
    about: Arc<About>,
    shared: Arc<Shared>,
}

/// What was found out about a program.
struct About {
    shapes: Vec<Shape>,
    traps: Vec<Function>,
    interfaces: Interfaces,
    renamed: Renamed,
}

impl Guest {
    /// The same program for another host: with other buckets and limits, and compiled only once.
    #[must_use]
    pub fn with_host(&self, host: &Host) -> Self {
        Self { component: self.component.clone(), about: Arc::clone(&self.about), shared: host.shared() }
    }

    /// The compiled component.
    #[must_use]
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// The shapes that it is built against, one for each version that it imports; none if it does not use `wasi:keyvalue`.
    #[must_use]
    pub fn shapes(&self) -> &[Shape] {
        &self.about.shapes
    }

    /// Those of its imports that have only a trap in their place, of Golem's newer `0.1.0`: it runs as long as it calls none.
    #[must_use]
    pub fn traps(&self) -> &[Function] {
        &self.about.traps
    }

    /// All functions that it imports, by the names that the file has.
    #[must_use]
    pub fn imports(&self) -> &[Function] {
        &self.about.interfaces.imports
    }

    /// All functions that it exports, by the names under which an instance has them.
    #[must_use]
    pub fn exports(&self) -> &[Function] {
        &self.about.interfaces.exports
    }

    /// The name that an exported interface has in the file: an instance has WASI's release candidates as WASI 0.2.
    #[must_use]
    pub fn name_in_file<'a>(&'a self, export: &'a str) -> &'a str {
        self.about.renamed.in_file(Side::Export, export)
    }

    /// Adds the guest's shapes, and no other, to a copy of the linker.
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

    /// What is missing, and the linker with the guest's shapes and traps for that.
    fn complete<T: KvView + 'static>(&self, linker: &Linker<T>) -> Result<Completed<T>, Error> {
        let adding = |cause| Error::of("adding wasi:keyvalue to the linker failed", cause);
        let mut linker = linker.clone();
        for shape in self.shapes() {
            let added = link::add(&mut linker, *shape);
            added.map_err(adding)?;
        }
        link::add_traps(&mut linker, self.traps()).map_err(adding)?;
        let (missing, linker) = missing(&linker, &self.component, &self.about.renamed);
        Ok((missing, linker.map_err(|cause| Error::of("linking it failed", cause))))
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
