use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::Result;

/// What every crate takes from the root manifest.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

const DEPENDENCIES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// Facts about packages, lints and versions of dependencies live once, in the root manifest; no dependency is unused.
pub(crate) fn check(files: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let root = parse(files, "Cargo.toml")?;
    let shared = table(&root, &["workspace", "dependencies"]);
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for name in members(&root) {
        let path = format!("{name}/Cargo.toml");
        let manifest = parse(files, &path)?;
        for key in INHERITED {
            if !inherits(manifest.get("package").and_then(|package| package.get(key))) {
                faults.push(format!("{path}: package.{key} is not taken from the workspace"));
            }
        }
        if !inherits(manifest.get("lints")) {
            faults.push(format!("{path}: the lints are not taken from the workspace"));
        }
        let source = source(files, &name);
        for (dependency, value) in DEPENDENCIES.iter().flat_map(|kind| table(&manifest, &[kind])) {
            if !inherits(Some(&value)) {
                faults.push(format!("{path}: the version of {dependency} is not taken from the workspace"));
            }
            if !source.contains(&dependency.replace('-', "_")) {
                faults.push(format!("{path}: {dependency} is not used"));
            }
            used.insert(dependency);
        }
    }
    for (dependency, value) in shared {
        if !used.contains(&dependency) {
            faults.push(format!("Cargo.toml: no crate uses {dependency}"));
        }
        if value.get("path").is_none() && value.get("default-features") != Some(&Value::Boolean(false)) {
            faults.push(format!("Cargo.toml: {dependency} has its default features on; name those that are wanted"));
        }
    }
    Ok(faults)
}

fn parse(files: &BTreeMap<String, String>, path: &str) -> Result<Table> {
    let text = files.get(path).ok_or_else(|| format!("{path} is missing"))?;
    text.parse().map_err(|cause| format!("{path}: {cause}").into())
}

fn table(manifest: &Table, path: &[&str]) -> Table {
    let mut table = Some(manifest);
    for key in path {
        table = table.and_then(|table| table.get(*key)).and_then(Value::as_table);
    }
    table.cloned().unwrap_or_default()
}

fn members(root: &Table) -> Vec<String> {
    let members = root.get("workspace").and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
    members.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
}

/// All Rust code of a crate.
fn source(files: &BTreeMap<String, String>, name: &str) -> String {
    let folder = format!("{name}/");
    let ours = files.iter().filter(|(path, _)| path.starts_with(&folder) && path.ends_with(".rs"));
    ours.map(|(_, text)| text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = r#"
        [workspace]
        members = ["a"]
        [workspace.dependencies]
        some-crate = { version = "1", default-features = false }
        b = { path = "b" }
    "#;
    const MEMBER: &str = r#"
        [package]
        name = "a"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        publish.workspace = true
        [dependencies]
        some-crate.workspace = true
        [dev-dependencies]
        b = { workspace = true, features = ["x"] }
        [lints]
        workspace = true
    "#;

    fn faults(root: &str, member: &str, source: &str) -> Vec<String> {
        let files = [("Cargo.toml", root), ("a/Cargo.toml", member), ("a/src/lib.rs", source)];
        check(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()).unwrap()
    }

    const SOURCE: &str = "use some_crate::X; use b::Y;";

    #[test]
    fn facts_that_live_once_pass() {
        assert_eq!(faults(ROOT, MEMBER, SOURCE), Vec::<String>::new());
    }

    #[test]
    fn what_a_crate_says_itself_is_refused() {
        for (ours, theirs, fault) in [
            ("license.workspace = true", "license = \"MIT\"", "a/Cargo.toml: package.license is not taken"),
            ("edition.workspace = true", "", "a/Cargo.toml: package.edition is not taken"),
            ("[lints]", "[other]", "a/Cargo.toml: the lints are not taken"),
            ("some-crate.workspace = true", "some-crate = \"1\"", "a/Cargo.toml: the version of some-crate"),
        ] {
            let found = faults(ROOT, &MEMBER.replace(ours, theirs), SOURCE);
            assert!(found.len() == 1 && found[0].starts_with(fault), "{found:?}");
        }
    }

    #[test]
    fn what_nobody_uses_is_refused() {
        assert_eq!(faults(ROOT, MEMBER, "use b::Y;"), ["a/Cargo.toml: some-crate is not used"]);
        let member = MEMBER.replace("some-crate.workspace = true", "");
        assert_eq!(faults(ROOT, &member, SOURCE), ["Cargo.toml: no crate uses some-crate"]);
    }

    #[test]
    fn default_features_are_off() {
        let root = ROOT.replace(", default-features = false", "");
        assert!(faults(&root, MEMBER, SOURCE)[0].contains("some-crate has its default features on"));
    }

    #[test]
    fn a_missing_manifest_is_told() {
        let files = [("Cargo.toml".to_owned(), ROOT.to_owned())].into();
        assert_eq!(check(&files).unwrap_err().to_string(), "a/Cargo.toml is missing");
    }
}
