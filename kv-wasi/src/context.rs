use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use kv_core::Bucket;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use wasmtime::component::{HasData, Resource, ResourceTable};

use crate::access::{Access, Rights};
use crate::cursors::Cursors;
use crate::fail::Fail;
use crate::limits::Limits;
use crate::memory::Memory;
use crate::resources::{ErrorText, Held, Incoming, OpenBucket, Outgoing};

/// Handles for errors that a guest gets beyond its limit, so that it can be told of that.
const SPARE: usize = 1_000;

/// Values that the cache reads for an instance at once. Each may be of the largest size before it is counted.
const READS: usize = 4;

/// Bytes of an error's text that are kept for a guest: so many are not counted. Ours are shorter, but for those with a long key.
const ERROR_BYTES: usize = 1_024;

/// What one instance of a guest has of `wasi:keyvalue`; part of the embedder's store data.
pub struct KvCtx {
    pub(crate) shared: Arc<Shared>,
    pub(crate) budget: Budget,
    pub(crate) memory: Memory,
    handles: Arc<AtomicUsize>,
    /// Calls to the cache under way.
    pub(crate) pending: Arc<AtomicUsize>,
    pub(crate) kept: Option<Kept>,
    refused: Mutex<Option<String>>,
}

/// What an instance and its calls to the cache keep together.
pub(crate) type Kept = Arc<dyn Any + Send + Sync>;

/// What all instances of a guest have in common.
pub(crate) struct Shared {
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) cache_bucket: String,
    pub(crate) cursors: Mutex<Cursors>,
    /// Versioned handles, of which a store has few.
    pub(crate) cas_handles: Arc<AtomicUsize>,
    /// Bytes of memory.
    pub(crate) memory: Arc<AtomicUsize>,
    /// Writes to the cache that instances began.
    pub(crate) writes: TaskTracker,
}

impl KvCtx {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let reads = Arc::new(Semaphore::new(READS));
        let budget = Budget { held: Arc::default(), most: shared.limits.held_bytes, reads };
        let memory = Memory::new(&shared.memory, &shared.limits);
        let (handles, pending) = (Arc::default(), Arc::default());
        Self { shared: Arc::clone(shared), budget, memory, handles, pending, kept: None, refused: Mutex::default() }
    }

    /// Keeps something until the instance is gone and all that it began to write to `cache` is written.
    ///
    /// Those writes outlive the instance, and so do the values that they hold. Where there may be so many instances at once,
    /// let each keep its permit here, and what they hold together has an end too.
    pub fn keep(&mut self, thing: impl Send + Sync + 'static) {
        self.kept = Some(Arc::new((thing, self.kept.take())));
    }

    /// The bucket that the instance was refused last by its [`Access`], and why. A guest that does not look at its errors traps, and
    /// nobody would know of what.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what was refused, if the guest's rules are the reason.
    fn note_refusal(&self, bucket: &str, fail: &Fail) {
        let why = match fail {
            Fail::NoSuchStore => "no rule has one of this name (no-such-store)",
            Fail::Denied => "the rule for it does not give this right (access-denied)",
            _ => return,
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("the bucket {bucket:?}: {why}"));
    }

    /// Whether the instance was refused memory because the guest's instances have as much as they may together
    /// ([`Limits::total_memory_bytes`]).
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        self.memory.is_short()
    }
}

/// Gives access to the [`KvCtx`] and the [`ResourceTable`] inside the embedder's store data.
pub trait KvView: Send {
    /// Both, borrowed together.
    fn kv(&mut self) -> KvCtxView<'_>;
}

/// What [`KvView::kv`] gives.
pub struct KvCtxView<'a> {
    /// What [`Guest::context`](crate::Guest::context) made.
    pub ctx: &'a mut KvCtx,
    /// The table that WASI's own resources are in too.
    pub table: &'a mut ResourceTable,
}

/// Tells bindings what they are given.
pub(crate) struct HasKv;

impl HasData for HasKv {
    type Data<'a> = KvCtxView<'a>;
}

/// The bytes that an instance may have the host keep.
#[derive(Clone)]
pub(crate) struct Budget {
    held: Arc<AtomicUsize>,
    most: usize,
    reads: Arc<Semaphore>,
}

