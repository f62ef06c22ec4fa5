use crate::EXERCISERS;

/// A clause takes its cases here too, and what takes none proves nothing.
pub(crate) fn a_clause() {
    let conform = |case| {
        let mut conform = std::process::Command::new(env!("CARGO_BIN_EXE_kv"));
        conform.args(["--json", "conform", "memory:", "--through-wasm", "--case", case]).output().unwrap()
    };
    let ran = conform("RW-1");
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    for shape in report["shapes"].as_array().unwrap() {
        let tried = shape["cases"].as_array().unwrap().len();
        assert!(shape["counts"]["passed"].as_u64().unwrap() > 0 && tried > 1, "{shape}");
    }
    assert!(ran.status.success());
    for none in ["no such case", "gate::the_whole_list_ran"] {
        assert_eq!(conform(none).status.code(), Some(2), "{none}");
    }
}

/// Each shape lets enough of the suite's cases through, and none of them fails.
pub(crate) fn each_shape() {
    for url in ["memory:", "sled"] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("suite");
        let url = if url == "sled" { format!("sled:{}", place.display()) } else { url.to_owned() };
        let mut conform = std::process::Command::new(env!("CARGO_BIN_EXE_kv"));
        let ran = conform.args(["--json", "conform", &url, "--through-wasm"]).output().unwrap();
        let report = String::from_utf8_lossy(&ran.stdout);
        let report: serde_json::Value =
            serde_json::from_str(&report).unwrap_or_else(|cause| panic!("{cause}: {ran:?}"));
        let shapes = report["shapes"].as_array().unwrap();
        assert_eq!(shapes.len(), EXERCISERS.len());
        for shape in shapes {
            assert!(shape["counts"]["passed"].as_u64().unwrap() >= 60, "{url}: {}", shape["shape"]);
            let cases = shape["cases"].as_array().unwrap();
            let failed: Vec<_> = cases.iter().filter(|case| case["outcome"] == "failed").collect();
            assert!(failed.is_empty(), "{url}: {}: {failed:?}", shape["shape"]);
            assert!(cases.iter().all(|case| (case["outcome"] == "passed") == case["reason"].is_null()));
        }
        assert!(ran.status.success());
    }
}
