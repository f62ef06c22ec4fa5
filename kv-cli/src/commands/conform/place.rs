//! Where the cases' stores are, and how each gets one of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kv::{Batches, Consistency, Declared, Durability, Store, StoreUrl, Watching};
use kv_conformance::FromFn;

use crate::exit::Failure;
use crate::session;

/// What `kv conform URL` names.
pub(super) struct Place {
    /// As reports and commands show it: without user and password.
    url: String,
    root: Arc<Root>,
    declared: Declared,
    required: Declared,
    /// Whether the run made the folder.
    is_new: bool,
}

/// How a case's store is named.
enum Root {
    /// A named store of this process.
    Memory,
    /// A folder inside this one.
    Folder {
        path: PathBuf,
        /// The URL up to the options.
        location: String,
        /// The options, with their question mark.
        options: String,
    },
    /// A namespace on the server of this URL, which has none yet.
    Server(String),
}

impl Root {
    fn url(&self, id: &str) -> String {
        match self {
            Self::Memory => format!("memory:{id}"),
            Self::Folder { location, options, .. } => format!("{location}/{id}{options}"),
            Self::Server(url) => format!("{url}{}namespace={id}", if url.contains('?') { '&' } else { '?' }),
        }
    }
}

impl Place {
    /// Finds out what the provider declares, by opening a store.
    pub(super) async fn prepare(url: &str) -> Result<Self, Failure> {
        session::check(url)?;
        let parsed: StoreUrl = url.parse()?;
        let in_folder = kv::schemes().iter().any(|scheme| scheme.name == parsed.scheme() && scheme.in_folder);
        let root = match parsed.scheme() {
            "memory" => Root::Memory,
            _ if in_folder => {
                let (location, options) = url.split_at(url.find('?').unwrap_or(url.len()));
                Root::Folder {
                    path: PathBuf::from(parsed.path()),
                    location: location.to_owned(),
                    options: options.to_owned(),
                }
            }
            scheme if parsed.options()?.take("namespace").is_some() => {
                let text = format!("each case gets a namespace of its own; leave namespace= out of the {scheme} URL");
                return Err(Failure::usage(text));
            }
            _ => Root::Server(url.to_owned()),
        };
        let shown = match &root {
            Root::Server(_) => parsed.to_string(),
            // No option of an embedded provider is a secret, and durability is part of what is tested.
            Root::Memory | Root::Folder { .. } => url.to_owned(),
        };
        let is_new = matches!(&root, Root::Folder { path, .. } if !path.exists());
        let required = required(&parsed)?;
        let place = Self { url: shown, root: Arc::new(root), declared: required.clone(), required, is_new };
        let id = format!("kv-conformance-{}-probe", std::process::id());
        let store = session::open(&place.root.url(&id)).await?;
        let declared = store.declared();
        let closed = store.close().await;
        remove(&place.root, &id).await?;
        closed?;
        Ok(Self { declared, ..place })
    }

    /// As reports show it.
    pub(super) fn name(&self) -> &str {
        &self.url
    }

    pub(super) fn declared(&self) -> &Declared {
        &self.declared
    }

    pub(super) fn harness(&self) -> FromFn {
        let url = self.url.clone();
        FromFn::new(self.name(), self.declared().clone(), self.opener())
            .required(self.required.clone())
            .remove(self.remover())
            .repeat(move |case, seed| {
                format!("{} conform {} --case {} --seed {seed}", program(), quote(&url), quote(case))
            })
    }

    /// Opens a case's store.
    pub(super) fn opener(
        &self,
    ) -> impl Fn(String) -> BoxFuture<'static, kv::Result<Store>> + Clone + Send + Sync + use<> {
        let root = Arc::clone(&self.root);
        move |id| Box::pin(open(Arc::clone(&root), id))
    }

    /// Removes it.
    pub(super) fn remover(&self) -> impl Fn(String) -> BoxFuture<'static, kv::Result<()>> + Send + Sync + use<> {
        let root = Arc::clone(&self.root);
        move |id| {
            let root = Arc::clone(&root);
            Box::pin(async move { remove(&root, &id).await })
        }
    }

    /// Removes what cases that did not end in time left behind, and the folder if the run made it.
    pub(super) fn clean_up(&self) {
        let Root::Folder { path, .. } = &*self.root else { return };
        let own = format!("kv-conformance-{}-", std::process::id());
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&own) {
                // A store that is still open may be writing; the report has said which case it was.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        if self.is_new {
            // It stays if somebody put something else there.
            let _ = fs::remove_dir(path);
        }
    }
}

