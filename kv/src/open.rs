use kv_core::{Error, Result, Store, StoreUrl};

use crate::schemes;

/// Opens the store at `url` with the provider that its scheme names; makes it where it is not there yet.
///
/// ```
/// # fn main() -> kv::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = kv::open("memory:").await?;
/// let bucket = store.open_bucket("people").await?;
/// bucket.set("ann", "1815").await?;
/// assert_eq!(bucket.get("ann").await?.as_deref(), Some(&b"1815"[..]));
/// store.close().await
/// # })
/// # }
/// ```
///
/// # Errors
///
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a URL that is not of the right form, an unknown
/// scheme or option; [`Unsupported`](crate::ErrorKind::Unsupported) for a provider that is known but not compiled
/// in, which names its feature; and what the provider has: [`Locked`](crate::ErrorKind::Locked) for a store that
/// is open elsewhere.
pub async fn open(url: &str) -> Result<Store> {
    connect(url.parse()?).await
}

/// Opens the store at `url` only if it is there already: a folder is not made.
///
/// # Errors
///
/// Those of [`open`], and one that says that there is no store.
pub async fn open_existing(url: &str) -> Result<Store> {
    let url: StoreUrl = url.parse()?;
    let in_folder = schemes().iter().any(|scheme| scheme.name == url.scheme() && scheme.in_folder);
    connect(if in_folder { url.with_option("create", "false") } else { url }).await
}

/// Whether [`open`] can make sense of the URL: its form, its scheme, its options. Touches no folder and no server.
///
/// # Errors
///
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) and [`Unsupported`](crate::ErrorKind::Unsupported), as
/// [`open`] has them.
pub fn check(url: &str) -> Result<()> {
    let url: StoreUrl = url.parse()?;
    match url.scheme() {
        "memory" => check_memory(&url),
        #[cfg(feature = "redis")]
        name if kv_redis::SCHEMES.contains(&name) => kv_redis::Config::from_url(&url).map(drop),
        #[cfg(feature = "rocksdb")]
        "rocksdb" => kv_rocksdb::Config::from_url(&url).map(drop),
        #[cfg(feature = "sled")]
        "sled" => kv_sled::Config::from_url(&url).map(drop),
        other => Err(schemes::refuse(other)),
    }
}

async fn connect(url: StoreUrl) -> Result<Store> {
    match url.scheme() {
        "memory" => {
            check_memory(&url)?;
            kv_memory::open_named(url.path())
        }
        #[cfg(feature = "redis")]
        name if kv_redis::SCHEMES.contains(&name) => kv_redis::open_url(&url).await,
        #[cfg(feature = "rocksdb")]
        "rocksdb" => kv_rocksdb::open_url(&url).await,
        #[cfg(feature = "sled")]
        "sled" => kv_sled::open_url(&url).await,
        other => Err(schemes::refuse(other)),
    }
}

/// `memory:` is a store of its own, `memory:NAME` the process's store of that name.
fn check_memory(url: &StoreUrl) -> Result<()> {
    if url.hosts().is_some() {
        return Err(Error::invalid("a memory URL names no host; write memory: or memory:NAME"));
    }
    url.options()?.finish()
}

/// The features whose providers are part of this build.
pub(crate) const COMPILED_IN: &[&str] = &[
    "memory",
    #[cfg(feature = "redis")]
    "redis",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
    #[cfg(feature = "sled")]
    "sled",
];
