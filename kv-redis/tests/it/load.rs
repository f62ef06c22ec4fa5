//! Callers that write and read without end, and what became of their writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Bucket, Effect};
use libtest_mimic::Failed;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::support::PATIENCE;

/// Callers at once.
const CALLERS: usize = 64;

/// How long no call has failed once all is well again.
const QUIET: Duration = Duration::from_secs(1);

/// Counters that they share.
const COUNTERS: usize = 16;

/// What the callers are told, and what they tell.
struct Shared {
    bucket: Bucket,
    is_done: AtomicBool,
    /// Whether acknowledged writes may be gone by now.
    may_lose: AtomicBool,
    /// Who has had no write acknowledged since that was asked last.
    missing: Mutex<Vec<bool>>,
    acknowledged: [AtomicI64; COUNTERS],
    unknown: [AtomicI64; COUNTERS],
    lost: AtomicU64,
    errors: AtomicU64,
    /// What should not be.
    found: Mutex<Option<String>>,
    /// When the last call failed.
    failed: Mutex<Option<Instant>>,
}

/// Callers at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

/// What became of it all.
#[derive(Debug)]
pub(crate) struct Sum {
    pub(crate) acknowledged: i64,
    pub(crate) unknown: i64,
    /// Acknowledged writes that are gone.
    pub(crate) lost: i64,
    #[expect(dead_code, reason = "shown only")]
    pub(crate) errors: u64,
}

impl Load {
    pub(crate) fn start(bucket: &Bucket) -> Self {
        let shared = Arc::new(Shared {
            bucket: bucket.clone(),
            is_done: AtomicBool::new(false),
            may_lose: AtomicBool::new(false),
            missing: Mutex::default(),
            acknowledged: std::array::from_fn(|_| AtomicI64::new(0)),
            unknown: std::array::from_fn(|_| AtomicI64::new(0)),
            lost: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            found: Mutex::new(None),
            failed: Mutex::new(None),
        });
        let callers = (0..CALLERS).map(|caller| tokio::spawn(Arc::clone(&shared).work(caller))).collect();
        Self { shared, callers }
    }

    /// Waits until every caller has had a write acknowledged since `since`, and no call has failed for a second; how long
    /// it took from `since` to the last failure.
    pub(crate) async fn recovers(&self, since: Instant) -> Result<Duration, Failed> {
        *self.shared.missing.lock() = vec![true; CALLERS];
        loop {
            let failed = self.shared.failed.lock().filter(|failed| *failed > since);
            let is_quiet = failed.unwrap_or(since).elapsed() > QUIET;
            if is_quiet && !self.shared.missing.lock().contains(&true) {
                return Ok(failed.map_or(Duration::ZERO, |failed| failed - since));
            }
            if since.elapsed() > PATIENCE {
                return Err("some callers were not served again".into());
            }
            if self.callers.iter().any(JoinHandle::is_finished) {
                return Err(self.why());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What a caller has found.
    fn why(&self) -> Failed {
        self.shared.is_done.store(true, Ordering::SeqCst);
        let found = self.shared.found.lock().clone();
        found.unwrap_or_else(|| "a caller has panicked".to_owned()).into()
    }

    /// From now on acknowledged writes may be lost, as they are with a primary.
    pub(crate) fn may_lose(&self) {
        self.shared.may_lose.store(true, Ordering::SeqCst);
    }

    /// Ends the callers and compares what is there with what they were told.
    pub(crate) async fn end(self) -> Result<Sum, Failed> {
        let shared = self.shared;
        shared.is_done.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.await?;
        }
        if let Some(found) = shared.found.lock().clone() {
            return Err(found.into());
        }
        let mut sum = Sum {
            acknowledged: 0,
            unknown: 0,
            lost: i64::try_from(shared.lost.load(Ordering::SeqCst))?,
            errors: shared.errors.load(Ordering::SeqCst),
        };
        for (at, (acknowledged, unknown)) in shared.acknowledged.iter().zip(&shared.unknown).enumerate() {
            let (acknowledged, unknown) = (acknowledged.load(Ordering::SeqCst), unknown.load(Ordering::SeqCst));
            let counted = shared.bucket.increment(&format!("n{at}"), 0).await?;
            if counted > acknowledged + unknown {
                return Err(format!("{acknowledged} acknowledged, {unknown} unknown, but {counted} counted").into());
            }
            let lost = (acknowledged - counted).max(0);
            if lost > 0 && !shared.may_lose.load(Ordering::SeqCst) {
                return Err(format!("{acknowledged} acknowledged, but only {counted} counted").into());
            }
            sum.acknowledged += acknowledged;
            sum.unknown += unknown;
            sum.lost += lost;
        }
        Ok(sum)
    }
}

impl Shared {
    async fn work(self: Arc<Self>, caller: usize) {
        if let Err(found) = self.call(caller).await {
            self.found.lock().get_or_insert(found);
        }
    }

    async fn call(&self, caller: usize) -> Result<(), String> {
        let (own, counter) = (format!("own {caller}"), caller % COUNTERS);
        let (mut written, mut acknowledged) = (0_u64, None);
        while !self.is_done.load(Ordering::Relaxed) {
            written += 1;
            match self.bucket.set(&own, format!("{own}={written}")).await {
                Ok(()) => {
                    acknowledged = Some(written);
                    self.served(caller);
                }
                Err(_) => self.failed().await,
            }
            match self.bucket.increment(&format!("n{counter}"), 1).await {
                Ok(_) => _ = self.acknowledged[counter].fetch_add(1, Ordering::SeqCst),
                Err(error) => {
                    if error.effect() == Effect::Unknown {
                        self.unknown[counter].fetch_add(1, Ordering::SeqCst);
                    }
                    self.failed().await;
                }
            }
            let may_lose = self.may_lose.load(Ordering::SeqCst);
            match self.bucket.get(&own).await {
                Ok(found) => {
                    let found = found.map(|found| String::from_utf8_lossy(&found).into_owned());
                    let number: Option<u64> = found
                        .as_ref()
                        .map_or(Some(0), |found| found.strip_prefix(&own)?.strip_prefix('=')?.parse().ok());
                    match (number, acknowledged) {
                        (None, _) => return Err(format!("{own} was answered with {found:?}")),
                        (Some(found), _) if found > written => return Err(format!("{own}: {found} was never written")),
                        (Some(found), Some(last)) if found < last => {
                            // One that was lost shows until the next write.
                            if !may_lose && !self.may_lose.load(Ordering::SeqCst) {
                                return Err(format!("{own}: {last} was acknowledged, {found} is there"));
                            }
                            self.lost.fetch_add(last - found, Ordering::SeqCst);
                            acknowledged = None;
                        }
                        _ => {}
                    }
                }
                Err(error) if error.effect() != Effect::None => return Err(format!("a read: {error}")),
                Err(_) => self.failed().await,
            }
        }
        Ok(())
    }

    fn served(&self, caller: usize) {
        if let Some(missing) = self.missing.lock().get_mut(caller) {
            *missing = false;
        }
    }

    async fn failed(&self) {
        *self.failed.lock() = Some(Instant::now());
        self.errors.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
