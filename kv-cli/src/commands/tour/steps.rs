//! The steps of the tour: code, result, promise.

use serde::Serialize;

use super::show::Show;
use crate::exit::Failure;
use crate::output::{Output, escape};

/// Where results begin on a line, if the code leaves room.
const RESULT_COLUMN: usize = 54;

/// One call.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    section: &'static str,
    call: String,
    result: String,
    promised: String,
    as_promised: bool,
}

/// The steps so far.
pub(super) struct Steps<'a> {
    out: &'a mut Output,
    section: &'static str,
    done: Vec<Step>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(out: &'a mut Output) -> Self {
        Self { out, section: "", done: Vec::new() }
    }

    /// Begins a part of the tour.
    pub(super) fn section(&mut self, title: &'static str) -> Result<(), Failure> {
        self.section = title;
        if self.out.json {
            return Ok(());
        }
        let title = self.paint("1", title);
        self.out.line(format!("\n{title}"))
    }

    /// Says something that is no call.
    pub(super) fn remark(&mut self, text: &str) -> Result<(), Failure> {
        if self.out.json {
            return Ok(());
        }
        let text = self.paint("2", text);
        self.out.line(format!("  {text}"))
    }

    /// Shows a call and its result, and compares that with what was promised.
    pub(super) fn check<T: Show>(&mut self, call: &str, result: kv::Result<T>, promised: &str) -> Result<(), Failure> {
        let found = match &result {
            Ok(found) => found.show(),
            Err(error) => format!("Err({}: {})", error.kind(), error.trace()),
        };
        self.compare(call, found, promised)
    }

    /// Like [`check`](Self::check), and gives what was found; the tour ends where there is nothing.
    pub(super) fn keep<T: Show>(&mut self, call: &str, result: kv::Result<T>, promised: &str) -> Result<T, Failure> {
        let found = result?;
        self.compare(call, found.show(), promised)?;
        Ok(found)
    }

    /// Shows a call and its result in words.
    pub(super) fn compare(&mut self, call: &str, found: String, promised: &str) -> Result<(), Failure> {
        let as_promised = found == promised;
        if !self.out.json {
            let shown = escape(&found).into_owned();
            if as_promised {
                let shown = self.paint("32", &shown);
                self.out.line(format!("  {call:RESULT_COLUMN$} {shown}"))?;
            } else {
                let wrong = self.paint("31", &format!("{shown}  <- promised: {promised}"));
                self.out.line(format!("  {call:RESULT_COLUMN$} {wrong}"))?;
            }
            // Some steps take a moment; whoever watches sees which.
            self.out.flush()?;
        }
        self.done.push(Step {
            section: self.section,
            call: call.to_owned(),
            result: found,
            promised: promised.to_owned(),
            as_promised,
        });
        Ok(())
    }

    /// The steps, and how many were not as promised.
    pub(super) fn finish(self) -> (Vec<Step>, usize) {
        let failed = self.done.iter().filter(|step| !step.as_promised).count();
        (self.done, failed)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.out.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_promised_is_counted() {
        let mut out = Output::new(true);
        let mut steps = Steps::new(&mut out);
        steps.check("a()", Ok(true), "true").unwrap();
        steps.check("b()", Ok(1_i64), "2").unwrap();
        steps.check::<i64>("c()", Err(kv::Error::invalid("no")), "2").unwrap();
        let (done, failed) = steps.finish();
        assert_eq!((done.len(), failed), (3, 2));
    }
}
