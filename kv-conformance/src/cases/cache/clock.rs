//! Deadlines as a case sees them.

use std::time::Duration;

use kv_core::{Bucket, Ttl};
use tokio::time::Instant;

use crate::check::ensure;
use crate::{Outcome, Stop};

/// Long enough for a millisecond cut off and a timer that is early; no grace for a late sweeper.
const MARGIN: Duration = Duration::from_millis(30);

/// A time to live that ends soon.
pub(in crate::cases) const SHORT: Duration = Duration::from_millis(40);

/// A time to live that does not end within a case.
pub(in crate::cases) const LONG: Duration = Duration::from_secs(600);

/// An instant by which an entry written before has expired.
#[derive(Clone, Copy, Debug)]
pub(in crate::cases) struct Deadline(Instant);

impl Deadline {
    /// Of an entry whose write with this time to live has just returned.
    pub(in crate::cases) fn after(ttl: Duration) -> Self {
        Self(Instant::now() + ttl + MARGIN)
    }

    /// The same without any margin: the entry may still be there for a moment.
    pub(in crate::cases) fn exactly(ttl: Duration) -> Self {
        Self(Instant::now() + ttl)
    }

    /// Waits for it: the passing of time is what such a case is about.
    pub(in crate::cases) async fn pass(self) {
        tokio::time::sleep_until(self.0).await;
    }
}

/// Writes the entry with a short time to live and waits until that is over, without any look at the store.
pub(in crate::cases) async fn expire(bucket: &Bucket, key: &str, value: &str) -> Outcome {
    bucket.set_with_ttl(key, value.to_owned(), SHORT).await?;
    Deadline::after(SHORT).pass().await;
    Ok(())
}

/// The entry has a deadline, and no more than `most` left; gives what is left.
pub(in crate::cases) async fn left(bucket: &Bucket, key: &str, most: Duration) -> Result<Duration, Stop> {
    match bucket.ttl(key).await? {
        Ttl::Left(left) => {
            ensure!(
                left >= Duration::from_millis(1) && left <= most,
                "ttl({key:?}): expected from 1 ms to {most:?} left, found {left:?}"
            );
            Ok(left)
        }
        other => Err(Stop::failed(format_args!("ttl({key:?}): expected at most {most:?} left, found {other:?}"))),
    }
}
