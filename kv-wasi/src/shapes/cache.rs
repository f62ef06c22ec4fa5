//! The `cache` of `0.1.0`: calls that a guest starts, and whose results it waits for or asks for.

use std::sync::Arc;
use std::time::Duration;

use kv_core::Bucket;
use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::{DynPollable, subscribe};

use crate::access::Rights;
use crate::bindings::v0_1_0::wasi::keyvalue::cache;
use crate::context::{KvCtx, KvCtxView};
use crate::fail::Fail;
use crate::pending::Pending;
use crate::resources::{
    Entry, ErrorText, Filling, FutureDone, FutureExists, FutureGet, FutureGetOrSet, Held, Incoming, Outgoing, Vacant,
    no_ttl,
};

/// What a guest that asks is told: nothing yet, or how the call ended.
type Asked<T> = Result<Option<Result<T, Resource<ErrorText>>>>;

/// A time to live, which is at least 1 ms.
fn ttl(millis: Option<u32>) -> Result<Option<Duration>, Fail> {
    match millis {
        Some(0) => Err(no_ttl()),
        millis => Ok(millis.map(|millis| Duration::from_millis(millis.into()))),
    }
}

impl KvCtxView<'_> {
    /// Starts a read of the bucket that `cache` uses.
    fn start<T, F, C>(&self, wanted: Rights, call: C) -> Pending<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fail>> + Send,
        C: FnOnce(Bucket) -> F + Send + 'static,
    {
        prepare(self.ctx, wanted, call).map_or_else(Pending::refused, Pending::start)
    }

    /// Starts a write there.
    fn start_write<F, C>(&self, call: C) -> Pending<()>
    where
        F: Future<Output = Result<(), Fail>> + Send,
        C: FnOnce(Bucket) -> F + Send + 'static,
    {
        let write = |call| Pending::start_write(&self.ctx.shared.writes, call);
        prepare(self.ctx, Rights::WRITE, call).map_or_else(Pending::refused, write)
    }
}

/// A call, if there is room for one more.
fn prepare<T, F, C>(
    ctx: &KvCtx,
    wanted: Rights,
    call: C,
) -> Result<impl Future<Output = Result<T, Fail>> + Send + 'static + use<T, F, C>, Fail>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Fail>> + Send,
    C: FnOnce(Bucket) -> F + Send + 'static,
{
    let most = ctx.shared.limits.pending;
    let place = Held::take(&ctx.pending, 1, most)
        .ok_or_else(|| Fail::Other(format!("{most} calls to the cache are under way, which is the limit")))?;
    let (shared, kept) = (Arc::clone(&ctx.shared), ctx.kept.clone());
    Ok(async move {
        let _kept = (place, kept);
        let open = shared.access.open(&shared.cache_bucket).await?;
        open.rights.check(wanted)?;
        call(open.bucket).await
    })
}

impl cache::Host for KvCtxView<'_> {
    fn get(&mut self, key: String) -> Result<Resource<FutureGet>> {
        // Counted from when it is there, taken or not.
        let budget = self.ctx.budget.clone();
        let call = self.start(Rights::READ, async move |bucket| budget.read(&bucket, &key).await);
        self.push(FutureGet(call)).map_err(Fail::into_trap)
    }

    fn exists(&mut self, key: String) -> Result<Resource<FutureExists>> {
        let call = self.start(Rights::READ, async move |bucket| Ok(bucket.exists(&key).await?));
        self.push(FutureExists(call)).map_err(Fail::into_trap)
    }

    fn set(&mut self, key: String, value: Resource<Outgoing>, millis: Option<u32>) -> Result<Resource<FutureDone>> {
        // Counted as held until it is stored, for the guest may drop its own handle meanwhile.
        let prepared = ttl(millis).and_then(|ttl| {
            let value = self.outgoing(&value)?;
            let held = self.ctx.budget.hold(value.len())?;
            Ok((ttl, value, held))
        });
        let call = match prepared {
            Err(fail @ Fail::Trap(_)) => return Err(fail.into_trap()),
            Err(fail) => Pending::refused(fail),
            Ok((ttl, value, held)) => self.start_write(async move |bucket| {
                let _held = held;
                match ttl {
                    Some(ttl) => Ok(bucket.set_with_ttl(&key, value, ttl).await?),
                    None => Ok(bucket.set(&key, value).await?),
                }
            }),
        };
        self.push(FutureDone(call)).map_err(Fail::into_trap)
    }

    fn get_or_set(&mut self, key: String) -> Result<Resource<FutureGetOrSet>> {
        let budget = self.ctx.budget.clone();
        let call = self.start(Rights::READ_WRITE, async move |bucket| {
            loop {
                if let Some(value) = budget.read(&bucket, &key).await? {
                    return Ok(Entry::Occupied(value));
                }
                // Not in a turn of the reads: whoever is to fill the entry may have to read first.
                if let Some(vacancy) = bucket.vacancy(&key).await? {
                    return Ok(Entry::Vacant(vacancy));
                }
            }
        });
        self.push(FutureGetOrSet(call)).map_err(Fail::into_trap)
    }

    fn delete(&mut self, key: String) -> Result<Resource<FutureDone>> {
        let call = self.start_write(async move |bucket| Ok(bucket.delete(&key).await?));
        self.push(FutureDone(call)).map_err(Fail::into_trap)
    }
}

