//! A server that freezes for longer than calls wait, under callers that keep account of what they were told.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_core::{Bucket, Effect, Error, ErrorKind};
use libtest_mimic::Failed;

use crate::Row;
use crate::crashes::SERVICE;
use crate::support::{PATIENCE, Server, block_on, ensure_eq, store_with};

pub(crate) const TESTS: &[Row] = &[(&[], "frozen::callers_are_told_the_truth_and_go_on", freeze)];

const CALLERS: usize = 64;
const FREEZE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(1);

/// No call may take longer than a connection and an answer are waited for; the rest is for a loaded machine.
const LONGEST_CALL: Duration = Duration::from_millis(2_500);

/// One that sets and gets a key of its own, and counts together with the others.
struct Caller {
    bucket: Bucket,
    key: String,
    /// Calls that succeeded.
    served: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    account: Account,
}

/// What a caller was told.
#[derive(Default)]
struct Account {
    /// What its key may hold: what was acknowledged last, and whatever was sent and may be applied at any time.
    acknowledged: Option<String>,
    unknown: HashSet<String>,
    counted: Vec<i64>,
    perhaps_counted: i64,
    longest: Duration,
}

impl Caller {
    /// Begins with the call of this number: callers that begin alike stay in step, and the freeze would meet one kind only.
    async fn run(mut self, first: usize) -> Result<Account, String> {
        let mut n = first;
        while !self.done.load(Ordering::Relaxed) {
            n += 1;
            let begun = Instant::now();
            let result = match n % 3 {
                0 => self.set(format!("{}: {n}", self.key)).await,
                1 => self.get().await,
                _ => self.count().await,
            };
            self.account.longest = self.account.longest.max(begun.elapsed());
            match result? {
                true => _ = self.served.fetch_add(1, Ordering::Relaxed),
                false => tokio::task::yield_now().await,
            }
        }
        // Whatever is in the key now, somebody must have been told that it may be.
        let begun = Instant::now();
        while !self.get().await? {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} can't be read", self.key));
            }
        }
        Ok(self.account)
    }

    async fn set(&mut self, value: String) -> Result<bool, String> {
        match self.bucket.set(&self.key, value.clone()).await {
            Ok(()) => self.account.acknowledged = Some(value),
            Err(error) => {
                if effect(&error)? == Effect::Unknown {
                    self.account.unknown.insert(value);
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn get(&mut self) -> Result<bool, String> {
        match self.bucket.get(&self.key).await {
            Ok(found) => {
                let found = found.map(|value| String::from_utf8_lossy(&value).into_owned());
                if found != self.account.acknowledged
                    && !found.as_ref().is_some_and(|found| self.account.unknown.contains(found))
                {
                    let expected = &self.account.acknowledged;
                    return Err(format!("{} read {found:?}, but last wrote {expected:?}", self.key));
                }
                Ok(true)
            }
            Err(error) if effect(&error)? != Effect::None => Err(format!("a read: {error:?}")),
            Err(_) => Ok(false),
        }
    }

    async fn count(&mut self) -> Result<bool, String> {
        match self.bucket.increment("n", 1).await {
            Ok(sum) => self.account.counted.push(sum),
            Err(error) => {
                self.account.perhaps_counted += i64::from(effect(&error)? == Effect::Unknown);
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn effect(error: &Error) -> Result<Effect, String> {
    match error.kind() {
        ErrorKind::Timeout | ErrorKind::Unavailable => Ok(error.effect()),
        _ => Err(format!("{error:?}")),
    }
}

fn freeze(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let store = store_with(server, "frozen", |config| {
            config.timeout = TIMEOUT;
            config.connect_timeout = TIMEOUT;
        });
        let bucket = store.open_bucket("b").await?;
        let done = Arc::new(AtomicBool::new(false));
        let (mut served, mut callers) = (Vec::new(), Vec::new());
        for caller in 0..CALLERS {
            let own = Arc::new(AtomicU64::new(0));
            served.push(Arc::clone(&own));
            let (bucket, done) = (bucket.clone(), Arc::clone(&done));
            let key = format!("caller {caller}");
            callers
                .push(tokio::spawn(Caller { bucket, key, served: own, done, account: Account::default() }.run(caller)));
        }
        all_served(&served).await?;
        server.signal("STOP")?;
        tokio::time::sleep(FREEZE).await;
        server.signal("CONT")?;
        let resumed = all_served(&served).await;
        done.store(true, Ordering::Relaxed);

        let (mut sums, mut unknown, mut perhaps) = (Vec::new(), 0, 0);
        for caller in callers {
            let account = caller.await??;
            ensure_eq!(account.longest < LONGEST_CALL, true, "a call took {:?}", account.longest);
            sums.extend(account.counted);
            unknown += account.unknown.len();
            perhaps += account.perhaps_counted;
        }
        // After the callers' own words, which may be why they were not served.
        resumed?;
        // An answer that reached the wrong caller would be there twice.
        let (acknowledged, distinct) = (sums.len(), sums.iter().collect::<HashSet<_>>().len());
        ensure_eq!(distinct, acknowledged, "sums that were told twice");
        let (acknowledged, counter) = (i64::try_from(acknowledged)?, bucket.increment("n", 0).await?);
        ensure_eq!(
            (acknowledged..=acknowledged + perhaps).contains(&counter),
            true,
            "{acknowledged}, {perhaps}, {counter}"
        );
        ensure_eq!(unknown > 0 && perhaps > 0, true, "the freeze met {unknown} sets and {perhaps} counts");
        Ok(())
    })
}

/// Waits until each caller has had an answer from now on.
async fn all_served(served: &[Arc<AtomicU64>]) -> Result<(), Failed> {
    let (begun, before) = (Instant::now(), served.iter().map(|own| own.load(Ordering::Relaxed)).collect::<Vec<_>>());
    loop {
        let waiting =
            served.iter().zip(&before).filter(|(own, before)| own.load(Ordering::Relaxed) <= **before).count();
        if waiting == 0 {
            return Ok(());
        }
        if begun.elapsed() > SERVICE {
            return Err(format!("after {SERVICE:?} {waiting} callers still wait").into());
        }
        tokio::task::yield_now().await;
    }
}
