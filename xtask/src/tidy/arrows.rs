use std::collections::{BTreeMap, BTreeSet};

use crate::project::{Metadata, Package};

/// The columns of the table in ARCHITECTURE.md that draws the arrows.
const HEADER: [&str; 3] = ["crate", "uses", "its tests also use"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Arrows {
    uses: BTreeSet<String>,
    tests: BTreeSet<String>,
}

/// The crates use each other exactly as ARCHITECTURE.md draws it: no arrow more, none less.
pub(crate) fn check(architecture: &str, metadata: &Metadata) -> Vec<String> {
    let drawn = drawn(architecture);
    if drawn.is_empty() {
        return vec![format!("ARCHITECTURE.md has no table with the columns {}", HEADER.join(", "))];
    }
    let names: BTreeSet<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for name in drawn.keys().filter(|name| !names.contains(name.as_str())) {
        faults.push(format!("ARCHITECTURE.md draws {name}, which is no crate of the workspace"));
    }
    for package in metadata.members() {
        let Some(drawn) = drawn.get(&package.name) else {
            faults.push(format!("ARCHITECTURE.md does not draw {}", package.name));
            continue;
        };
        let actual = actual(package, &names);
        compare(&package.name, "uses", &drawn.uses, &actual.uses, &mut faults);
        compare(&package.name, "in tests also uses", &drawn.tests, &actual.tests, &mut faults);
    }
    faults
}

fn compare(name: &str, verb: &str, drawn: &BTreeSet<String>, actual: &BTreeSet<String>, faults: &mut Vec<String>) {
    for other in actual.difference(drawn) {
        faults.push(format!("{name} {verb} {other}, an arrow that ARCHITECTURE.md does not draw"));
    }
    for other in drawn.difference(actual) {
        faults.push(format!("ARCHITECTURE.md says that {name} {verb} {other}, but its manifest does not"));
    }
}

/// Reads the table. A crate's name stands in backticks; what else a cell says is for people.
fn drawn(architecture: &str) -> BTreeMap<String, Arrows> {
    let rows = architecture.lines().map(cells);
    let rows = rows.skip_while(|cells| *cells != HEADER).skip(2).take_while(|cells| cells.len() == HEADER.len());
    rows.filter_map(|cells| match cells.as_slice() {
        [name, uses, tests] => {
            let name = in_backticks(name).into_iter().next()?;
            Some((name, Arrows { uses: in_backticks(uses), tests: in_backticks(tests) }))
        }
        _ => None,
    })
    .collect()
}

fn cells(line: &str) -> Vec<&str> {
    match line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
        Some(line) => line.split('|').map(str::trim).collect(),
        None => Vec::new(),
    }
}

fn in_backticks(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn actual(package: &Package, names: &BTreeSet<&str>) -> Arrows {
    let ours = |tests: bool| {
        let of_kind = package.dependencies.iter().filter(move |other| (other.kind.as_deref() == Some("dev")) == tests);
        of_kind.map(|other| other.name.clone()).filter(|name| names.contains(name.as_str())).collect::<BTreeSet<_>>()
    };
    let uses = ours(false);
    let tests = ours(true).difference(&uses).cloned().collect();
    Arrows { uses, tests }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
text

| crate | uses | its tests also use |
|---|---|---|
| `core` | nothing of ours | |
| `engine` | `core` | `suite` |
| `suite` | `core` | |

| `not` | `part` | `of it` |
";

    fn metadata(engine_uses: &str, kind: &str) -> Metadata {
        let json = format!(
            r#"{{"target_directory": "t", "workspace_members": ["c", "e", "s"], "resolve": {{"nodes": []}},
            "packages": [
              {{"id": "c", "name": "core", "license": null, "features": {{}}, "dependencies": []}},
              {{"id": "e", "name": "engine", "license": null, "features": {{}}, "dependencies": [
                {{"name": "serde", "kind": null}}, {{"name": "core", "kind": null}}, {{"name": "suite", "kind": "dev"}},
                {{"name": "{engine_uses}", "kind": {kind}}}]}},
              {{"id": "s", "name": "suite", "license": null, "features": {{}},
                "dependencies": [{{"name": "core", "kind": null}}]}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn what_is_drawn_passes() {
        assert_eq!(check(TABLE, &metadata("core", "null")), Vec::<String>::new());
        assert_eq!(check(TABLE, &metadata("core", "\"dev\"")), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_refused() {
        let faults = check(TABLE, &metadata("suite", "null"));
        assert!(faults.iter().any(|fault| fault.starts_with("engine uses suite")), "{faults:?}");
    }

    #[test]
    fn a_drawn_arrow_that_is_gone_is_refused() {
        let faults = check(&TABLE.replace("| `core` | nothing", "| `core` | `suite`"), &metadata("core", "null"));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("but its manifest does not")), "{faults:?}");
    }

    #[test]
    fn a_crate_is_drawn_and_what_is_drawn_is_a_crate() {
        let faults = check(&TABLE.replace("\n| `suite` |", "\n| `suit` |"), &metadata("core", "null"));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(check("no table", &metadata("core", "null")).len(), 1);
    }
}
