//! Deadlines as points in time, which export and import need, over the contract's times to live.
//!
//! A provider keeps a deadline as whole milliseconds of the wall clock and answers how many are left (TTL-1, TTL-3).
//! Whoever asks and reads the same clock within one of its milliseconds learns the deadline itself, so both
//! directions try until no millisecond began meanwhile. That makes two exports of one entry alike to the byte on
//! every embedded store. A server's clock is another one, and what it says may be a millisecond or more off.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kv::{Bucket, MAX_TTL, Result, Ttl};

/// How often to try: a call takes microseconds, so the first try nearly always falls within one millisecond.
const TRIES: usize = 64;

/// When an entry expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// There is no entry.
    Absent,
    /// Never.
    Never,
    /// At this millisecond since 1970.
    At(u64),
}

/// How restoring a deadline ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// The entry is stored.
    Stored,
    /// The deadline has passed; nothing is stored.
    Passed,
}

/// Whether a deadline can be restored: no entry lives longer than ten years from now (TTL-1).
pub(crate) fn is_too_far(at: u64) -> bool {
    u128::from(at) > u128::from(now_ms()) + MAX_TTL.as_millis()
}

/// Reads when the entry expires.
pub(crate) async fn read(bucket: &Bucket, key: &str) -> Result<Deadline> {
    let mut at = 0;
    for _ in 0..TRIES {
        let before = now_ms();
        match bucket.ttl(key).await? {
            Ttl::Absent => return Ok(Deadline::Absent),
            Ttl::Forever => return Ok(Deadline::Never),
            Ttl::Left(left) => at = before.saturating_add(millis(left)),
        }
        if now_ms() == before {
            break;
        }
    }
    Ok(Deadline::At(at))
}

/// Stores an entry that expires at `at`. `is_local` says that the provider reads this machine's clock.
pub(crate) async fn write(bucket: &Bucket, key: &str, value: &Bytes, at: u64, is_local: bool) -> Result<Restored> {
    // Reading a server's clock costs a round trip and tells no more than its next millisecond.
    let tries = if is_local { TRIES } else { 1 };
    for done in 0..tries {
        let left = at.saturating_sub(now_ms());
        if left == 0 {
            if done > 0 {
                // The try before left a deadline a few milliseconds later, which has all but passed.
                bucket.delete(key).await?;
            }
            return Ok(Restored::Passed);
        }
        bucket.set_with_ttl(key, value.clone(), Duration::from_millis(left)).await?;
        match read(bucket, key).await? {
            Deadline::At(found) if found != at => {}
            _ => return Ok(Restored::Stored),
        }
    }
    Ok(Restored::Stored)
}

fn now_ms() -> u64 {
    // A clock before 1970 counts as 1970, as it does for the providers.
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
