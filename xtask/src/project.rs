use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde::Deserialize;

use crate::Result;

/// The workspace as cargo and the file system know it.
pub(crate) struct Project {
    pub(crate) metadata: Metadata,
    /// Every text file that belongs to the project, by its path from the root.
    pub(crate) files: BTreeMap<String, String>,
}

/// What `cargo metadata` says, as far as it is used here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
    pub(crate) target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) license: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for what the crate itself uses, `dev` for its tests, `build` for its build script.
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    /// Identifiers of the packages that this one uses.
    pub(crate) dependencies: Vec<String>,
}

impl Project {
    /// Asks cargo and reads the files.
    pub(crate) fn load() -> Result<Self> {
        let mut files = BTreeMap::new();
        let root = root()?;
        read_folder(&root, &root, &mut files)?;
        Ok(Self { metadata: metadata()?, files })
    }
}

impl Metadata {
    /// The workspace's own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// The root of the workspace that this task was started in.
pub(crate) fn root() -> Result<PathBuf> {
    // Cargo sets it at run time; the value at build time may be another checkout's that shares the target folder.
    let folder = env::var_os("CARGO_MANIFEST_DIR").ok_or("start it as `cargo xtask`")?;
    let root = Path::new(&folder).parent().ok_or("the xtask folder has no parent")?;
    Ok(root.to_owned())
}

/// Cargo, started in the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?).args(args);
    Ok(command)
}

/// Asks cargo for the workspace with every feature on.
pub(crate) fn metadata() -> Result<Metadata> {
    let output = cargo(&["metadata", "--format-version", "1", "--all-features", "--locked"])?.output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn read_folder(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> Result {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            // What tools make is not ours; stores made by trying `kv` in the root are named `kv-data`.
            let foreign = matches!(&*name, ".git" | "target" | "kv-data");
            if !foreign {
                read_folder(root, &path, files)?;
            }
        } else if kind.is_file()
            && let Ok(text) = String::from_utf8(fs::read(&path)?)
        {
            let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.insert(path, text);
        }
    }
    Ok(())
}
