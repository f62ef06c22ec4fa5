use std::fmt::Write as _;

use super::{CaseReport, Ending, Report};

impl Report {
    /// The report as Markdown: every case, and everything that is not applicable, in full.
    #[must_use]
    pub fn markdown(&self) -> String {
        let counts = self.counts;
        let mut text = format!("# Conformance of {}\n\n", cell(&self.store));
        let _ = write!(
            text,
            "**{} {}**: {} passed, {} failed, {} not applicable, {} inconclusive of {} cases.\n\n",
            self.suite.level,
            self.verdict.as_str(),
            counts.passed,
            counts.failed,
            counts.not_applicable,
            counts.inconclusive,
            self.suite.cases
        );
        for why in &self.why {
            let _ = writeln!(text, "- {}", cell(why));
        }
        text.push_str("\n| | |\n|---|---|\n");
        let facts = [
            ("engine", self.engine.clone()),
            ("suite", format!("kv-conformance {}, list {}", self.suite.version, self.suite.hash)),
            ("seed", self.seed.to_string()),
            ("filter", self.filter.clone().unwrap_or_else(|| "none".to_owned())),
            ("took", format!("{} ms", self.ms)),
        ];
        for (name, fact) in &facts {
            let _ = writeln!(text, "| {name} | {} |", cell(fact));
        }
        for (name, word) in self.declared.rows() {
            let _ = writeln!(text, "| declares {name} | {word} |");
        }
        self.failures(&mut text);
        self.not_applicable(&mut text);
        table(&mut text, "Gates", &self.gates);
        table(&mut text, "Cases", &self.cases);
        text
    }

    fn failures(&self, text: &mut String) {
        if self.troubles().next().is_none() {
            return;
        }
        text.push_str("\n## What did not pass\n");
        for case in self.troubles() {
            let _ = write!(
                text,
                "\n### {}\n\n{}, clause {}, seed {}: {}\n\n```sh\n{}\n```\n",
                case.case,
                case.outcome.as_str(),
                case.clause,
                case.seed,
                cell(case.reason.as_deref().unwrap_or_default()),
                self.command(case.case).unwrap_or_default()
            );
        }
    }

    fn not_applicable(&self, text: &mut String) {
        text.push_str("\n## What does not apply\n\n");
        let before = text.len();
        for case in self.gates.iter().chain(&self.cases).filter(|case| case.outcome == Ending::NotApplicable) {
            let _ = writeln!(text, "- `{}`: {}", case.case, cell(case.reason.as_deref().unwrap_or_default()));
        }
        if text.len() == before {
            text.push_str("Everything applies.\n");
        }
    }
}

fn table(text: &mut String, title: &str, cases: &[CaseReport]) {
    let _ = write!(text, "\n## {title}\n\n| case | clause | outcome | ms |\n|---|---|---|---|\n");
    for case in cases {
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", case.case, case.clause, case.outcome.as_str(), case.ms);
    }
}

/// Text that can't leave its line or its table cell.
pub(crate) fn cell(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .replace('|', "\\|")
        .replace('<', "&lt;")
}
