//! The file that says which buckets each program sees.

use std::collections::BTreeMap;
use std::path::Path;

use kv::Store;
use kv_wasi::{Access, Rights};
use serde::Deserialize;

use super::Which;
use crate::exit::Failure;
use crate::session;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    #[serde(default)]
    store: BTreeMap<String, StoreEntry>,
    #[serde(default)]
    guest: BTreeMap<String, GuestEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreEntry {
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestEntry {
    buckets: Vec<BucketEntry>,
    /// The bucket of the interface `cache`.
    cache: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketEntry {
    name: Option<String>,
    prefix: Option<String>,
    store: String,
    to: Option<String>,
    access: Option<Vec<Right>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Right {
    Read,
    Write,
    List,
}

/// What a program sees, and the stores that are open for it.
pub(super) struct Granted {
    pub(super) access: Access,
    pub(super) cache_bucket: Option<String>,
    stores: Vec<Store>,
}

impl Granted {
    /// By the file if one is given, else every bucket of the store at `url`.
    pub(super) async fn open(which: &Which, url: &str) -> Result<Self, Failure> {
        let Some(file) = which.config.as_deref() else {
            let store = session::open(url).await?;
            return Ok(Self { access: Access::all_of(&store), cache_bucket: None, stores: vec![store] });
        };
        let shown = file.display().to_string();
        let policy = Policy::read(file)?;
        let stem = which.guest.file_stem().unwrap_or_default().to_string_lossy();
        let name = which.name.as_deref().unwrap_or(&stem);
        let Some(guest) = policy.guest.get(name) else {
            let known: Vec<&str> = policy.guest.keys().map(String::as_str).collect();
            let text = format!("it has no [guest.{name}]; it has: {}. --as names another one", known.join(", "));
            return Err(Failure::data(text).within(&shown));
        };
        let mut stores = BTreeMap::new();
        let granted = policy.grant(name, guest, &mut stores).await;
        let stores: Vec<Store> = stores.into_values().collect();
        match granted {
            Ok(access) => Ok(Self { access, cache_bucket: guest.cache.clone(), stores }),
            Err(failure) => {
                for store in stores {
                    store.close().await?;
                }
                Err(failure.within(&shown))
            }
        }
    }

    pub(super) async fn close(self) -> Result<(), Failure> {
        for store in self.stores {
            store.close().await?;
        }
        Ok(())
    }
}

impl Policy {
    fn read(file: &Path) -> Result<Self, Failure> {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|cause| Failure::io(format!("reading {shown}"), &cause))?;
        // What the parser says has the line in it, and with that perhaps a password.
        toml::from_str(&text).map_err(|cause| {
            let line = cause.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
            Failure::data(format!("line {line}: {}", cause.message())).within(&shown)
        })
    }

    /// Opens each store that the guest's rules name, once.
    async fn grant(
        &self,
        name: &str,
        guest: &GuestEntry,
        stores: &mut BTreeMap<String, Store>,
    ) -> Result<Access, Failure> {
        let mut access = Access::none();
        for (n, rule) in guest.buckets.iter().enumerate() {
            let place = format!("[guest.{name}], bucket {}", n + 1);
            let Some(entry) = self.store.get(&rule.store) else {
                return Err(Failure::data(format!("{place}: there is no [store.{}]", rule.store)));
            };
            let store = match stores.get(&rule.store) {
                Some(store) => store.clone(),
                None => {
                    let store = session::open(&entry.url).await.map_err(|failure| failure.within(&rule.store))?;
                    stores.insert(rule.store.clone(), store.clone());
                    store
                }
            };
            let rights = rule.access.as_deref().map_or(Rights::ALL, rights);
            access = match (&rule.name, &rule.prefix) {
                (Some(name), None) => access.bucket(name, &store, rule.to.clone(), rights),
                (None, Some(prefix)) => access.prefix(prefix, &store, rule.to.clone(), rights),
                _ => return Err(Failure::data(format!("{place}: it needs either name or prefix"))),
            };
        }
        Ok(access)
    }
}

fn rights(list: &[Right]) -> Rights {
    let mut rights = Rights::default();
    for right in list {
        match right {
            Right::Read => rights.read = true,
            Right::Write => rights.write = true,
            Right::List => rights.list = true,
        }
    }
    rights
}
