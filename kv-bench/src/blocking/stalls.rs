use std::time::{Duration, Instant};

use bytes::Bytes;
use kv::Store;
use tokio::runtime::Runtime;

use super::{CALLERS, Seen, Times, opened};
use crate::client::{Client, Result};
use crate::data::random_bytes;
use crate::engines::{Class, Engine};
use crate::suite::Options;

/// A value that no engine makes smaller, cut out of as many bytes as make each differ from the ones before.
const VALUE_BYTES: usize = 32 << 10;
const POOL_BYTES: usize = 1 << 20;

/// Keys of each writer: half a GiB for all, so that old values are not just replaced in memory.
const KEYS: usize = 256;

/// How long is written before it is looked whether there were stalls, and how often.
const LENGTH: Duration = Duration::from_secs(3);
const QUICK: Duration = Duration::from_millis(100);
const ROUNDS: usize = 6;

/// Writes as fast as it goes until the engine has told of stalls; what is told is of the time in which it did.
pub(super) fn write<E: Engine>(runtime: &Runtime, options: &Options, class: Class, io: &str) -> Result<Seen> {
    let place = E::place(options.dir())?;
    let (length, rounds) = if options.quick { (QUICK, 1) } else { (LENGTH, ROUNDS) };
    let pool = random_bytes(POOL_BYTES);
    runtime.block_on(async {
        let store = opened::<E>(&place, options, class, &[&format!("io={io}")]).await?;
        let bucket = store.open_bucket("bench").await?;
        let (mut seen, mut stalls) = (None, 0);
        for _ in 0..rounds {
            let before = count(&store).await?;
            let (begun, until) = (Instant::now(), Instant::now() + length);
            let writers: Vec<_> = (0..CALLERS)
                .map(|writer| tokio::spawn(write_until(bucket.clone(), pool.clone(), writer, until)))
                .collect();
            let (mut times, mut writes) = (Times::new()?, 0);
            for writer in writers {
                let (timed, written) = writer.await??;
                times.add(&timed)?;
                writes += written;
            }
            let bytes_a_second = (writes * VALUE_BYTES) as f64 / begun.elapsed().as_secs_f64();
            stalls = count(&store).await?.saturating_sub(before);
            let note = format!("{stalls} stalls, {:.0} MiB a second", bytes_a_second / f64::from(1 << 20));
            seen = Some((times, note));
            if stalls > 0 {
                break;
            }
        }
        store.close().await?;
        let (times, note) = seen.ok_or("nothing was written")?;
        Ok(Seen { times, came_about: stalls > 0, note })
    })
}

/// How many stalls the store tells of.
async fn count(store: &Store) -> Result<u64> {
    let facts = store.info().await?;
    let stalls = facts.iter().find(|(name, _)| name.contains("stall")).ok_or("the store tells nothing of stalls")?;
    let digits: String = stalls.1.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// One writer; gives the times of its polls, and how many values it wrote.
async fn write_until<C: Client>(mut client: C, pool: Bytes, writer: usize, until: Instant) -> Result<(Times, usize)> {
    let keys: Vec<String> = (0..KEYS).map(|n| format!("{writer:02}:{n:06}")).collect();
    let (mut times, mut written) = (Times::new()?, 0);
    for key in keys.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        // A step that is no divisor of the pool, so that beginnings differ for long.
        let from = (writer * 7_919 + written * 104_729) % (POOL_BYTES - VALUE_BYTES);
        times.timed(client.set(key, &pool.slice(from..from + VALUE_BYTES))).await?;
        written += 1;
    }
    Ok((times, written))
}
