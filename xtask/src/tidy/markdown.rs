use std::collections::BTreeMap;

/// Stands in an excerpt for lines that were left out.
const CUT: &str = "…";

/// Relative links lead somewhere, and excerpts of source files still stand in them.
pub(crate) fn check(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
        let dead = links(text).filter(|target| !leads_somewhere(path, target, files));
        faults.extend(dead.map(|target| format!("{path}: the link to {target} leads nowhere")));
        for excerpt in excerpts(text) {
            if let Some(fault) = excerpt.fault(files) {
                faults.push(format!("{path}: {fault}"));
            }
        }
    }
    faults
}

/// The targets of the links in a text, those in other sites apart.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#') && !target.contains("::"))
}

fn leads_somewhere(from: &str, target: &str, files: &BTreeMap<String, String>) -> bool {
    let target = target.split('#').next().unwrap_or(target);
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            name => parts.push(name),
        }
    }
    let path = parts.join("/");
    let folder = format!("{path}/");
    files.contains_key(&path) || files.keys().any(|file| file.starts_with(&folder))
}

/// A block of code that is a part of a source file, which the comment before it names:
///
/// ```text
/// <!-- excerpt of kv-memory/src/medium.rs -->
/// ```
struct Excerpt<'a> {
    source: &'a str,
    lines: Vec<&'a str>,
}

const MARK: &str = "<!-- excerpt of ";

fn excerpts(text: &str) -> impl Iterator<Item = Excerpt<'_>> {
    text.match_indices(MARK).filter_map(|(at, _)| {
        let mut lines = text.get(at..)?.lines();
        let source = lines.next()?.strip_prefix(MARK)?.strip_suffix(" -->")?;
        let block =
            lines.skip_while(|line| !line.starts_with("```")).skip(1).take_while(|line| !line.starts_with("```"));
        Some(Excerpt { source, lines: block.collect() })
    })
}

impl Excerpt<'_> {
    /// What is wrong with it: each run of lines between cuts has to stand in the source, in this order.
    fn fault(&self, files: &BTreeMap<String, String>) -> Option<String> {
        let Some(source) = files.get(self.source) else {
            return Some(format!("there is no {} to take an excerpt of", self.source));
        };
        let source: Vec<&str> = source.lines().map(str::trim).collect();
        let mut rest = source.as_slice();
        let mut any = false;
        for run in self.lines.split(|line| line.trim() == CUT).filter(|run| !run.is_empty()) {
            let run: Vec<&str> = run.iter().map(|line| line.trim()).collect();
            any = true;
            match rest.windows(run.len()).position(|window| window == run.as_slice()) {
                Some(at) => rest = rest.get(at + run.len()..).unwrap_or_default(),
                None => {
                    let first = run.first().copied().unwrap_or_default();
                    return Some(format!("the excerpt of {} no longer stands there from `{first}` on", self.source));
                }
            }
        }
        (!any).then(|| format!("the excerpt of {} is empty", self.source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(markdown: &str) -> Vec<String> {
        let files = [
            ("docs/guide.md", markdown),
            ("docs/other.md", ""),
            ("README.md", ""),
            ("a/src/lib.rs", "use x;\n\nfn f() {\n    g();\n    h();\n}\n"),
        ];
        check(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into())
    }

    #[test]
    fn a_link_leads_to_a_file_or_folder() {
        let good = "[a](other.md#part) [b](../README.md) [c](../a/src) [d](https://x.y/z) [e](#here) [f](crate::X)";
        assert_eq!(faults(good), Vec::<String>::new());
        assert_eq!(faults("[a](gone.md)"), ["docs/guide.md: the link to gone.md leads nowhere"]);
        assert_eq!(faults("[a](../../README.md)").len(), 1);
    }

    fn excerpt(code: &str) -> Vec<String> {
        faults(&format!("text\n<!-- excerpt of a/src/lib.rs -->\n```rust\n{code}\n```\nmore\n"))
    }

    #[test]
    fn an_excerpt_stands_in_its_source() {
        assert_eq!(excerpt("fn f() {\n    g();"), Vec::<String>::new());
        assert_eq!(excerpt("use x;\n…\nfn f() {\n    …\n    h();\n}"), Vec::<String>::new());
        let fault = "docs/guide.md: the excerpt of a/src/lib.rs no longer stands there from `fn f() {` on";
        assert_eq!(excerpt("fn f() {\n    h();"), [fault]);
    }

    #[test]
    fn an_excerpt_keeps_the_order_and_is_not_empty() {
        assert_eq!(excerpt("h();\n…\ng();").len(), 1);
        assert_eq!(excerpt("…"), ["docs/guide.md: the excerpt of a/src/lib.rs is empty"]);
        let fault = faults("<!-- excerpt of gone.rs -->\n```rust\nx\n```\n");
        assert_eq!(fault, ["docs/guide.md: there is no gone.rs to take an excerpt of"]);
    }
}
