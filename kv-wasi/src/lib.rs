#![doc = include_str!("../README.md")]

mod access;
mod bindings;
mod context;
mod cursors;
mod error;
mod fail;
mod guest;
mod limits;
mod link;
mod memory;
mod missing;
mod operations;
mod pending;
mod rename;
mod resources;
mod shape;
mod shapes;
mod signature;
mod streams;
mod ticker;
mod watch;

pub use access::{Access, Rights, Watched};
pub use context::{KvCtx, KvCtxView, KvView};
pub use error::{Error, ErrorKind};
pub use guest::{Guest, Host};
pub use limits::Limits;
pub use missing::Missing;
pub use shape::Shape;
pub use signature::Function;
pub use ticker::Ticker;
pub use watch::{Delivered, Watcher};
