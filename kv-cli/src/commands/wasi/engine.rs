//! Engines, as the commands want them.

use std::path::PathBuf;

use kv_wasi::{Limits, Ticker};
use wasmtime::{Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::exit::Failure;

/// Requests that are served at once; others wait for one to end.
pub(super) const AT_ONCE: u32 = 1_000;

/// Core instances, memories and tables in one component: more than compilers make.
const CORES: u32 = 20;

/// An engine, with the thread that interrupts programs which never wait.
pub(super) struct Running {
    pub(super) engine: Engine,
    _ticker: Ticker,
}

impl Running {
    /// For one instance at a time.
    pub(super) fn plain() -> Result<Self, Failure> {
        Self::start(config())
    }

    /// For many short instances: their memories are reused.
    pub(super) fn pooling() -> Result<Self, Failure> {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(AT_ONCE)
            .total_core_instances(AT_ONCE * 4)
            .max_core_instances_per_component(CORES)
            .total_memories(AT_ONCE * 2)
            .max_memories_per_component(CORES)
            .total_tables(AT_ONCE * 4)
            .max_tables_per_component(CORES)
            .total_stacks(AT_ONCE)
            .max_memory_size(Limits::default().memory_bytes);
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        // Address space alone, of which a process has 128 TiB: what is reserved for each memory is not more than it may have.
        config.memory_reservation(Limits::default().memory_bytes as u64);
        Self::start(config)
    }

    fn start(config: Config) -> Result<Self, Failure> {
        let engine =
            Engine::new(&config).map_err(|cause| Failure::other(format!("starting wasmtime failed: {cause:#}")))?;
        let ticker = Ticker::start(&engine).map_err(|cause| Failure::io("starting a thread", &cause))?;
        Ok(Self { engine, _ticker: ticker })
    }
}

fn config() -> Config {
    let mut config = Config::new();
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