impl Budget {
    pub(crate) fn hold(&self, bytes: usize) -> Result<Held, Fail> {
        let most = self.most;
        Held::take(&self.held, bytes, most)
            .ok_or_else(|| Fail::Other(format!("the values that this program holds exceed the limit of {most} bytes")))
    }

    /// Reads a value in its turn, with its share: how long it is nobody knows before.
    pub(crate) async fn read(&self, bucket: &Bucket, key: &str) -> Result<Option<Incoming>, Fail> {
        // Nobody closes it.
        let _turn = self.reads.acquire().await;
        let found = bucket.get(key).await?;
        found.map(|value| self.incoming(value.into())).transpose()
    }

    /// A value that was read, with its share.
    pub(crate) fn incoming(&self, value: Bytes) -> Result<Incoming, Fail> {
        let held = self.hold(value.len())?;
        Ok(Incoming::new(value, held))
    }

    pub(crate) fn append(&self, value: &Outgoing, piece: Bytes) -> Result<(), Fail> {
        let held = self.hold(piece.len())?;
        value.append(piece, held);
        Ok(())
    }

    /// Fills the vacancy that the value is for, if there is one.
    pub(crate) async fn fill(&self, value: &Outgoing) -> Result<(), Fail> {
        let Some(filling) = value.take_vacancy() else { return Ok(()) };
        filling.vacancy.fill(value.value()?, filling.ttl).await?;
        Ok(())
    }
}

impl KvCtxView<'_> {
    /// Gives the guest a handle.
    pub(crate) fn push<T: Send + 'static>(&mut self, thing: T) -> Result<Resource<T>, Fail> {
        let place = self.place()?;
        self.keep(thing, place)
    }

    /// The place of one more handle.
    pub(crate) fn place(&self) -> Result<Held, Fail> {
        let most = self.ctx.shared.limits.handles;
        let place = Held::take(&self.ctx.handles, 1, most);
        place.ok_or_else(|| Fail::Other(format!("too many handles: this program holds {most}, which is the limit")))
    }

    fn keep<T: Send + 'static>(&mut self, thing: T, place: Held) -> Result<Resource<T>, Fail> {
        let resource = self.table.push(thing)?;
        // Given back by `free`.
        place.forget();
        Ok(resource)
    }

    /// Takes a handle back.
    pub(crate) fn free<T: 'static>(&mut self, resource: Resource<T>) -> wasmtime::Result<T> {
        let thing = self.table.delete(resource)?;
        self.ctx.handles.fetch_sub(1, Ordering::Relaxed);
        Ok(thing)
    }

    /// The result for a shape whose errors are resources.
    pub(crate) fn told<T>(&mut self, done: Result<T, Fail>) -> wasmtime::Result<Result<T, Resource<ErrorText>>> {
        match done {
            Ok(value) => Ok(Ok(value)),
            Err(fail) => self.error(fail).map(Err),
        }
    }

    pub(crate) fn error(&mut self, fail: Fail) -> wasmtime::Result<Resource<ErrorText>> {
        let text = fail.into_trace()?;
        let most = self.ctx.shared.limits.handles.saturating_add(SPARE);
        let Some(place) = Held::take(&self.ctx.handles, 1, most) else {
            return Err(wasmtime::Error::msg(format!(
                "too many handles: this program keeps every error it got: {text}"
            )));
        };
        let kept = text.get(..text.floor_char_boundary(ERROR_BYTES)).unwrap_or_default().to_owned();
        self.keep(ErrorText(kept), place).map_err(Fail::into_trap)
    }

    pub(crate) fn trace(&mut self, error: &Resource<ErrorText>) -> wasmtime::Result<String> {
        Ok(self.table.get(error)?.0.clone())
    }

    pub(crate) async fn open(&mut self, name: &str) -> Result<Resource<OpenBucket>, Fail> {
        let opened = self.ctx.shared.access.open(name).await;
        let open = opened.inspect_err(|fail| self.ctx.note_refusal(name, fail))?;
        self.push(open)
    }

    /// The bucket behind a handle, if the guest may do there what it wants to.
    pub(crate) fn bucket(&self, handle: &Resource<OpenBucket>, wanted: Rights) -> Result<&Bucket, Fail> {
        let open = self.table.get(handle)?;
        open.rights.check(wanted).inspect_err(|fail| self.ctx.note_refusal(open.bucket.name(), fail))?;
        Ok(&open.bucket)
    }
}
