//! The library of a C compiler with which bindgen reads RocksDB's headers.

use std::path::{Path, PathBuf};

/// Where systems keep libraries.
const TOPS: [&str; 4] = ["usr/lib", "usr/lib64", "usr/local/lib", "usr/local/lib64"];

/// A header that the compiler itself brings, below the folder of its version; in Debian in a package of its own.
const HEADER: &str = "include/stddef.h";

/// Whether there is one of any version, with its headers. Who names one in `LIBCLANG_PATH` knows what is there.
pub(crate) fn is_present() -> bool {
    std::env::var_os("LIBCLANG_PATH").is_some() || is_in(Path::new("/"))
}

fn is_in(root: &Path) -> bool {
    let tops = TOPS.map(|top| root.join(top));
    let versions =
        tops.iter().flat_map(|top| within(top, |name| name.starts_with("llvm"))).map(|llvm| llvm.join("lib"));
    let folders: Vec<PathBuf> = tops.iter().cloned().chain(versions).collect();
    let has_header =
        |folder: &PathBuf| within(&folder.join("clang"), |_| true).iter().any(|version| version.join(HEADER).is_file());
    folders.iter().any(|folder| !within(folder, is_library).is_empty()) && folders.iter().any(has_header)
}

/// The library in C, not the one in C++ whose name is alike.
fn is_library(name: &str) -> bool {
    (name.starts_with("libclang.so") || name.starts_with("libclang-") && name.contains(".so")) && !name.contains("-cpp")
}

/// What a folder, which may be missing, holds under such names.
fn within(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_wanted)).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_library_counts_with_its_headers_only() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_in(root.path()));
        let lib = root.path().join("usr/lib/llvm-14/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libclang-cpp.so.14"), "").unwrap();
        fs::create_dir_all(lib.join("clang/14.0.6/include")).unwrap();
        fs::write(lib.join("clang/14.0.6").join(HEADER), "").unwrap();
        assert!(!is_in(root.path()), "that library is another one");
        fs::write(lib.join("libclang-14.so.1"), "").unwrap();
        assert!(is_in(root.path()));
        fs::remove_dir_all(lib.join("clang")).unwrap();
        assert!(!is_in(root.path()), "bindgen needs the headers too");
    }
}
