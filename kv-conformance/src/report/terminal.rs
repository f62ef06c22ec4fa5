use std::fmt::Write as _;

use super::{CaseReport, Ending, Report};

impl CaseReport {
    /// One line: how the case ended, its name, and why if it did not pass.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{:14} {:7} {:48} {:>6} ms", self.outcome.as_str(), self.clause, self.case, self.ms);
        if self.outcome == Ending::NotApplicable {
            line.push_str("  ");
            line.push_str(self.reason.as_deref().unwrap_or_default());
        }
        line
    }

    /// Everything about a failure: clause, what was expected and found, seed, and how to repeat it.
    #[must_use]
    pub fn failure(&self, command: &str) -> String {
        format!(
            "{} {} (clause {})\n  {}\n  seed: {}\n  repeat: {command}\n",
            self.case,
            self.outcome.as_str(),
            self.clause,
            self.reason.as_deref().unwrap_or_default(),
            self.seed
        )
    }
}

impl Report {
    /// The report as terminal text: what did not pass, what does not apply, and the verdict. The lines of single
    /// cases are for those who watch the run.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let not_applicable: Vec<_> =
            self.gates.iter().chain(&self.cases).filter(|case| case.outcome == Ending::NotApplicable).collect();
        if !not_applicable.is_empty() {
            text.push_str("\nnot applicable:\n");
            for case in not_applicable {
                let _ = writeln!(text, "  {}: {}", case.case, case.reason.as_deref().unwrap_or_default());
            }
        }
        for case in self.troubles() {
            let _ = write!(text, "\n{}", case.failure(self.command(case.case).unwrap_or_default()));
        }
        let declared: Vec<_> = self.declared.rows().iter().map(|(name, word)| format!("{name} {word}")).collect();
        let counts = self.counts;
        let _ = write!(
            text,
            "\n{} ({}), {} of {} cases, suite {} list {}, seed {}\ndeclared: {}\n\
             {} passed, {} failed, {} not applicable, {} inconclusive in {:.1} s\nverdict on {}: {}\n",
            self.store,
            self.engine,
            counts.total,
            self.suite.cases,
            self.suite.version,
            self.suite.hash,
            self.seed,
            declared.join(", "),
            counts.passed,
            counts.failed,
            counts.not_applicable,
            counts.inconclusive,
            std::time::Duration::from_millis(self.ms).as_secs_f64(),
            self.suite.level,
            self.verdict.as_str()
        );
        for why in &self.why {
            let _ = writeln!(text, "  {why}");
        }
        text
    }
}
