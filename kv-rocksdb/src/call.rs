//! How calls run: on the caller's task, on the pool, or alone, and what of the task's budget they use up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kv_core::Result;
use kv_core::local::errors::unsynced;
use kv_core::local::{is_due, units_due};
use tokio::task::coop::consume_budget;

use crate::engine::{Stall, View, Way};
use crate::entry::{Entry, load};
use crate::error::Fault;
use crate::io::{IoPolicy, offload};
use crate::layout::PhysicalKey;
use crate::registry::BucketState;
use crate::store::{Bucket, Inner};

/// How long a step of longer work takes before it lets others run: well under the 1 ms that a poll may last
/// (RUN-2).
pub(crate) const SLICE: Duration = Duration::from_micros(400);

/// Units of a task's budget that one call uses up at most: all that tokio gives, so that the longest calls let others run
/// once, however soon the pool is done with them.
const MOST_CHARGED: usize = 128;

/// What a unit stands for, as in `kv_core::local`.
const UNIT: Duration = Duration::from_micros(5);

/// Units that a short call is charged at most.
const SHORT_UNITS: usize = 1;

/// Times that a step finds its record out of memory, having had it read, before it runs where it may wait.
const COLD_TRIES: usize = 2;

/// How long a write that the engine refused waits before it is looked whether it would be taken now.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// What a call was doing when it failed.
pub(crate) const READING: &str = "reading an entry";
const WRITING: &str = "writing an entry";

/// Uses up the task's budget for a short call (RUN-2).
#[inline]
async fn charge_short() {
    if is_due() {
        charge_due().await;
    }
}

/// Uses it up for short calls that were counted.
pub(crate) async fn charge_due() {
    for _ in 0..units_due() {
        consume_budget().await;
    }
}

/// Uses up the task's budget by the work of a longer call, or a task that makes long ones again and again would not yield for
/// tens of milliseconds (RUN-2).
pub(crate) async fn charge(units: usize) {
    for _ in 0..units.clamp(1, MOST_CHARGED) {
        consume_budget().await;
    }
}

/// Uses it up by a call's own time, as far as the units that were charged for it fall short of that.
pub(crate) async fn charge_rest(took: Duration, charged: usize) {
    match rest(took, charged) {
        0 => {}
        units => charge(units).await,
    }
}

/// Units that a call has to use up besides those that were charged for it.
fn rest(took: Duration, charged: usize) -> usize {
    let units = took.as_nanos() / UNIT.as_nanos();
    usize::try_from(units).unwrap_or(usize::MAX).saturating_sub(charged)
}

impl Inner {
    /// Waits until what was written is as durable as the store promises (DUR-1).
    #[inline]
    pub(crate) async fn acknowledge(&self) -> Result<()> {
        match &self.committer {
            None => Ok(()),
            Some(committer) => committer.acknowledge().await.map_err(|failed| unsynced(&failed)),
        }
    }

    /// How a read of many keys runs on the caller's task, and whether it may wait there; `None` if it does not.
    pub(crate) fn reading_many(&self) -> Option<(Way, bool)> {
        match self.config.io {
            IoPolicy::Auto if self.trust_many.is_enough() => Some((Way::Shared, true)),
            policy => policy.inline().map(|way| (way, false)),
        }
    }

    /// Runs a step on the pool, alone. It goes on if this future is dropped. It may be run several times, of which the last one
    /// counts: those before it changed nothing.
    pub(crate) async fn run_alone<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        step: impl Fn(&Self, View<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let alone = self.gate.alone().await;
        let inner = Arc::clone(self);
        offload(move || {
            inner.engine.check_writable()?;
            let done = inner.run_patiently(|view| step(&inner, view));
            drop(alone);
            done.map_err(|fault| fault.into_error(doing))
        })
        .await?
    }

