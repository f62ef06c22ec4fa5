use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::folder;
use crate::Result;

/// By the guest's name.
pub(crate) type Records = BTreeMap<String, Record>;

/// The text files of the project, by their path.
type Files = BTreeMap<String, String>;

/// Where [`Record`]s are kept.
const RECORDS: &str = "guests/built/sources.json";

const REMEDY: &str = "run `cargo xtask guests`";

/// What a component was built of, and what came out.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// SHA-256 of all files that it is made of.
    sources: String,
    /// SHA-256 of the component.
    component: String,
}

impl Record {
    pub(crate) fn new(name: &str, files: &Files, component: &[u8]) -> Result<Self> {
        Ok(Self { sources: digest_of_sources(name, files)?, component: hex(Sha256::digest(component)) })
    }
}

/// Each committed component is what its sources make.
pub(crate) fn check(files: &Files) -> Result<Vec<String>> {
    let built = folder()?.join("built");
    faults(files, |name| fs::read(built.join(format!("{name}.wasm"))).ok())
}

fn faults(files: &Files, component: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Vec<String>> {
    let names = names(files)?;
    let Some(records) = files.get(RECORDS) else {
        return Ok(vec![format!("{RECORDS} is missing; {REMEDY}")]);
    };
    let records: Records = serde_json::from_str(records).map_err(|cause| format!("{RECORDS}: {cause}"))?;
    let mut faults = Vec::new();
    for name in &names {
        match (records.get(name), component(name)) {
            (Some(record), Some(component)) => {
                let now = Record::new(name, files, &component)?;
                if now.sources != record.sources {
                    faults.push(format!("the sources of the guest {name} have changed since it was built; {REMEDY}"));
                } else if now.component != record.component {
                    faults.push(format!("guests/built/{name}.wasm is not what was built of its sources; {REMEDY}"));
                }
            }
            _ => faults.push(format!("the guest {name} is not built; {REMEDY}")),
        }
    }
    let gone = records.keys().filter(|name| !names.contains(name));
    faults.extend(gone.map(|name| format!("{RECORDS} holds {name}, which is no guest; {REMEDY}")));
    Ok(faults)
}

/// The guests in Rust: members of their workspace that are built as modules, not the library that they share.
pub(crate) fn names(files: &Files) -> Result<Vec<String>> {
    let manifest = manifest("Cargo.toml", files)?;
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
    let mut names = Vec::new();
    for name in members.into_iter().flatten().filter_map(Value::as_str) {
        if self::manifest(&format!("{name}/Cargo.toml"), files)?.contains_key("lib") {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn manifest(path: &str, files: &Files) -> Result<Table> {
    let path = format!("guests/rust/{path}");
    let text = files.get(&path).ok_or_else(|| format!("{path} is missing"))?;
    text.parse().map_err(|cause| format!("{path}: {cause}").into())
}

fn digest_of_sources(name: &str, files: &Files) -> Result<String> {
    let mut digest = Sha256::new();
    for path in made_of(name, files)? {
        let text = files.get(&path).ok_or_else(|| format!("{path} is missing"))?;
        // Lengths, so that no text moves from one file into the next unseen.
        digest.update(format!("{path}\n{}\n{text}", text.len()));
    }
    Ok(hex(digest.finalize()))
}

/// All files that a guest is made of: its folder, the libraries of ours that it uses, the files that its sources name, and
/// the workspace's manifest and lock.
fn made_of(name: &str, files: &Files) -> Result<BTreeSet<String>> {
    let manifest = manifest(&format!("{name}/Cargo.toml"), files)?;
    let dependencies = manifest.get("dependencies").and_then(Value::as_table).into_iter().flat_map(Table::keys);
    let folders: Vec<String> =
        dependencies.map(String::as_str).chain([name]).map(|name| format!("guests/rust/{name}/")).collect();
    let mut made_of: BTreeSet<String> = ["guests/rust/Cargo.toml", "guests/rust/Cargo.lock"].map(str::to_owned).into();
    for (path, text) in files.iter().filter(|(path, _)| folders.iter().any(|folder| path.starts_with(folder))) {
        made_of.insert(path.clone());
        for rest in named(text).filter(|_| path.ends_with(".rs")) {
            // WIT is named from the guest's folder, a module from its source's.
            let both = [format!("guests/{rest}"), format!("guests/rust/{rest}")];
            let found = both.into_iter().find(|path| files.contains_key(path));
            made_of.insert(found.ok_or_else(|| format!("{path} names ../../{rest}, which is missing"))?);
        }
    }
    Ok(made_of)
}

/// What a source names outside its folder, in quotes.
fn named(source: &str) -> impl Iterator<Item = &str> {
    source.split("\"../../").skip(1).filter_map(|rest| rest.split('"').next())
}

pub(super) fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: &str =
        "[package]\nname = \"g\"\n[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nshared.workspace = true\n";

    fn files() -> Files {
        [
            ("guests/rust/Cargo.toml", "[workspace]\nmembers = [\"g\", \"other\", \"shared\"]\n"),
            ("guests/rust/Cargo.lock", "lock"),
            ("guests/rust/g/Cargo.toml", GUEST),
            (
                "guests/rust/g/src/lib.rs",
                "generate!({ path: \"../../wit/a.wit\" });\n#[path = \"../../parts/p.rs\"]\nmod p;",
            ),
            ("guests/rust/other/Cargo.toml", "[lib]\n"),
            ("guests/rust/parts/p.rs", "part"),
            ("guests/rust/shared/Cargo.toml", "[package]\n"),
            ("guests/rust/shared/src/lib.rs", "shared"),
            ("guests/wit/a.wit", "wit"),
            ("guests/wit/b.wit", "wit of another"),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into()
    }

    /// Builds everything, and then changes a file.
    fn faults_after(path: &str, text: &str) -> Vec<String> {
        let mut files = files();
        let record = |name: &str| (name.to_owned(), Record::new(name, &files, b"component").unwrap());
        let records: Records = [record("g"), record("other")].into();
        files.insert(RECORDS.to_owned(), serde_json::to_string(&records).unwrap());
        files.insert(path.to_owned(), text.to_owned());
        faults(&files, |_| Some(b"component".to_vec())).unwrap()
    }

    #[test]
    fn the_shared_library_is_no_guest() {
        assert_eq!(names(&files()).unwrap(), ["g", "other"]);
    }

    #[test]
    fn what_is_as_built_passes() {
        assert_eq!(faults_after("guests/wit/b.wit", "changed"), Vec::<String>::new());
    }

    #[test]
    fn whatever_a_guest_is_made_of_makes_it_old() {
        let old = "the sources of the guest g have changed since it was built; run `cargo xtask guests`";
        for path in
            ["guests/rust/g/src/lib.rs", "guests/rust/parts/p.rs", "guests/rust/shared/src/lib.rs", "guests/wit/a.wit"]
        {
            assert_eq!(faults_after(path, "changed"), [old], "{path}");
        }
        assert_eq!(faults_after("guests/rust/Cargo.lock", "changed").len(), 2);
        assert_eq!(faults_after("guests/rust/g/src/new.rs", "").len(), 1);
    }

    #[test]
    fn a_component_of_other_sources_is_told() {
        let mut files = files();
        assert_eq!(
            faults(&files, |_| None).unwrap(),
            ["guests/built/sources.json is missing; run `cargo xtask guests`"]
        );
        let records: Records = [("gone".to_owned(), Record::new("g", &files, b"built").unwrap())].into();
        files.insert(RECORDS.to_owned(), serde_json::to_string(&records).unwrap());
        assert_eq!(faults(&files, |_| Some(b"built".to_vec())).unwrap().len(), 3);
        let records: Records =
            ["g", "other"].map(|name| (name.to_owned(), Record::new(name, &files, b"built").unwrap())).into();
        files.insert(RECORDS.to_owned(), serde_json::to_string(&records).unwrap());
        let faults =
            faults(&files, |name| Some(if name == "g" { b"another".to_vec() } else { b"built".to_vec() })).unwrap();
        assert_eq!(faults, ["guests/built/g.wasm is not what was built of its sources; run `cargo xtask guests`"]);
    }

    #[test]
    fn a_file_that_is_named_has_to_be_there() {
        let mut files = files();
        files.remove("guests/wit/a.wit");
        let error = made_of("g", &files).unwrap_err().to_string();
        assert_eq!(error, "guests/rust/g/src/lib.rs names ../../wit/a.wit, which is missing");
    }
}
