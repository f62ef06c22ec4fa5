//! The command `export`.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use kv::{Bucket, ErrorKind, IncomingValue, Limits, Result, Store};

use crate::args::Export;
use crate::deadline::{self, Deadline};
use crate::exit::{Ended, Failure, Verdict};
use crate::output::{Output, note};
use crate::record::Shown;
use crate::session::Session;

/// Values read in one call, unless they are large.
const AT_ONCE: usize = 256;

/// Deadlines asked for at once of a server, where each question is a round trip. A store in this process answers in
/// microseconds, one after the other and so within one of the clock's milliseconds.
const DEADLINES_AT_ONCE: usize = 64;

pub(super) async fn export(args: Export, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            // No reply holds more than one value of the largest size, which bounds the memory.
            let limits = store.limits().clone();
            let store =
                store.with_limits(Limits { reply_bytes: limits.reply_bytes.min(limits.value_bytes), ..limits })?;
            let bucket = store.open_bucket(&args.bucket).await?;
            let keys = sorted_keys(&bucket, &args.prefix).await?;
            if keys.is_empty() && args.prefix.is_empty() {
                // Nothing is what a mistyped name gives too.
                note(format!("the bucket {:?} is empty; `kv buckets` lists those that are not", args.bucket));
            }
            let mut at_once = AT_ONCE;
            let mut rest = keys.as_slice();
            while !rest.is_empty() {
                let (keys, values) = read(&bucket, &mut rest, &mut at_once).await?;
                write(&store, &bucket, keys, &values, out).await?;
            }
            Ok(Verdict::Yes)
        })
        .await
}

/// All keys, sorted by their bytes. A listing promises no order, and may repeat a key while others write (LST-1).
async fn sorted_keys(bucket: &Bucket, prefix: &str) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = bucket.keys(prefix, cursor.as_deref(), None).await?;
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Reads the values of the first keys of `rest`, as many as fit into one reply, and takes those keys off.
async fn read<'a>(
    bucket: &Bucket,
    rest: &mut &'a [String],
    at_once: &mut usize,
) -> Result<(&'a [String], Vec<Option<IncomingValue>>)> {
    loop {
        let (keys, left) = rest.split_at(rest.len().min(*at_once));
        match bucket.get_many(keys).await {
            Ok(values) => {
                *rest = left;
                // Small values may follow large ones.
                *at_once = at_once.saturating_mul(2).min(AT_ONCE);
                return Ok((keys, values));
            }
            Err(error) if error.kind() == ErrorKind::LimitExceeded && keys.len() > 1 => *at_once = keys.len() / 2,
            Err(error) => return Err(error),
        }
    }
}

async fn write(
    store: &Store,
    bucket: &Bucket,
    keys: &[String],
    values: &[Option<IncomingValue>],
    out: &mut Output,
) -> Result<(), Failure> {
    let declared = store.declared();
    let deadlines: Vec<Deadline> = if declared.cache {
        let at_once = if declared.exclusive { 1 } else { DEADLINES_AT_ONCE };
        stream::iter(keys).map(|key| deadline::read(bucket, key)).buffered(at_once).try_collect().await?
    } else {
        vec![Deadline::Never; keys.len()]
    };
    for ((key, value), deadline) in keys.iter().zip(values).zip(deadlines) {
        let expires_at_ms = match deadline {
            // It was removed, or expired, since its key was listed.
            Deadline::Absent => continue,
            Deadline::Never => None,
            Deadline::At(at) => Some(at),
        };
        if let Some(value) = value {
            out.json(&Shown::new(key, value, expires_at_ms))?;
        }
    }
    Ok(())
}
