//! What this machine can build: everything, or all but RocksDB.

use crate::Result;
use crate::libclang;
use crate::project::{Metadata, Package, metadata};

/// The feature that brings RocksDB, in every crate that has it.
const FEATURE: &str = "rocksdb";

/// The crate that can't be built without it.
const CRATE: &str = "kv-rocksdb";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    /// What builds RocksDB's driver is missing.
    WithoutRocksdb,
}

impl Scope {
    /// Looks what is there.
    pub(crate) fn of_this_machine() -> Self {
        if libclang::is_present() { Self::Everything } else { Self::WithoutRocksdb }
    }

    /// What tells cargo so, where a command is about the whole workspace.
    pub(crate) fn arguments(self) -> Result<Vec<String>> {
        match self {
            Self::Everything => Ok(["--workspace", "--all-features"].map(str::to_owned).to_vec()),
            Self::WithoutRocksdb => Ok(without_rocksdb(&metadata()?)),
        }
    }

    /// The crates that can be built.
    pub(crate) fn members(self, metadata: &Metadata) -> impl Iterator<Item = &Package> {
        metadata.members().filter(move |package| self == Self::Everything || package.name != CRATE)
    }

    /// The features of a crate that can be turned on, but for `default`.
    pub(crate) fn features(self, package: &Package) -> impl Iterator<Item = &str> {
        let names = package.features.keys().map(String::as_str);
        names.filter(move |name| *name != "default" && (self == Self::Everything || *name != FEATURE))
    }

    /// Whether a crate's features can all be turned on.
    pub(crate) fn has_all_features(self, package: &Package) -> bool {
        self == Self::Everything || !package.features.contains_key(FEATURE)
    }
}

fn without_rocksdb(metadata: &Metadata) -> Vec<String> {
    let scope = Scope::WithoutRocksdb;
    let features = scope.members(metadata).flat_map(|package| {
        scope.features(package).map(|feature| format!("{}/{feature}", package.name)).collect::<Vec<_>>()
    });
    let features: Vec<String> = features.collect();
    ["--workspace", "--exclude", CRATE, "--features", &features.join(",")].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_compiler_rocksdb_is_left_out_and_nothing_else() {
        let metadata: Metadata = serde_json::from_str(
            r#"{"target_directory": "t", "workspace_members": ["f", "r"], "resolve": {"nodes": []}, "packages": [
              {"id": "f", "name": "kv", "license": null, "dependencies": [],
               "features": {"default": [], "rocksdb": [], "redis": [], "sled": []}},
              {"id": "r", "name": "kv-rocksdb", "license": null, "dependencies": [], "features": {}}]}"#,
        )
        .unwrap();
        let line = without_rocksdb(&metadata).join(" ");
        assert_eq!(line, "--workspace --exclude kv-rocksdb --features kv/redis,kv/sled");
        let names = |scope: Scope| scope.members(&metadata).map(|package| package.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(Scope::WithoutRocksdb), ["kv"]);
        assert_eq!(names(Scope::Everything), ["kv", "kv-rocksdb"]);
        let facade = metadata.members().next().unwrap();
        assert_eq!(Scope::Everything.features(facade).count(), 3);
        assert!(Scope::Everything.has_all_features(facade) && !Scope::WithoutRocksdb.has_all_features(facade));
    }
}
