use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kv_core::{Effect, Error, ErrorKind, Provider, ProviderBucket, Result};

use crate::mutants::Fault;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opening writes a marker into the bucket.
pub(super) struct OpenCreatesEntry;

#[async_trait]
impl Fault for OpenCreatesEntry {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let bucket = below.open_bucket(name).await?;
        bucket.set(".bucket", "".into()).await?;
        Ok(bucket)
    }
}

/// Opening looks through all buckets for the name.
pub(super) struct OpenListsBuckets;

#[async_trait]
impl Fault for OpenListsBuckets {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let _is_known = below.buckets().await?.iter().any(|known| known == name);
        below.open_bucket(name).await
    }
}

/// Each open has data of its own.
#[derive(Default)]
pub(super) struct OpenClones(AtomicUsize);

#[async_trait]
impl Fault for OpenClones {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        below.open_bucket(&format!("{name}#{number}")).await
    }
}

/// A new bucket's number is looked for and then stored, in two steps: of several first opens the last one's stays.
#[derive(Default)]
pub(super) struct FirstOpensRace {
    next: AtomicUsize,
    numbers: Mutex<HashMap<String, usize>>,
}

#[async_trait]
impl Fault for FirstOpensRace {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let known = lock(&self.numbers).get(name).copied();
        let number = match known {
            Some(number) => number,
            None => {
                // The answer to the look takes a moment to arrive.
                tokio::task::yield_now().await;
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                lock(&self.numbers).insert(name.to_owned(), number);
                number
            }
        };
        below.open_bucket(&format!("{number}")).await
    }

    async fn buckets(&self, below: &Arc<dyn Provider>) -> Result<Vec<String>> {
        let held = below.buckets().await?;
        let numbers = lock(&self.numbers);
        let names = numbers.iter().filter(|(_, number)| held.contains(&number.to_string()));
        Ok(names.map(|(name, _)| name.clone()).collect())
    }
}

/// A bucket's number is its place in the order of opening since the start.
#[derive(Default)]
pub(super) struct NumbersByOpening(Mutex<HashMap<String, usize>>);

#[async_trait]
impl Fault for NumbersByOpening {
    async fn opened(&self, _: &Arc<dyn Provider>) -> Result<()> {
        lock(&self.0).clear();
        Ok(())
    }

    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let number = {
            let mut numbers = lock(&self.0);
            let next = numbers.len();
            *numbers.entry(name.to_owned()).or_insert(next)
        };
        below.open_bucket(&format!("{number}")).await
    }
}

/// One open in two hundred leaves a file open.
#[derive(Default)]
pub(super) struct OpensLeakFiles {
    opens: AtomicUsize,
    files: Mutex<Vec<File>>,
}

#[async_trait]
impl Fault for OpensLeakFiles {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        if self.opens.fetch_add(1, Ordering::Relaxed).is_multiple_of(200) {
            lock(&self.files).push(leaked_file()?);
        }
        below.open_bucket(name).await
    }
}

fn leaked_file() -> Result<File> {
    File::open("/dev/null").map_err(|error| {
        Error::new(ErrorKind::ResourceExhausted, Effect::None, "a file could not be opened").with_source(error)
    })
}

/// Every open bucket stays in a table.
#[derive(Default)]
pub(super) struct OpensLeakMemory(Mutex<HashMap<String, Arc<dyn ProviderBucket>>>);

#[async_trait]
impl Fault for OpensLeakMemory {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        let bucket = below.open_bucket(name).await?;
        lock(&self.0).insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }
}

/// One open in a thousand starts a thread that nobody ends.
#[derive(Default)]
pub(super) struct OpensLeakThreads {
    opens: AtomicUsize,
    threads: Mutex<Vec<Sender<()>>>,
}

#[async_trait]
impl Fault for OpensLeakThreads {
    async fn open_bucket(&self, below: &Arc<dyn Provider>, name: &str) -> Result<Arc<dyn ProviderBucket>> {
        if self.opens.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
            let (sender, receiver) = mpsc::channel::<()>();
            // Ends with the fault, so that a long run does not pile threads up.
            std::thread::spawn(move || receiver.recv());
            lock(&self.threads).push(sender);
        }
        below.open_bucket(name).await
    }
}

/// Each opening of the store leaves a file open.
#[derive(Default)]
pub(super) struct ReopeningLeaksFiles(Mutex<Vec<File>>);

#[async_trait]
impl Fault for ReopeningLeaksFiles {
    async fn opened(&self, _: &Arc<dyn Provider>) -> Result<()> {
        let file = leaked_file()?;
        lock(&self.0).push(file);
        Ok(())
    }
}
