//! A smoke run of the measurements of the WebAssembly host.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::process::Command;

#[test]
fn each_row_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let guest = format!("{}/../guests/built/bench.wasm", env!("CARGO_MANIFEST_DIR"));
    let mut bench = Command::new(env!("CARGO_BIN_EXE_kv-bench-wasi"));
    let ran = bench.args(["--quick", "--guest", &guest, "--out"]).arg(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let report = std::fs::read_to_string(folder.path().join("wasi.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&report).unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["provider_ns"].as_f64().unwrap() > 0.0));
}
