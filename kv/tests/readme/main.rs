//! The README's program, compiled and run in an empty folder.

use std::path::Path;
use std::{env, fs};

mod program {
    include!("program.rs");

    pub(super) fn run() -> Result<()> {
        main()
    }
}

#[test]
fn the_readmes_program_runs_and_is_what_the_readme_shows() {
    let root = env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let readme = fs::read_to_string(Path::new(&root).join("../README.md")).unwrap();
    let shown = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(include_str!("program.rs")));

    let folder = tempfile::tempdir().unwrap();
    env::set_current_dir(folder.path()).unwrap();
    program::run().unwrap();
    program::run().unwrap();
    let total = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = kv::open_existing("sled:./kv-data").await.unwrap();
        let total = store.open_bucket("visits").await.unwrap().get("total").await.unwrap();
        store.close().await.unwrap();
        total
    });
    assert_eq!(total.as_deref(), Some(&b"2"[..]));
}
