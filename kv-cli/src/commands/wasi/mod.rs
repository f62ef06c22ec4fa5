//! The commands for programs compiled to WebAssembly components.

mod args;
mod call;
pub(super) mod engine;
mod exports;
pub(super) mod http;
mod inspect;
mod policy;
mod program;
mod reply;
mod run;
mod serve;
mod stand_ins;
pub(super) mod state;
mod stop;
mod tasks;
mod watch_run;
mod wave;
mod wire;

use crate::exit::Ended;
use crate::session::Session;

pub(crate) use args::Command;
pub(crate) use call::example;

/// Whether this program can run components.
pub(crate) const IS_INCLUDED: bool = true;

/// Does what the command line asks for.
pub(crate) async fn run(command: Command, session: &mut Session) -> Ended {
    match command {
        Command::Run(args) => run::run(args, session).await,
        Command::Serve(args) => serve::serve(args, session).await,
        Command::WatchRun(args) => watch_run::watch_run(args, session).await,
        Command::Inspect(args) => inspect::inspect(args, session).await,
    }
}