    /// Runs a step until the engine takes its write, on a thread that may wait and holds the gate alone. Likewise.
    pub(crate) fn run_patiently<T>(&self, step: impl Fn(View<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        loop {
            let done = self.engine.run(Way::Alone, |view| {
                view.stall()?;
                step(view)
            });
            match done {
                Err(Fault::Stalled(bytes)) => self.wait_for_room(bytes)?,
                done => return done,
            }
        }
    }

    /// Waits until a write of so many bytes has a chance again. The engine tells nobody, so it is asked.
    fn wait_for_room(&self, bytes: usize) -> Result<(), Fault> {
        let mut slowed = Duration::ZERO;
        loop {
            thread::sleep(BETWEEN_LOOKS);
            match self.engine.run(Way::Alone, |view| view.stall())? {
                Stall::None => return Ok(()),
                Stall::Stopped => slowed = Duration::ZERO,
                Stall::Slowed(rate) => {
                    slowed += BETWEEN_LOOKS;
                    // It refuses so much for the time in which it takes that many bytes, and then saves up for as many.
                    if slowed.as_secs_f64() > 2.0 * bytes as f64 / rate as f64 {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Has a row read into memory, on the pool and without any lock.
    pub(crate) async fn warm(self: &Arc<Self>, key: impl AsRef<[u8]> + Send + 'static) -> Result<()> {
        let inner = Arc::clone(self);
        offload(move || inner.engine.wait(READING, |view| view.get(key).map(drop))).await?
    }
}

impl Bucket {
    /// Runs a read of one key: where it is asked for if memory can answer, else on the pool.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        key: &str,
        step: impl Fn(View<'_>, &BucketState, &str) -> Result<T, Fault> + Copy + Send + 'static,
    ) -> Result<T> {
        charge_short().await;
        match self.read_here(key, step) {
            Some((done, units)) => {
                let done = done.map_err(|fault| fault.into_error(READING));
                if units > 0 {
                    charge(units).await;
                }
                done
            }
            // Boxed, so that the usual future stays small.
            None => Box::pin(self.read_on_pool(key, step)).await,
        }
    }

    /// Runs a read of one key on the caller's task; `None` where memory can't answer. Gives the units as well that are still
    /// to be charged for it.
    #[inline(always)]
    pub(crate) fn read_here<T>(
        &self,
        key: &str,
        step: impl Fn(View<'_>, &BucketState, &str) -> Result<T, Fault>,
    ) -> Option<(Result<T, Fault>, usize)> {
        let inner = &*self.inner;
        let way = inner.config.io.inline()?;
        let is_probed = way != Way::Quick || !inner.trust.leaves_out_probe();
        if is_probed {
            let done = inner.engine.run(way, |view| step(view, &self.state, key));
            if !matches!(done, Err(Fault::Cold)) {
                if way == Way::Quick {
                    inner.counts.hits.note();
                }
                return Some((done, 0));
            }
            if !inner.trust.missed() {
                inner.counts.misses.note();
                return None;
            }
        }
        Some(self.read_trusted(|view| step(view, &self.state, key)))
    }

    /// Runs a read on the task that may wait, and notes whether it did.
    #[cold]
    fn read_trusted<T>(&self, step: impl FnOnce(View<'_>) -> Result<T, Fault>) -> (Result<T, Fault>, usize) {
        let inner = &*self.inner;
        inner.counts.trusted.note();
        let (done, took) = inner.trust.time_on_task(|| inner.engine.run(Way::Shared, step));
        (done, rest(took, SHORT_UNITS))
    }

    /// Runs a read of one key on the pool, from which is learnt whether the system has such reads in memory.
    pub(crate) async fn read_on_pool<T: Send + 'static>(
        &self,
        key: &str,
        step: impl FnOnce(View<'_>, &BucketState, &str) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (bucket, key) = (self.clone(), key.to_owned());
        let step = move |view: View<'_>| bucket.inner.trust.watch(|| step(view, &bucket.state, &key));
        let inner = Arc::clone(&self.inner);
        offload(move || inner.engine.wait(READING, step)).await?
    }

    /// Reads a value on the pool, large or not.
    pub(crate) async fn load_on_pool(&self, key: &str) -> Result<Option<Bytes>> {
        let (bucket, key) = (self.clone(), key.to_owned());
        offload(move || bucket.inner.engine.wait(READING, |view| load(view, &bucket.state, &key))).await?
    }

    /// Runs a step on one entry under its key's lock. It may be run several times, of which the last one counts: those
    /// before it changed nothing.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        key: &str,
        step: impl Fn(&mut Entry<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        charge_short().await;
        match self.write_here(key, &step) {
            Ok(done) => done,
            // Boxed, so that the usual future stays small.
            Err(fault) => Box::pin(self.write_slowly(key, step, fault)).await,
        }
    }

    /// Runs a step on the caller's task, or tells why it must run elsewhere: nothing for a gate that others hold.
    #[inline(always)]
    pub(crate) fn write_here<T>(
        &self,
        key: &str,
        step: &impl Fn(&mut Entry<'_>) -> Result<T, Fault>,
    ) -> Result<Result<T>, Option<Fault>> {
        let way = self.inner.config.io.inline().ok_or(None)?;
        let Some(_shared) = self.inner.gate.pass() else { return Err(None) };
        if let Err(refused) = self.inner.engine.check_writable() {
            return Ok(Err(refused));
        }
        match self.step(way, key, step) {
            Err(elsewhere) if elsewhere.is_elsewhere() => Err(Some(elsewhere)),
            done => Ok(done.map_err(|fault| fault.into_error(WRITING))),
        }
    }

    /// Goes on with a step that could not run on the caller's task.
    pub(crate) async fn write_slowly<T: Send + 'static>(
        &self,
        key: &str,
        step: impl Fn(&mut Entry<'_>) -> Result<T, Fault> + Send + 'static,
        mut fault: Option<Fault>,
    ) -> Result<T> {
        let Some(way) = self.inner.config.io.inline() else { return self.write_on_pool(key, step).await };
        let mut cold = 0;
        loop {
            match fault {
                // The gate was held alone.
                None => {}
                Some(Fault::Cold) if cold < COLD_TRIES => {
                    cold += 1;
                    self.warm(key).await?;
                }
                Some(fault) => {
                    self.note_stall(&fault);
                    return self.write_alone(key, step).await;
                }
            }
            let _shared = self.inner.gate.share().await;
            self.inner.engine.check_writable()?;
            match self.step(way, key, &step) {
                Err(elsewhere) if elsewhere.is_elsewhere() => fault = Some(elsewhere),
                done => return done.map_err(|fault| fault.into_error(WRITING)),
            }
        }
    }

    /// The call goes on if this future is dropped, and must keep those out who want to be alone until it ends.
    async fn write_on_pool<T: Send + 'static>(
        &self,
        key: &str,
        step: impl Fn(&mut Entry<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let shared = self.inner.gate.share_owned().await;
        let (bucket, at) = (self.clone(), key.to_owned());
        let (done, step) = offload(move || {
            let done = match bucket.inner.engine.check_writable() {
                Ok(()) => bucket.step(Way::Shared, &at, &step),
                Err(refused) => Err(Fault::Own(refused)),
            };
            drop(shared);
            (done, step)
        })
        .await?;
        match done {
            Err(elsewhere) if elsewhere.is_elsewhere() => {
                self.note_stall(&elsewhere);
                self.write_alone(key, step).await
            }
            done => done.map_err(|fault| fault.into_error(WRITING)),
        }
    }

    async fn write_alone<T: Send + 'static>(
        &self,
        key: &str,
        step: impl Fn(&mut Entry<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (state, key) = (Arc::clone(&self.state), key.to_owned());
        let step = move |inner: &Inner, view: View<'_>| step(&mut Entry::lock(inner, view, &state, &key));
        self.inner.run_alone(WRITING, step).await
    }

    pub(crate) fn note_stall(&self, fault: &Fault) {
        if matches!(fault, Fault::Stalled(_)) {
            self.inner.counts.stalls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the entry's record read into memory.
    async fn warm(&self, key: &str) -> Result<()> {
        match self.state.id() {
            Some(id) => self.inner.warm(PhysicalKey::entry(id, key)).await,
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn step<T>(&self, way: Way, key: &str, step: &impl Fn(&mut Entry<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let inner = &*self.inner;
        inner.engine.run(way, |view| step(&mut Entry::lock(inner, view, &self.state, key)))
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
pub(crate) mod tests;
