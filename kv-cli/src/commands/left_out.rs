//! Stands in for `conform` where the suite is not compiled in.

use clap::Args;

use crate::exit::{Ended, Failure};
use crate::session::Session;

/// What the help says of the command.
pub(crate) const ABOUT: &str = "Run the conformance suite on a provider (not compiled in: --features conform)";

#[derive(Debug, Args)]
pub(crate) struct ConformArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<String>,
}

pub(super) async fn conform(_: ConformArgs, _: &mut Session) -> Ended {
    Err(Failure::usage("the command conform is not compiled in; build with --features conform"))
}