async fn open(root: Arc<Root>, id: String) -> kv::Result<Store> {
    kv::open(&root.url(&id)).await
}

/// Buckets of a case that are dropped side by side: some cases make thousands, and each takes a few trips.
const DROPS_AT_ONCE: usize = 16;

/// Removes a case's store, which is closed.
async fn remove(root: &Root, id: &str) -> kv::Result<()> {
    match root {
        Root::Memory | Root::Server(_) => {
            let store = kv::open(&root.url(id)).await?;
            let buckets = stream::iter(store.buckets().await?);
            let drops = buckets.map(|bucket| async { store.drop_bucket(&{ bucket }).await });
            drops.buffer_unordered(DROPS_AT_ONCE).try_collect::<()>().await?;
            store.close().await
        }
        Root::Folder { path, .. } => {
            remove_folder(&path.join(id));
            Ok(())
        }
    }
}

fn remove_folder(folder: &Path) {
    // A case may fail before it has made the folder; what is left goes at the end of the run.
    let _ = fs::remove_dir_all(folder);
}

/// The least that a provider has to declare: the contract's table (section 2), row by row.
fn required(url: &StoreUrl) -> Result<Declared, Failure> {
    let embedded = Declared {
        engine: String::new(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Every),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability: Durability::Volatile,
        exclusive: true,
    };
    let server = Declared { watch: Some(Watching::Latest), exclusive: false, ..embedded.clone() };
    let (consistency, batches) = (Consistency::ReadYourWrites, Batches::PerKey);
    let servers = Declared { consistency, batches, ..server.clone() };
    let (row, otherwise) = match url.scheme() {
        "memory" => (embedded, Durability::Volatile),
        "redis" | "rediss" | "unix" => (server, Durability::Volatile),
        scheme if scheme.starts_with("redis") => (servers, Durability::Volatile),
        _ => (embedded, Durability::Process),
    };
    let durability = match url.options()?.take("durability").as_deref() {
        Some("relaxed" | "volatile") => Durability::Volatile,
        Some("process") => Durability::Process,
        Some("power") => Durability::Power,
        _ => otherwise,
    };
    Ok(Declared { durability, ..row })
}

/// How this program was called.
fn program() -> String {
    std::env::args().next().map_or_else(|| "kv".to_owned(), |program| quote(&program))
}

/// A word as a shell reads it.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | ':' | '=');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(quote("sled:./a-b_c"), "sled:./a-b_c");
        assert_eq!(quote("sled:x?durability=power"), "'sled:x?durability=power'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn the_table_asks_for_the_class_that_the_url_names() {
        let class = |url: &str| required(&url.parse().unwrap()).unwrap().durability;
        assert_eq!(class("memory:"), Durability::Volatile);
        assert_eq!(class("sled:x"), Durability::Process);
        assert_eq!(class("sled:x?durability=relaxed"), Durability::Volatile);
        assert_eq!(class("sled:x?durability=power"), Durability::Power);
        assert_eq!(class("rocksdb:x"), Durability::Process);
        assert_eq!(class("rocksdb:x?durability=relaxed"), Durability::Volatile);
        assert_eq!(class("rocksdb:x?durability=power"), Durability::Power);
        // The table's rows of the two are alike.
        let row = |url: &str| required(&url.parse().unwrap()).unwrap();
        assert_eq!(row("rocksdb:x"), row("sled:x"));
        assert_eq!(class("redis+cluster://h"), Durability::Volatile);
        assert_eq!(class("redis+cluster://h?durability=power"), Durability::Power);
        let batches = |url: &str| required(&url.parse().unwrap()).unwrap().batches;
        assert_eq!((batches("redis://h"), batches("rediss+cluster://h")), (Batches::Atomic, Batches::PerKey));
    }

    #[test]
    fn a_server_gives_each_case_a_namespace() {
        let url = |url: &str| Root::Server(url.to_owned()).url("id");
        assert_eq!(url("redis://h/3"), "redis://h/3?namespace=id");
        assert_eq!(url("redis://h?durability=power"), "redis://h?durability=power&namespace=id");
        let required = required(&"redis://h?durability=power".parse().unwrap()).unwrap();
        assert_eq!((required.durability, required.watch), (Durability::Power, Some(Watching::Latest)));
        assert!(!required.exclusive);
    }
}
