use super::{Report, Verdict};

/// Width of one character of the badge's font, in pixels; digits and letters differ little.
const CHARACTER: usize = 7;

impl Report {
    /// The verdict as a small SVG picture.
    #[must_use]
    pub fn badge(&self) -> String {
        let label = format!("kv {}", self.suite.level);
        let (words, colour) = match self.verdict {
            Verdict::Passed => (format!("{} of {} passed", self.counts.passed, self.counts.total), "#2e7d32"),
            Verdict::Failed => (format!("{} of {} failed", self.troubles().count(), self.counts.total), "#c62828"),
            Verdict::Partial => ("partial run".to_owned(), "#757575"),
        };
        let left = label.len() * CHARACTER + 12;
        let right = words.len() * CHARACTER + 12;
        let width = left + right;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"20\" role=\"img\" \
             aria-label=\"{label}: {words}\"><title>{label}: {words}</title>\
             <rect width=\"{left}\" height=\"20\" fill=\"#424242\"/>\
             <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/>\
             <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
             <text x=\"{}\" y=\"14\">{label}</text><text x=\"{}\" y=\"14\">{words}</text></g></svg>\n",
            left / 2,
            left + right / 2
        )
    }
}
