//! The command `import`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kv::Limits;
use serde_json::json;

use crate::args::{Format, Import};
use crate::commands::batch::Batch;
use crate::exit::{Ended, Failure, Verdict};
use crate::import::{Lines, Ndjson, Records, Rows, Source};
use crate::output::{escape, note};
use crate::session::Session;

pub(super) async fn import(args: Import, session: &mut Session) -> Ended {
    let name = if args.file == Path::new("-") { "standard input".to_owned() } else { args.file.display().to_string() };
    // Before the store is made: a file that is not there should leave nothing behind.
    let (source, bar) = open(&args.file, &name)?;
    session
        .create(async |store, out| {
            let bucket = store.open_bucket(&args.bucket).await?;
            let records = reader(&args, source, store.limits()).map_err(|failure| failure.within(&name))?;
            let is_local = store.declared().exclusive;
            let mut run = Run { args: &args, name: &name, bar, done: Done { read: args.resume, ..Done::default() } };
            let ended = run.import(records, Batch::new(bucket, is_local)).await;
            run.bar.finish_and_clear();
            let done = ended?;
            if out.json {
                out.json(&json!({
                    "acknowledged": done.read, "stored": done.stored, "bad": done.bad, "expired": done.expired,
                }))?;
            } else {
                note(done.summary(&args.bucket));
            }
            Ok(Verdict::Yes)
        })
        .await
}

/// How far an import is.
#[derive(Clone, Copy, Default)]
struct Done {
    /// Records of the file that are stored for good or passed over.
    read: u64,
    stored: u64,
    bad: u64,
    expired: u64,
}

impl Done {
    fn summary(self, bucket: &str) -> String {
        let mut text = format!("stored {} records in the bucket {bucket}", self.stored);
        for (count, what) in [(self.bad, "bad"), (self.expired, "expired")] {
            if count > 0 {
                text.push_str(&format!(", passed over {count} {what} ones"));
            }
        }
        text
    }
}

struct Run<'a> {
    args: &'a Import,
    name: &'a str,
    bar: ProgressBar,
    done: Done,
}

impl Run<'_> {
    async fn import(&mut self, mut records: Box<dyn Records>, mut batch: Batch) -> Result<Done, Failure> {
        self.skip(&mut *records)?;
        // Records since the last acknowledgement that need no storing.
        let mut bad = 0;
        loop {
            let next = match records.next() {
                Ok(next) => next,
                Err(failure) => {
                    self.acknowledge(&mut batch, &mut bad).await?;
                    return Err(self.stopped(failure.within(self.name)));
                }
            };
            match next {
                None => break,
                Some(Ok(record)) => {
                    if batch.is_too_full_for(&record) {
                        self.acknowledge(&mut batch, &mut bad).await?;
                    }
                    batch.push(record);
                }
                Some(Err(found)) => {
                    let place = format!("{}, line {}: {}", self.name, found.line, found.why);
                    if !self.args.skip_bad {
                        self.acknowledge(&mut batch, &mut bad).await?;
                        let hint = "; mend it, or pass over bad records with --skip-bad";
                        return Err(self.stopped(Failure::data(place).and(hint)));
                    }
                    self.bar.suspend(|| note(format!("{place}; passed over")));
                    bad += 1;
                }
            }
            if batch.is_full() {
                self.acknowledge(&mut batch, &mut bad).await?;
            }
        }
        self.acknowledge(&mut batch, &mut bad).await?;
        Ok(self.done)
    }

    /// Passes over the records that were acknowledged before.
    fn skip(&self, records: &mut dyn Records) -> Result<(), Failure> {
        for found in 0..self.args.resume {
            if records.next().map_err(|failure| failure.within(self.name))?.is_none() {
                return Err(Failure::usage(format!(
                    "{} holds {found} records, so that --resume {} is not of this file",
                    self.name, self.args.resume
                )));
            }
        }
        Ok(())
    }

    /// Stores the batch and says how far the import is.
    async fn acknowledge(&mut self, batch: &mut Batch, bad: &mut u64) -> Result<(), Failure> {
        let records = batch.len();
        if records == 0 && *bad == 0 {
            return Ok(());
        }
        let stored = batch.store().await.map_err(|error| self.stopped(error.into()))?;
        self.done.read += records + *bad;
        self.done.bad += std::mem::take(bad);
        self.done.stored += stored.stored;
        self.done.expired += stored.expired;
        let read = self.done.read;
        if self.bar.is_hidden() {
            // Read by programs, so without the command's name.
            tell(&format!("acknowledged {read}\n"));
        } else {
            self.bar.set_message(format!("acknowledged {read}"));
        }
        Ok(())
    }

    /// Says where to go on after a failure.
    fn stopped(&self, failure: Failure) -> Failure {
        let read = self.done.read;
        failure.and(format!("; {read} records are acknowledged, and --resume {read} goes on behind them"))
    }
}

fn tell(line: &str) {
    // In one piece, or a kill could cut a number short. The import goes on where nobody reads how far it is.
    let _ = io::stderr().write_all(line.as_bytes());
}

fn reader(args: &Import, source: Source, limits: &Limits) -> Result<Box<dyn Records>, Failure> {
    Ok(match args.format {
        Format::Lines => Box::new(Lines::new(source, limits)),
        Format::Ndjson => Box::new(Ndjson::new(source, limits)),
        Format::Csv => Box::new(Rows::new(source, args.key_column.as_deref().unwrap_or_default(), limits)?),
    })
}

/// Opens the file, and a bar that follows how much of it was read; the bar is hidden where no terminal shows it.
fn open(path: &Path, name: &str) -> Result<(Source, ProgressBar), Failure> {
    let opening = |cause: io::Error| Failure::io(format!("opening {}", escape(name)), &cause);
    let (source, bytes): (Source, Option<u64>) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(path).map_err(opening)?;
        let found = file.metadata().map_err(opening)?;
        if found.is_dir() {
            return Err(Failure::data(format!("{name} is a folder, not a file")));
        }
        // A pipe has no size.
        (Box::new(file), found.is_file().then_some(found.len()))
    };
    let template = match bytes {
        Some(_) => "{bar:30} {bytes} of {total_bytes}, {msg}, {eta} left",
        None => "{spinner} {bytes}, {msg}",
    };
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(bytes, target);
    // The templates above are right, and a bar without one would only look different.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message("acknowledged 0");
    let source: Source = Box::new(bar.wrap_read(source));
    Ok((source, bar))
}
