//! Which version of the engine used a store last.

use std::fs;
use std::path::Path;

/// The version that the driver compiles.
pub(crate) const VERSION_HERE: &str = "11.8.1";

/// The version that used the store last, if it is newer than this one. The engine notes it in its options, in a new file each
/// time that it opens. `None` also where the files do not tell.
pub(crate) fn newer(folder: &Path) -> Option<String> {
    let files = fs::read_dir(folder).ok()?.flatten();
    let numbered = files.filter_map(|file| {
        let number: u64 = file.file_name().to_str()?.strip_prefix("OPTIONS-")?.parse().ok()?;
        Some((number, file.path()))
    });
    let (_, last) = numbered.max()?;
    let options = fs::read_to_string(last).ok()?;
    let version = options.lines().find_map(|line| line.trim().strip_prefix("rocksdb_version="))?.trim();
    (parts(version)? > parts(VERSION_HERE)?).then(|| version.to_owned())
}

fn parts(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_options_tell() {
        let folder = tempfile::tempdir().unwrap();
        let put = |number: u32, version: &str| {
            let text = format!("# comment\n\n[Version]\n  rocksdb_version={version}\n  options_file_version=1.1\n");
            fs::write(folder.path().join(format!("OPTIONS-{number:06}")), text).unwrap();
        };
        assert_eq!(newer(folder.path()), None);
        put(7, "12.0.0");
        assert_eq!(newer(folder.path()).as_deref(), Some("12.0.0"));
        put(1_000_007, VERSION_HERE);
        assert_eq!(newer(folder.path()), None);
        for (version, is_newer) in [("11.8.2", true), ("11.10.0", true), ("9.9.9", false), ("rubbish", false)] {
            put(1_000_008, version);
            assert_eq!(newer(folder.path()).is_some(), is_newer, "{version}");
        }
    }
}
