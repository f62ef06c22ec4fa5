use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// How long a guest that never waits keeps a thread before other tasks have their turn (RUN-2).
const TICK: Duration = Duration::from_millis(1);

/// Moves an engine's epoch on every millisecond, until it is dropped, by a thread of its own: guests that never wait are
/// interrupted then.
#[derive(Debug)]
pub struct Ticker {
    is_over: Arc<AtomicBool>,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// What the system says if it has no thread to spare.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (engine, is_to_end) = (engine.weak(), Arc::clone(&is_over));
        thread::Builder::new().name("kv-wasi ticker".to_owned()).spawn(move || {
            while !is_to_end.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        })?;
        Ok(Self { is_over })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
