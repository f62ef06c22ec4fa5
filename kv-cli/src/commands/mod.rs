//! One file for each group of commands.

mod batch;
mod buckets;
#[cfg(feature = "conform")]
pub(crate) mod conform;
#[cfg(not(feature = "conform"))]
#[path = "left_out.rs"]
pub(crate) mod conform;
mod counters;
mod entries;
mod export;
mod import;
mod keys;
mod tour;
#[cfg(feature = "wasi")]
pub(crate) mod wasi;
#[cfg(not(feature = "wasi"))]
#[path = "wasi_left_out.rs"]
pub(crate) mod wasi;
mod watch;

use crate::args::Command;
use crate::exit::Ended;
use crate::session::Session;

/// Does what the command line asks for.
pub(crate) async fn run(command: Command, session: &mut Session) -> Ended {
    match command {
        Command::Tour => tour::tour(session).await,
        Command::Set(args) => entries::set(args, session).await,
        Command::Get(at) => entries::get(at, session).await,
        Command::Delete(args) => entries::delete(args, session).await,
        Command::Exists(at) => entries::exists(at, session).await,
        Command::Ttl(at) => entries::ttl(at, session).await,
        Command::Keys(args) => keys::keys(args, session).await,
        Command::Buckets(args) => buckets::buckets(args, session).await,
        Command::DropBucket(args) => buckets::drop_bucket(args, session).await,
        Command::Reindex(args) => buckets::reindex(args, session).await,
        Command::Backup(args) => buckets::backup(args, session).await,
        Command::Info => buckets::info(session).await,
        Command::Incr(args) => counters::incr(args, session).await,
        Command::Cas(args) => counters::cas(args, session).await,
        Command::Watch(args) => watch::watch(args, session).await,
        Command::Import(args) => import::import(args, session).await,
        Command::Export(args) => export::export(args, session).await,
        Command::Wasi(command) => wasi::run(command, session).await,
        Command::Conform(args) => conform::conform(args, session).await,
    }
}
