//! Where Valkey's server is: the tests look for it there, and xtask, which includes this file, installs it there. Debian has
//! no package of it yet.

use std::env::var_os;
use std::path::PathBuf;

/// The version that is tested.
pub(crate) const VERSION: &str = "9.1.2";

/// The server's program, if it is there; or the one that `KV_VALKEY_SERVER` names, whether or not it is there.
pub(crate) fn valkey_server() -> Option<PathBuf> {
    match var_os("KV_VALKEY_SERVER").filter(|path| !path.is_empty()) {
        Some(path) => Some(path.into()),
        None => installed().filter(|program| program.is_file()),
    }
}

/// Where it is installed, without root: in the user's cache folder.
pub(crate) fn installed() -> Option<PathBuf> {
    let cache = var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(var_os("HOME")?).join(".cache")))?;
    Some(cache.join("kv").join(format!("valkey-{VERSION}")).join("valkey-server"))
}
