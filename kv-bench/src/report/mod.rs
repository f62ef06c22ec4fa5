//! The report: as JSON for programs, as Markdown and a chart for people.

mod chart;
mod limits;
mod markdown;
mod promised;
mod row;

use std::time::SystemTime;

use serde::Serialize;

pub(crate) use limits::opening_ns;
pub(crate) use promised::Promised;
pub(crate) use row::{Row, Spread};

use crate::blocking::Blocked;
use crate::client::Result;
use crate::poll::Polls;
use crate::scale::{Buckets, Listing};
use crate::suite::Options;

/// What one run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began, in UTC.
    generated: String,
    /// Whether it was a smoke run, whose figures are worth nothing.
    quick: bool,
    machine: Machine,
    /// Options of our stores beyond the durability.
    with: Vec<String>,
    /// Engines that this machine can't run.
    pub(crate) left_out: Vec<LeftOut>,
    /// Our provider beside the raw driver.
    pub(crate) rows: Vec<Row>,
    /// What else is promised.
    pub(crate) promises: Vec<Promised>,
    /// Poll times.
    pub(crate) polls: Vec<Polls>,
    /// Poll times where the engine blocks.
    pub(crate) blocked: Vec<Blocked>,
    /// Long listings of keys.
    pub(crate) listings: Vec<Listing>,
    /// Many buckets.
    pub(crate) buckets: Vec<Buckets>,
}

/// An engine that could not be measured.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) engine: &'static str,
    pub(crate) why: &'static str,
}

#[derive(Debug, Serialize)]
struct Machine {
    description: String,
    threads: usize,
    system: &'static str,
    architecture: &'static str,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            generated: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            quick: options.quick,
            machine: Machine {
                description: options.machine.clone(),
                threads: std::thread::available_parallelism().map_or(0, usize::from),
                system: std::env::consts::OS,
                architecture: std::env::consts::ARCH,
            },
            with: options.with.clone(),
            left_out: Vec::new(),
            rows: Vec::new(),
            promises: Vec::new(),
            polls: Vec::new(),
            blocked: Vec::new(),
            listings: Vec::new(),
            buckets: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.promises.is_empty()
            && self.polls.is_empty()
            && self.blocked.is_empty()
            && self.listings.is_empty()
            && self.buckets.is_empty()
    }

    /// The report for people.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::render(self)
    }

    /// Writes the three files, and copies of two where `--publish` asks for them.
    ///
    /// # Errors
    ///
    /// A file that can't be written.
    pub fn write(&self, options: &Options) -> Result {
        let out = &options.out;
        let markdown = self.markdown();
        std::fs::write(out.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        std::fs::write(out.join("report.md"), &markdown)?;
        chart::draw(self, &out.join("report.svg"))?;
        if let Some(folder) = &options.publish {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join("benchmarks.md"), markdown.replace("(report.svg)", "(benchmarks.svg)"))?;
            std::fs::copy(out.join("report.svg"), folder.join("benchmarks.svg"))?;
        }
        Ok(())
    }
}
