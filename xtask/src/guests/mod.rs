//! Builds the components of `guests/`, with which the host of `kv-wasi` is tested.
//!
//! Those in Rust are committed as `guests/built/NAME.wasm`, since their compiler is not on every machine; tidy tells when
//! one is older than its sources. Those in JavaScript and Python hold a whole engine each, so they are built where they
//! are tested.

mod compiler;
mod rust;
mod scripts;
mod sources;

pub(crate) use compiler::PACKAGES;
pub(crate) use scripts::{COMPONENTIZE_JS, COMPONENTIZE_PY, build as build_scripts, needs_pip};
pub(crate) use sources::check;

use std::path::PathBuf;

use crate::project::root;
use crate::{Result, packages};

/// `cargo xtask guests [--install]`: builds all of them.
pub(crate) fn run(args: &[String]) -> Result {
    match args {
        [] => {}
        [only] if only == "--install" => {
            if !compiler::has_target() {
                packages::install_missing(PACKAGES)?;
            }
            packages::install_missing(packages::ALL)?;
        }
        _ => return Err("`cargo xtask guests` takes no argument but --install".into()),
    }
    rust::build(&compiler::Compiler::of_this_machine()?)?;
    build_scripts()
}

fn folder() -> Result<PathBuf> {
    Ok(root()?.join("guests"))
}
