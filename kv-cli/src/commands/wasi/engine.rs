//! Engines, as the commands want them.

use std::path::PathBuf;

use kv_wasi::{Limits, Ticker};
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::exit::Failure;
use crate::output::note;

/// Requests that are served at once; others wait for one to end.
const AT_ONCE: u32 = 1_000;

/// Core instances in one component: as many as WebAssembly lets it have. The pool only counts them.
const CORES: u32 = 1_000;

/// The largest memory of a program that has one: as much as addresses of 32 bits reach.
const LARGEST: usize = 4 << 30;

/// What the functions and globals of an instance take, without its memories. It is allocated as it is needed: a module of
/// 500,000 functions that are called by table takes as much.
const INSTANCE_BYTES: usize = 16 << 20;

/// Memories of all instances together. Each is an address space of its own, and a process has room for 100,000 of these.
const MEMORIES: u32 = AT_ONCE * 2;

/// Stacks for each instance with async: each of its calls that waits has one. Who needs more while all run at once gets an error.
const STACKS: u32 = 4;

/// Bytes of a page of memory.
const PAGE: u64 = 64 << 10;

/// Tables of all instances together.
const TABLES: u32 = AT_ONCE * 4;

/// Elements of a table: as many as kv-wasi lets an instance have.
const TABLE_ELEMENTS: usize = 1 << 20;

/// Whether programs may have streams and async functions of the component model: to be ready for those makes each call longer.
#[derive(Clone, Copy)]
pub(in crate::commands) enum Async {
    Off,
    On,
}

/// An engine, with the thread that interrupts programs which never wait.
pub(in crate::commands) struct Running {
    pub(in crate::commands) engine: Engine,
    _ticker: Ticker,
}

impl Running {
    /// For one instance at a time.
    pub(in crate::commands) fn plain(with: Async) -> Result<Self, Failure> {
        let engine = Engine::new(&config(with));
        Self::start(engine.map_err(|cause| Failure::other(format!("starting wasmtime failed: {cause:#}")))?)
    }

    /// For many short instances: their memories are reused.
    pub(in crate::commands) fn pooling(limits: &Limits, with: Async) -> Result<Self, Failure> {
        // Not less than by default, so that compiled code is good for most programs.
        let memory_bytes = limits.memory_bytes.clamp(Limits::default().memory_bytes, LARGEST);
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(AT_ONCE)
            .total_core_instances(AT_ONCE * CORES)
            .max_core_instances_per_component(CORES)
            .max_component_instance_size(INSTANCE_BYTES)
            .max_core_instance_size(INSTANCE_BYTES)
            // What a collector keeps is a memory too, and an instance has one of them.
            .total_memories(MEMORIES + AT_ONCE)
            .max_memories_per_component(MEMORIES)
            .max_memories_per_module(MEMORIES)
            .total_tables(TABLES)
            .max_tables_per_component(TABLES)
            .max_tables_per_module(TABLES)
            .table_elements(TABLE_ELEMENTS)
            .total_stacks(match with {
                Async::Off => AT_ONCE,
                Async::On => AT_ONCE * STACKS,
            })
            .max_memory_size(memory_bytes);
        let mut pooled = config(with);
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        // Address space alone, of which a process has 128 TiB: what is reserved for each memory is not more than it may have.
        pooled.memory_reservation(memory_bytes as u64);
        match Engine::new(&pooled) {
            Ok(engine) => Self::start(engine),
            // Where a process may not have that much address space, as under `ulimit -v`.
            Err(cause) => {
                note(format!(
                    "each request takes memory of its own, since there is no pool of it: {}",
                    cause.root_cause()
                ));
                Self::plain(with)
            }
        }
    }

    /// How many instances of the component there may be at once: those of some need several memories each, or so much of it
    /// that more of them can't begin.
    pub(in crate::commands) fn at_once(component: &Component, limits: &Limits) -> u32 {
        // One that imports components or modules needs what those do.
        let Some(needed) = component.resources_required() else { return 1 };
        let most = |all: u32, each: u32| all / each.max(1);
        // Of the largest memory, in pages.
        let initial = needed.max_initial_memory_size.unwrap_or_default().max(1).saturating_mul(PAGE);
        let by_memory = u32::try_from(limits.total_memory_bytes as u64 / initial).unwrap_or(u32::MAX);
        AT_ONCE.min(most(MEMORIES, needed.num_memories)).min(most(TABLES, needed.num_tables)).min(by_memory).max(1)
    }

    fn start(engine: Engine) -> Result<Self, Failure> {
        let ticker = Ticker::start(&engine).map_err(|cause| Failure::io("starting a thread", &cause))?;
        Ok(Self { engine, _ticker: ticker })
    }
}

fn config(with: Async) -> Config {
    let mut config = Config::new();
    config.concurrency_support(matches!(with, Async::On));
    config.epoch_interruption(true);
    // A cache that can't be used costs time, and nothing else.
    config.cache(cache());
    config
}

/// Compiled programs, in the user's cache folder.
fn cache() -> Option<Cache> {
    let folder = match std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    let mut config = CacheConfig::new();
    config.with_directory(folder.join("kv").join("wasm"));
    Cache::new(config).ok()
}

#[cfg(test)]
mod tests {
    use wasmtime::Store;
    use wasmtime::component::Linker;

    use super::*;

    #[test]
    fn as_many_run_at_once_as_there_is_room_for() {
        let engine = Engine::default();
        let limits = Limits { total_memory_bytes: 64 << 20, ..Limits::default() };
        for (memories, at_once) in [
            ("(memory 1)", 1_000),
            ("(memory 0) (memory 0) (memory 0) (memory 0)", 500),
            // 2 MiB, and 100 MiB.
            ("(memory 32)", 32),
            ("(memory 1600)", 1),
        ] {
            let wat = format!("(component (core module $m {memories}) (core instance (instantiate $m)))");
            let component = Component::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
            assert_eq!(Running::at_once(&component, &limits), at_once, "{memories}");
        }
    }

    /// An exception is an object of the collector's, for which there is a heap then.
    #[tokio::test]
    async fn a_pool_has_room_for_the_heaps_of_all_who_run_at_once() {
        let wat = r#"(component
            (core module $m
              (memory 0) (memory 0)
              (tag $thrown (param i32))
              (func (export "f") (result i32)
                (block $caught (result i32)
                  (try_table (catch $thrown $caught) (throw $thrown (i32.const 7)))
                  (i32.const 0))))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
        let limits = Limits { memory_bytes: 2 << 30, ..Limits::default() };
        for with in [Async::Off, Async::On] {
            let running = Running::pooling(&limits, with).unwrap();
            assert!(running.engine.pooling_allocator_metrics().is_some(), "there is no pool");
            let component = Component::new(&running.engine, wat::parse_str(wat).unwrap()).unwrap();
            let linker = Linker::new(&running.engine);
            let mut stores = Vec::new();
            for _ in 0..Running::at_once(&component, &limits) {
                let mut store = Store::new(&running.engine, ());
                store.set_epoch_deadline(u64::MAX / 2);
                let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
                let f = instance.get_typed_func::<(), (u32,)>(&mut store, "f").unwrap();
                assert_eq!(f.call_async(&mut store, ()).await.unwrap(), (7,));
                stores.push(store);
            }
            assert_eq!(stores.len(), 1_000);
        }
    }
}
