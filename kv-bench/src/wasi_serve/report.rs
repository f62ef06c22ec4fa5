//! What was found, and what of it is promised.

use std::fmt;
use std::time::Duration;

use kv_bench::Compared;
use serde::Serialize;

use super::load::Load;

/// By how many hundredths the resident memory may grow under load, once it has settled.
const PERCENT: u64 = 10;

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) quick: bool,
    pub(super) connections: u16,
    /// `kv serve`, while nothing else runs.
    pub(super) alone: Served,
    /// None but on Linux.
    pub(super) memory: Option<Memory>,
    /// None where no rounds were asked for.
    pub(super) turns: Option<Turns>,
}

/// Both servers, by turns.
#[derive(Serialize)]
pub(super) struct Turns {
    /// Of each.
    pub(super) rounds: usize,
    pub(super) ours: Served,
    pub(super) beside: Served,
    /// By the time a request takes, so more than 1 is slower than the other; `raw_ns` is the other's.
    #[serde(flatten)]
    pub(super) compared: Compared,
}

/// What a server has done under load.
#[derive(Serialize)]
pub(super) struct Served {
    seconds: f64,
    requests: u64,
    errors: u64,
    /// The first of them.
    error: Option<String>,
    requests_per_second: f64,
    p50_ns: u64,
    p99_ns: u64,
}

impl Served {
    pub(super) fn new(load: &Load) -> Self {
        Self {
            seconds: load.took.as_secs_f64(),
            requests: load.requests(),
            errors: load.errors,
            error: load.error.clone(),
            requests_per_second: load.rate(),
            p50_ns: load.latency.at(0.5),
            p99_ns: load.latency.at(0.99),
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, requests, errors, requests_per_second, .. } = self;
        write!(f, "{requests} requests in {seconds:.1} s, {errors} errors, {requests_per_second:.0} a second")
    }
}

/// The resident memory at one time.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Sample {
    /// Since the load began.
    pub(super) seconds: f64,
    pub(super) bytes: u64,
}

/// The resident memory of a server under load.
#[derive(Serialize)]
pub(super) struct Memory {
    settled: Sample,
    end: Sample,
    most_bytes: u64,
    /// From the one to the other, in hundredths of the first.
    growth_percent: f64,
    limit_percent: u64,
    met: bool,
    samples: Vec<Sample>,
}

impl Memory {
    /// None where nothing was read since the server has settled.
    pub(super) fn new(samples: Vec<Sample>, after: Duration) -> Option<Self> {
        let settled = *samples.iter().find(|sample| sample.seconds >= after.as_secs_f64())?;
        let end = *samples.last()?;
        let most_bytes = samples.iter().map(|sample| sample.bytes).max()?;
        let growth_percent = (end.bytes as f64 / settled.bytes as f64 - 1.0) * 100.0;
        let met = end.bytes * 100 <= settled.bytes * (100 + PERCENT);
        Some(Self { settled, end, most_bytes, growth_percent, limit_percent: PERCENT, met, samples })
    }

    fn markdown(&self) -> String {
        let Self { settled, end, most_bytes, growth_percent, limit_percent, met, .. } = self;
        format!(
            "Resident memory of `kv serve`: {:.1} MiB at {:.0} s, {:.1} MiB at {:.0} s, at most {:.1} MiB: \
             {growth_percent:+.1} %, may be {limit_percent} %: {}.",
            mebibytes(settled.bytes),
            settled.seconds,
            mebibytes(end.bytes),
            end.seconds,
            mebibytes(*most_bytes),
            if *met { "kept" } else { "**missed**" }
        )
    }
}

impl Report {
    pub(super) fn markdown(&self) -> String {
        let quick = if self.quick { "A smoke run, whose figures are worth nothing.\n\n" } else { "" };
        let mut rows = row("`kv serve` alone", &self.alone);
        let mut below = match &self.memory {
            Some(memory) => memory.markdown(),
            None => "Resident memory is read on Linux only.".to_owned(),
        };
        if let Some(Turns { rounds, ours, beside, compared }) = &self.turns {
            rows += &row("`kv serve`, by turns", ours);
            rows += &row("`wasmtime-wasi-http` with `wasmtime-wasi-keyvalue`, by turns", beside);
            let Compared { ratio, ratio_min, ratio_max, .. } = compared;
            below += &format!(
                "\n\nA request of ours takes {ratio:.3} times as long as the other's: the median of {rounds} pairs of rounds, \
                 from {ratio_min:.3} to {ratio_max:.3}."
            );
        }
        format!(
            "{quick}| {} connections | seconds | requests | errors | requests a second | median ms | p99 ms |\n\
             |---|---:|---:|---:|---:|---:|---:|\n{rows}\n{below}",
            self.connections
        )
    }

    /// What is not as promised, in a sentence each.
    pub(super) fn missed(&self) -> Vec<String> {
        let ours = [Some(&self.alone), self.turns.as_ref().map(|turns| &turns.ours)];
        let beside = self.turns.as_ref().map(|turns| &turns.beside);
        let mut missed = Vec::new();
        // The other's are no fault of ours, but what fails is no measure for what does not.
        for (name, served) in ours.into_iter().map(|served| ("kv serve", served)).chain([("the server beside", beside)])
        {
            if let Some(Served { errors, error: Some(error), .. }) = served {
                missed.push(format!("{errors} requests to {name} failed, the first with: {error}"));
            }
        }
        if let Some(Memory { growth_percent, limit_percent, met: false, .. }) = &self.memory {
            missed.push(format!(
                "the resident memory of kv serve grew by {growth_percent:.1} %, and may by {limit_percent} %"
            ));
        }
        missed
    }
}

fn row(name: &str, served: &Served) -> String {
    let Served { seconds, requests, errors, requests_per_second, p50_ns, p99_ns, .. } = served;
    let millis = |nanos: &u64| *nanos as f64 / 1e6;
    format!(
        "| {name} | {seconds:.1} | {requests} | {errors} | {requests_per_second:.0} | {:.1} | {:.1} |\n",
        millis(p50_ns),
        millis(p99_ns)
    )
}

pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that read these many bytes, second by second, from the beginning on.
    fn report(bytes: &[u64], errors: u64) -> Report {
        let samples = bytes.iter().zip(0_u32..).map(|(bytes, at)| Sample { seconds: f64::from(at), bytes: *bytes });
        let mut load = Load::none().unwrap();
        load.latency.record(Duration::from_millis(10));
        load.took = Duration::from_secs(2);
        load.errors = errors;
        load.error = (errors > 0).then(|| "503".to_owned());
        let memory = Memory::new(samples.collect(), Duration::from_secs(2));
        Report { quick: false, connections: 64, alone: Served::new(&load), memory, turns: None }
    }

    #[test]
    fn memory_counts_from_when_the_server_has_settled() {
        let kept = report(&[10, 50, 100, 130, 110], 0);
        assert!(kept.missed().is_empty());
        assert!(kept.markdown().contains("+10.0 %, may be 10 %: kept"), "{}", kept.markdown());
        let grown = report(&[10, 50, 100, 111], 0);
        assert_eq!(grown.missed(), ["the resident memory of kv serve grew by 11.0 %, and may by 10 %"]);
        assert!(grown.markdown().contains("**missed**"));
    }

    #[test]
    fn a_request_that_fails_is_missed() {
        assert_eq!(report(&[], 2).missed(), ["2 requests to kv serve failed, the first with: 503"]);
    }

    #[test]
    fn without_memory_it_is_said() {
        assert!(report(&[], 0).markdown().ends_with("Resident memory is read on Linux only."));
    }
}
