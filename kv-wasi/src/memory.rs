use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use wasmtime::ResourceLimiter;

use crate::limits::Limits;
use crate::resources::Held;

/// Elements of an instance's tables together: far more than compilers make.
const TABLE_ELEMENTS: usize = 1 << 20;

/// What wasmtime says of a memory that can't be as large as that whatever its limits. It asks for no leave before.
const NOT_ASKED: &str = "memory growth exceeds memory type's limits";

/// Counts what an instance's memories and tables take.
pub(crate) struct Memory {
    /// The instance's share of what all instances take.
    held: Held,
    /// What it grew by last, which may still fail.
    last: Option<Held>,
    all: Arc<AtomicUsize>,
    most: usize,
    most_of_all: usize,
    is_short: bool,
    elements: usize,
}

impl Memory {
    /// For one of the instances that take `all` together.
    pub(crate) fn new(all: &Arc<AtomicUsize>, limits: &Limits) -> Self {
        Self {
            held: Held::nothing(all),
            last: None,
            all: Arc::clone(all),
            most: limits.memory_bytes,
            most_of_all: limits.total_memory_bytes,
            is_short: false,
            elements: 0,
        }
    }

    /// Whether it was refused what other instances have.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short
    }
}

impl ResourceLimiter for Memory {
    /// Refused, not trapped: programs know what to do when memory can't grow.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if let Some(last) = self.last.take() {
            self.held.merge(last);
        }
        let more = desired.saturating_sub(current);
        let is_within = self.held.amount().saturating_add(more) <= self.most;
        // wasmtime asks before it looks at the memory's own maximum.
        if !is_within || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.last = Held::take(&self.all, more, self.most_of_all);
        self.is_short |= self.last.is_none();
        Ok(self.last.is_some())
    }

    /// The pool's memories are smaller, or the system has no more.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // Then the last growth was another one, and did not fail.
        if error.to_string() != NOT_ASKED {
            self.last = None;
        }
        Ok(())
    }

    /// A growth that is allowed here does not fail: a table's own maximum, and the pool's, are the only reasons there are.
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add(desired.saturating_sub(current));
        let is_within = elements <= TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum);
        if is_within {
            self.elements = elements;
        }
        Ok(is_within)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use wasmtime::{Config, Engine, Instance, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Store, Val};

    use super::*;

    const PAGE: usize = 64 << 10;

    /// A core module's instance, whose function `grow` grows something of it.
    struct Running {
        store: Store<Memory>,
        instance: Instance,
    }

    impl Running {
        fn start(config: &Config, all: &Arc<AtomicUsize>, limits: &Limits, wat: &str) -> wasmtime::Result<Self> {
            let engine = Engine::new(config).unwrap();
            let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
            let mut store = Store::new(&engine, Memory::new(all, limits));
            store.limiter(|memory| memory);
            let instance = Instance::new(&mut store, &module, &[])?;
            Ok(Self { store, instance })
        }

        /// What was there before; -1 if it can't grow.
        fn grow(&mut self, by: i32) -> i32 {
            let grow = self.instance.get_func(&mut self.store, "grow").unwrap();
            let mut results = [Val::I32(0)];
            grow.call(&mut self.store, &[Val::I32(by)], &mut results).unwrap();
            results[0].unwrap_i32()
        }
    }

    fn memory(limits: &str) -> String {
        format!(
            r#"(module (memory {limits})
              (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#
        )
    }

    fn pages(all: &AtomicUsize) -> usize {
        all.load(Ordering::Relaxed) / PAGE
    }

    #[test]
    fn growth_that_fails_is_not_counted() {
        let limits = Limits { memory_bytes: 10 * PAGE, ..Limits::default() };
        let mut pool = PoolingAllocationConfig::default();
        pool.total_memories(1).total_tables(1).total_stacks(1).max_memory_size(4 * PAGE);
        let mut pooled = Config::new();
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        // The memory's own maximum, and that of the pool.
        for (config, wat) in [(Config::new(), memory("1 4")), (pooled, memory("1"))] {
            let all = Arc::default();
            let mut running = Running::start(&config, &all, &limits, &wat).unwrap();
            for _ in 0..10 {
                assert_eq!(running.grow(9), -1);
            }
            assert_eq!((running.grow(2), running.grow(2), running.grow(1)), (1, -1, 3), "{wat}");
            assert_eq!(pages(&all), 4);
            drop(running);
            assert_eq!(pages(&all), 0);
        }
    }

    /// Such a memory can't have the last bytes of its addresses, which wasmtime refuses without asking.
    #[test]
    fn growth_that_was_not_asked_for_gives_nothing_back() {
        let mut config = Config::new();
        config.wasm_custom_page_sizes(true);
        let all = Arc::default();
        let limits = Limits { memory_bytes: 100, ..Limits::default() };
        let mut running = Running::start(&config, &all, &limits, &memory("0 (pagesize 1)")).unwrap();
        assert_eq!((running.grow(80), running.grow(-81)), (0, -1));
        assert_eq!((running.grow(80), running.grow(20), running.grow(1)), (-1, 80, -1));
        assert_eq!(all.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn instances_have_an_end_together() {
        let all = Arc::default();
        let limits = Limits { memory_bytes: 8 * PAGE, total_memory_bytes: 10 * PAGE, ..Limits::default() };
        let start = || Running::start(&Config::new(), &all, &limits, &memory("2"));
        let (mut first, mut second) = (start().unwrap(), start().unwrap());
        assert_eq!((first.grow(7), first.grow(6)), (-1, 2));
        assert!(!first.store.data().is_short());
        assert_eq!(second.grow(1), -1);
        assert!(second.store.data().is_short() && start().is_err());
        drop(first);
        assert_eq!((second.grow(6), pages(&all)), (2, 8));
        assert!(start().is_ok());
    }

    #[test]
    fn a_table_that_does_not_grow_is_not_counted() {
        let wat = r#"(module (table $own 0 10 funcref) (table $other 0 funcref)
          (func (export "grow") (param i32) (result i32)
            (drop (table.grow $own (ref.null func) (local.get 0)))
            (table.grow $other (ref.null func) (local.get 0))))"#;
        let all = Arc::default();
        let mut running = Running::start(&Config::new(), &all, &Limits::default(), wat).unwrap();
        let most = i32::try_from(TABLE_ELEMENTS).unwrap();
        assert_eq!((running.grow(most / 2), running.grow(most / 2), running.grow(1)), (0, most / 2, -1));
    }
}
