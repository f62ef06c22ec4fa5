//! Runs of the benchmark's programs, and what they report.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) const MEASURES: &str = env!("CARGO_BIN_EXE_kv-bench");
pub(crate) const COUNTS: &str = env!("CARGO_BIN_EXE_kv-bench-allocs");

/// A smoke run that has not begun.
pub(crate) fn smoke(program: &str, out: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg("--quick").arg("--out").arg(out).args(args);
    command
}

/// Runs it to a good end; gives what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", complaints(&output));
    text
}

/// What it said on stderr.
pub(crate) fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn report(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap()
}

pub(crate) fn rows<'r>(report: &'r Value, of: &str) -> &'r [Value] {
    report[of].as_array().unwrap_or_else(|| panic!("{of} is no list in {report}"))
}

pub(crate) fn number(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or_else(|| panic!("{field} is no number in {row}"))
}

/// That a row's median ratio lies between the lowest and the highest.
pub(crate) fn check_ratio(row: &Value) {
    let [ratio, least, most] = ["ratio", "ratio_min", "ratio_max"].map(|field| number(row, field));
    assert!(0.0 < least && least <= ratio && ratio <= most, "{row}");
}
