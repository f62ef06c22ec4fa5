//! The command `conform`: the conformance suite, and whether it catches what it must.

mod place;
#[cfg(feature = "wasi")]
mod through;
#[cfg(not(feature = "wasi"))]
#[path = "left_out.rs"]
mod through;

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kv_conformance::{DEFAULT_SEED, KillProgress, Kills, Progress, Run};

use crate::exit::{Ended, Failure, Verdict};
use crate::output::{Output, escape};
use crate::session::Session;
use place::Place;

/// What the help says of the command.
pub(crate) const ABOUT: &str = "Run the conformance suite on a provider; exit code 1 if a case failed";

/// How the names of the suite's own checks begin, which are no cases.
const GATES: &str = "gate::";

#[derive(Debug, Args)]
pub(crate) struct ConformArgs {
    /// What to test: memory:, the URL of a folder for the stores of the cases, or that of a server
    #[arg(required_unless_present = "mutants", conflicts_with = "mutants")]
    url: Option<String>,
    /// Only the case of this name, or the cases whose name holds it or that prove this clause; with --mutants, the
    /// mutants so named
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    case: String,
    /// Where random numbers begin
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Make each call by way of a WebAssembly guest, of each shape of wasi:keyvalue in turn
    #[arg(long, conflicts_with_all = ["mutants", "markdown", "badge"])]
    through_wasm: bool,
    /// Write the report as Markdown too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write a badge as SVG too
    #[arg(long, value_name = "FILE", conflicts_with = "mutants")]
    badge: Option<PathBuf>,
    /// Try the suite instead: it must catch every mutant, a provider with one fault
    #[arg(long)]
    mutants: bool,
    /// How many seeds each mutant must be caught with
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "url",
          value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Run every case against every mutant, to see which case catches what
    #[arg(long, conflicts_with = "url")]
    full: bool,
}

pub(super) async fn conform(args: ConformArgs, session: &mut Session) -> Ended {
    let chosen = kv_conformance::chosen(&args.case);
    let is_check = args.case.starts_with(GATES) && !args.through_wasm;
    if chosen.is_empty() && !args.mutants && !is_check {
        let case = &args.case;
        return Err(Failure::usage(format!(
            "no case is named {case:?} or has that in its name, and it is no clause; a run without --case names all"
        )));
    }
    // Before the files are made: a URL that is wrong should leave an earlier report as it is.
    let place = match args.url.as_deref() {
        Some(url) => Some(Place::prepare(url).await?),
        None => None,
    };
    // Files that can't be written should be known before the run, not after it.
    let reports = Report::create_both(&args).inspect_err(|_| place.iter().for_each(Place::clean_up));
    let (mut markdown, mut badge) = reports?;
    let out = &mut session.out;
    let Some(place) = place else {
        let matrix = kill_matrix(&args, out)?;
        show(out, matrix.json(), || matrix.text())?;
        write_to(&mut markdown, || matrix.markdown())?;
        return Ok(verdict(matrix.is_failure()));
    };
    if args.through_wasm {
        let ended = through::run(&place, args.seed, &chosen, !args.case.is_empty(), out);
        place.clean_up();
        return ended;
    }
    let bar = Bar::new(out);
    let mut told = Ok(());
    let report = Run::new(Arc::new(place.harness())).seed(args.seed).filter(&args.case).run(|news| {
        let Progress::Ended { case, done, of } = news else { return };
        if told.is_ok() && !out.json {
            told = bar.suspend(|| out.line(case.line()).and_then(|()| out.flush()));
        }
        bar.at(done, of);
    });
    bar.end();
    place.clean_up();
    told?;
    show(out, report.json(), || report.text())?;
    write_to(&mut markdown, || report.markdown())?;
    write_to(&mut badge, || report.badge())?;
    Ok(verdict(report.is_failure()))
}

fn kill_matrix(args: &ConformArgs, out: &mut Output) -> Result<kv_conformance::Matrix, Failure> {
    let bar = Bar::new(out);
    let mut told = Ok(());
    let kills = Kills::new().seeds(args.seeds).first_seed(args.seed).full(args.full).filter(&args.case);
    let matrix = kills.run(|news| {
        let line = match news {
            KillProgress::Reference { seed, failures } => {
                format!("without a fault, seed {seed}: {failures} cases did not pass")
            }
            KillProgress::Mutant { mutant, done, of } => {
                bar.at(done, of);
                mutant.line()
            }
        };
        if told.is_ok() && !out.json {
            told = bar.suspend(|| out.line(&line).and_then(|()| out.flush()));
        }
    });
    bar.end();
    told?;
    Ok(matrix)
}

fn verdict(is_failure: bool) -> Verdict {
    if is_failure { Verdict::No } else { Verdict::Yes }
}

/// Writes the report to standard output.
fn show(out: &mut Output, json: serde_json::Result<String>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if !out.json {
        return out.bytes(text().as_bytes());
    }
    let json = json.map_err(|cause| Failure::other(format!("the report cannot be written as JSON: {cause}")))?;
    out.bytes(json.as_bytes())
}

/// A file for a report.
struct Report<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Report<'a> {
    /// The files for Markdown and the badge.
    fn create_both(args: &'a ConformArgs) -> Result<(Option<Self>, Option<Self>), Failure> {
        let create = |path: &'a Option<PathBuf>| path.as_deref().map(Self::create).transpose();
        Ok((create(&args.markdown)?, create(&args.badge)?))
    }

    fn create(path: &'a Path) -> Result<Self, Failure> {
        let failed = |cause: io::Error| Failure::io(format!("making {}", escape(&path.display().to_string())), &cause);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        Ok(Self { path, file: File::create(path).map_err(failed)? })
    }
}

fn write_to(report: &mut Option<Report<'_>>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some(Report { path, file }) = report else { return Ok(()) };
    file.write_all(text().as_bytes()).map_err(|cause| Failure::io(format!("writing {}", path.display()), &cause))
}

/// How far the run is, where a terminal shows it.
struct Bar(ProgressBar);

impl Bar {
    fn new(out: &Output) -> Self {
        let is_seen = io::stderr().is_terminal() && (out.terminal || out.json);
        let bar = if is_seen { ProgressBar::new(0) } else { ProgressBar::hidden() };
        // The template is right, and a bar without one would only look different.
        bar.set_style(
            ProgressStyle::with_template("{bar:30} {pos} of {len}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }

    fn at(&self, done: usize, of: usize) {
        self.0.set_length(of as u64);
        self.0.set_position(done as u64);
    }

    fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.suspend(work)
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