impl cache::HostFutureGetResult for KvCtxView<'_> {
    fn future_get_result_get(&mut self, future: Resource<FutureGet>) -> Asked<Option<Resource<Incoming>>> {
        let Some(done) = self.table.get_mut(&future)?.0.take() else { return Ok(None) };
        let value = done.and_then(|found| found.map(|value| self.push(value)).transpose());
        self.told(value).map(Some)
    }

    fn listen_to_future_get_result(&mut self, future: Resource<FutureGet>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, future)
    }

    fn drop(&mut self, future: Resource<FutureGet>) -> Result<()> {
        self.free(future).map(drop)
    }
}

impl cache::HostFutureExistsResult for KvCtxView<'_> {
    fn future_exists_result_get(&mut self, future: Resource<FutureExists>) -> Asked<bool> {
        let Some(done) = self.table.get_mut(&future)?.0.take() else { return Ok(None) };
        self.told(done).map(Some)
    }

    fn listen_to_future_exists_result(&mut self, future: Resource<FutureExists>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, future)
    }

    fn drop(&mut self, future: Resource<FutureExists>) -> Result<()> {
        self.free(future).map(drop)
    }
}

impl cache::HostFutureResult for KvCtxView<'_> {
    fn future_result_get(&mut self, future: Resource<FutureDone>) -> Asked<()> {
        let Some(done) = self.table.get_mut(&future)?.0.take() else { return Ok(None) };
        self.told(done).map(Some)
    }

    fn listen_to_future_result(&mut self, future: Resource<FutureDone>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, future)
    }

    fn drop(&mut self, future: Resource<FutureDone>) -> Result<()> {
        self.free(future).map(drop)
    }
}

impl cache::HostFutureGetOrSetResult for KvCtxView<'_> {
    fn future_get_or_set_result_get(&mut self, future: Resource<FutureGetOrSet>) -> Asked<cache::GetOrSetEntry> {
        let Some(done) = self.table.get_mut(&future)?.0.take() else { return Ok(None) };
        let entry = done.and_then(|entry| match entry {
            Entry::Occupied(value) => self.push(value).map(cache::GetOrSetEntry::Occupied),
            Entry::Vacant(vacancy) => self.push(Vacant(Some(vacancy))).map(cache::GetOrSetEntry::Vacant),
        });
        self.told(entry).map(Some)
    }

    fn listen_to_future_get_or_set_result(
        &mut self,
        future: Resource<FutureGetOrSet>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(self.table, future)
    }

    fn drop(&mut self, future: Resource<FutureGetOrSet>) -> Result<()> {
        self.free(future).map(drop)
    }
}

impl cache::HostVacancy for KvCtxView<'_> {
    /// The value is stored when it is written: at once by the call for a whole body, and by closing the stream otherwise. This
    /// function has no error to return, so a time to live of 0 is told by the call that writes, or that opens the stream.
    fn vacancy_fill(&mut self, vacancy: Resource<Vacant>, millis: Option<u32>) -> Result<Resource<Outgoing>> {
        let vacancy = self.table.get_mut(&vacancy)?.0.take();
        let vacancy = vacancy.ok_or_else(|| wasmtime::Error::msg("this vacancy was filled already"))?;
        let ttl = millis.map(|millis| Duration::from_millis(millis.into()));
        self.push(Outgoing::filling(Filling { vacancy, ttl })).map_err(Fail::into_trap)
    }

    fn drop(&mut self, vacancy: Resource<Vacant>) -> Result<()> {
        self.free(vacancy).map(drop)
    }
}

macro_rules! pollable {
    ($($future:ident),*) => {$(
        #[wasmtime_wasi_io::async_trait]
        impl wasmtime_wasi_io::poll::Pollable for $future {
            async fn ready(&mut self) {
                self.0.ready().await;
            }
        }
    )*};
}

pollable!(FutureGet, FutureExists, FutureDone, FutureGetOrSet);
