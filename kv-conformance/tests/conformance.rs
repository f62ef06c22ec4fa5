//! The suite on the reference provider, through the entry that every backend author uses.

use std::process::ExitCode;

use kv_conformance::MemoryHarness;

fn main() -> ExitCode {
    kv_conformance::main(MemoryHarness)
}
