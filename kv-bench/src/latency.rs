//! How long single calls take, in a pass of its own.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::{Client, Result};
use crate::workload::Task;

/// Digits that a histogram keeps: 0.1 %.
const DIGITS: u8 = 3;

/// The longest duration that it tells from longer ones, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;

/// Durations, by how often they came.
pub struct Latency(Histogram<u64>);

impl Latency {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// None in practice; the histogram's own.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST, DIGITS)?))
    }

    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds another's.
    ///
    /// # Errors
    ///
    /// None in practice; the histogram's own.
    pub fn add(&mut self, other: &Self) -> Result {
        Ok(self.0.add(&other.0)?)
    }

    /// The duration, in nanoseconds, that this share of them does not exceed.
    #[must_use]
    pub fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }
}

/// Makes a caller's calls with a clock around each.
pub(crate) async fn timed<C: Client>(
    mut task: Task<C>,
    numbers: impl Iterator<Item = usize> + Send,
) -> Result<Latency> {
    let mut latency = Latency::new()?;
    for n in numbers {
        let begun = Instant::now();
        task.call(n).await?;
        latency.record(begun.elapsed());
    }
    Ok(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_durations_are_told_apart() {
        let mut latency = Latency::new().unwrap();
        for micros in [1, 10, 5_000, 2_000_000] {
            latency.record(Duration::from_micros(micros));
        }
        assert_eq!(latency.count(), 4);
        for (quantile, nanos) in [(0.25, 1e3), (0.5, 1e4), (0.75, 5e6), (1.0, 2e9)] {
            let found = latency.at(quantile) as f64;
            assert!((found / nanos - 1.0).abs() < 0.002, "{quantile}: {found} instead of {nanos}");
        }
    }
}
