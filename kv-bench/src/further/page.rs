use std::time::Instant;

use kv::{Bucket, Store};
use tokio::runtime::Runtime;

use super::Found;
use crate::client::{Client, Result};
use crate::engines::{Class, Engine};
use crate::pair::Pairs;
use crate::scale::{PAGE, write_records};
use crate::suite::Options;

/// The other buckets, and how many keys each holds.
const OTHERS: usize = 10;
const OTHER_KEYS: usize = 100_000;
const QUICK_OTHER_KEYS: usize = 1_000;

/// A bucket of one page, in a place of its own.
struct Shelf<E: Engine> {
    bucket: Bucket,
    store: Store,
    /// Goes last: the store stands in it.
    _place: E::Place,
}

impl<E: Engine> Shelf<E> {
    async fn open(options: &Options, class: Class, others: usize) -> Result<Self> {
        let place = E::place(options.dir())?;
        let store = E::open(&place, class, &options.with).await?;
        // Half of the others before and half behind, in time and by name.
        let keys = if options.quick { QUICK_OTHER_KEYS } else { OTHER_KEYS };
        for n in 0..others / 2 {
            write_records(&mut store.open_bucket(&format!("a{n}")).await?, keys).await?;
        }
        let mut bucket = store.open_bucket("bench").await?;
        write_records(&mut bucket, PAGE).await?;
        for n in others / 2..others {
            write_records(&mut store.open_bucket(&format!("c{n}")).await?, keys).await?;
        }
        Ok(Self { bucket, store, _place: place })
    }

    /// Reads the page over and over for the length of a round; gives nanoseconds a page.
    fn pages(&self, runtime: &Runtime, options: &Options) -> Result<f64> {
        let (mut bucket, length) = (self.bucket.clone(), options.round());
        runtime.block_on(async {
            let reader = tokio::spawn(async move {
                let (begun, mut pages) = (Instant::now(), 0);
                while begun.elapsed() < length {
                    let (found, _) = bucket.page(None, PAGE).await?;
                    if found != PAGE {
                        return Err(format!("{found} instead of {PAGE} keys of a page").into());
                    }
                    pages += 1;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(begun.elapsed().as_nanos() as f64 / f64::from(pages))
            });
            reader.await?
        })
    }
}

/// Compares the page among other buckets with the page alone.
pub(super) fn measure<E: Engine>(runtime: &Runtime, options: &Options, class: Class) -> Result<Found> {
    let mut pairs = Pairs::default();
    for _ in 0..options.stores {
        let (among, alone) = runtime.block_on(async {
            let among = Shelf::<E>::open(options, class, OTHERS).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((among, Shelf::<E>::open(options, class, 0).await?))
        })?;
        // Once to warm up.
        among.pages(runtime, options)?;
        alone.pages(runtime, options)?;
        for _ in 0..options.rounds_a_store() {
            pairs.by_turns(|| among.pages(runtime, options), || alone.pages(runtime, options))?;
        }
        runtime.block_on(async {
            among.store.close().await?;
            alone.store.close().await
        })?;
    }
    Ok(Found { compared: pairs.sum_up(), note: None })
}
