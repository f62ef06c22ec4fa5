use std::collections::BTreeSet;

use kv_conformance::{Gaps, K1_CLAUSES};

use crate::project::Project;

/// Clauses of the contract that later levels of the suite prove; documents may name them already.
const LATER: &[&str] = &["DUR-3", "DUR-5", "TOK-1", "TOK-2", "TOK-3"];

/// Every clause that the suite proves stands in a doc comment of kv-core, and has a case and a mutant.
pub(crate) fn check(project: &Project, gaps: &Gaps) -> Vec<String> {
    let core = project.files.iter().filter(|(path, _)| path.starts_with("kv-core/src/") && path.ends_with(".rs"));
    let docs: BTreeSet<&str> = core.flat_map(|(_, text)| in_docs(text)).collect();
    let mut faults = compare(&docs);
    for (clauses, fault) in [
        (&gaps.without_case, "has no case in kv-conformance"),
        (&gaps.without_mutant, "has no mutant in kv-conformance"),
        (&gaps.unknown, "is named in kv-conformance, but is not in its K1_CLAUSES"),
    ] {
        faults.extend(clauses.iter().map(|clause| format!("{clause} {fault}")));
    }
    faults
}

fn compare(docs: &BTreeSet<&str>) -> Vec<String> {
    let missing = K1_CLAUSES.iter().filter(|clause| !docs.contains(*clause));
    let unknown = docs.iter().filter(|clause| !K1_CLAUSES.contains(clause) && !LATER.contains(clause));
    missing
        .map(|clause| format!("{clause} stands in no doc comment of kv-core"))
        .chain(unknown.map(|clause| format!("{clause} stands in a doc comment of kv-core, but is no clause")))
        .collect()
}

/// The clauses that a source file's doc comments name, in the families that there are.
fn in_docs(source: &str) -> impl Iterator<Item = &str> {
    let lines = source.lines().map(str::trim_start);
    let docs = lines.filter(|line| line.starts_with("///") || line.starts_with("//!"));
    let words = docs.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
    words.filter(|word| {
        let known = || K1_CLAUSES.iter().chain(LATER).filter_map(|clause| clause.split_once('-'));
        word.split_once('-')
            .is_some_and(|(family, number)| number.parse::<u8>().is_ok() && known().any(|(known, _)| known == family))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_has_to_stand_in_the_docs() {
        let mut docs: BTreeSet<&str> = K1_CLAUSES.iter().copied().collect();
        assert_eq!(compare(&docs), Vec::<String>::new());
        docs.remove("RW-1");
        docs.insert("DUR-3");
        assert_eq!(compare(&docs), ["RW-1 stands in no doc comment of kv-core"]);
    }

    #[test]
    fn a_number_that_no_clause_has_is_refused() {
        let mut docs: BTreeSet<&str> = K1_CLAUSES.iter().copied().collect();
        docs.insert("RW-7");
        assert_eq!(compare(&docs), ["RW-7 stands in a doc comment of kv-core, but is no clause"]);
    }

    #[test]
    fn the_gaps_of_the_suite_are_faults() {
        let files = [("kv-core/src/lib.rs".to_owned(), format!("/// {}", K1_CLAUSES.join(", ")))].into();
        let metadata = r#"{"packages": [], "workspace_members": [], "resolve": {"nodes": []}, "target_directory": ""}"#;
        let project = Project { metadata: serde_json::from_str(metadata).unwrap(), files };
        assert_eq!(check(&project, &Gaps::default()), Vec::<String>::new());
        let gaps = Gaps { without_case: vec!["RW-1"], without_mutant: vec!["RW-2"], unknown: vec!["RW-9"] };
        let faults = check(&project, &gaps);
        assert_eq!(
            faults,
            [
                "RW-1 has no case in kv-conformance",
                "RW-2 has no mutant in kv-conformance",
                "RW-9 is named in kv-conformance, but is not in its K1_CLAUSES"
            ]
        );
    }

    #[test]
    fn only_doc_comments_count_and_other_dashes_do_not() {
        let source =
            "/// See RW-1 ([RW-2], RW-3).\n//! UTF-8, TTL-4.\n// CAS-1\nlet x = \"CAS-2\";\n    /// LST-1..3\n";
        let found: Vec<&str> = in_docs(source).collect();
        assert_eq!(found, ["RW-1", "RW-2", "RW-3", "TTL-4", "LST-1"]);
    }
}
