//! Stands in for `--through-wasm` where the host for WebAssembly is not compiled in.

use kv_conformance::Case;

use super::place::Place;
use crate::exit::{Ended, Failure};
use crate::output::Output;

pub(super) fn run(_: &Place, _: u64, _: &[&Case], _: bool, _: &mut Output) -> Ended {
    Err(Failure::usage("--through-wasm is not compiled in; build with --features wasi"))
}
