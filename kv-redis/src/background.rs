//! A thread with a runtime of the store's own, for what must go on whatever becomes of its users' runtimes (hearing of
//! changes, guards, giving space back) and for large values, which take longer to move than a task may hold its thread.
//! It is there once one of them is needed, and ends with the store.

use kv_core::{Effect, Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use crate::error::Call;

#[derive(Default)]
pub(crate) struct Background(Mutex<Option<Thread>>);

struct GivenUp<T>(JoinHandle<T>);

impl<T> Drop for GivenUp<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Thread {
    handle: Handle,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Background {
    /// Where to spawn.
    pub(crate) fn handle(&self) -> Result<Handle> {
        let mut thread = self.0.lock();
        if let Some(thread) = &*thread {
            return Ok(thread.handle.clone());
        }
        let failed = |cause: std::io::Error| {
            let text = "starting the store's own thread failed";
            Error::new(ErrorKind::ResourceExhausted, Effect::None, text).with_source(cause)
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        // Made on the thread, for a runtime must not be dropped on another one's.
        let run = move || match Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => {
                _ = tell.send(Ok(runtime.handle().clone()));
                _ = runtime.block_on(stopped);
            }
            Err(cause) => _ = tell.send(Err(cause)),
        };
        std::thread::Builder::new().name("kv-redis".to_owned()).spawn(run).map_err(failed)?;
        let handle = told.recv().unwrap_or_else(|cause| Err(std::io::Error::other(cause))).map_err(failed)?;
        *thread = Some(Thread { handle: handle.clone(), _stop: stop });
        Ok(handle)
    }

    /// Runs a call there. Dropped, it is given up: what the driver has is sent whole, or not at all.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        doing: &str,
        call: Call,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut task = GivenUp(self.handle()?.spawn(work));
        // Others have their turn, also where this thread sleeps until the call is done.
        tokio::task::yield_now().await;
        (&mut task.0).await.unwrap_or_else(|cause| Err(ended(doing, call, cause)))
    }

    /// Runs something there that has to be brought to its end once it has begun, whatever becomes of the caller.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.handle()?.spawn(work).await.unwrap_or_else(|cause| Err(ended(doing, Call::Write, cause)))
    }

    /// Ends the thread, and what runs on it.
    pub(crate) fn stop(&self) {
        self.0.lock().take();
    }
}

fn ended(doing: &str, call: Call, cause: JoinError) -> Error {
    let (kind, why) = match cause.is_panic() {
        true => (ErrorKind::Other, "the store's own thread failed"),
        false => (ErrorKind::Unavailable, "the store was closed before it was done"),
    };
    Error::new(kind, call.lost(), format!("{doing}: {why}")).with_source(cause)
}
