//! The file that says which buckets each program sees.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use kv::Store;
use kv_wasi::{Access, Limits, Rights};
use serde::Deserialize;

use super::args::Which;
use crate::exit::{Ended, Failure, Verdict};
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
    /// The most that an instance's memory may take, in MiB.
    memory_mb: Option<NonZeroU32>,
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
    pub(super) limits: Limits,
    stores: Vec<Store>,
}

impl Granted {
    /// By the file if one is given, else every bucket of the store at `url`.
    pub(super) async fn open(which: &Which, url: &str) -> Result<Self, Failure> {
        let Some(file) = which.config.as_deref() else {
            let store = session::open(url).await?;
            let access = Access::all_of(&store);
            return Ok(Self { access, cache_bucket: None, limits: Limits::default(), stores: vec![store] });
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
        let access = policy.grant(guest, &mut stores).await;
        let cache_bucket = guest.cache.clone();
        let limits = guest.limits();
        let granted = Self { access: Access::none(), cache_bucket, limits, stores: stores.into_values().collect() };
        match access {
            Ok(access) => Ok(Self { access, ..granted }),
            Err(failure) => {
                // The failure is what is told, whatever becomes of the stores that did open.
                let _ = granted.end(Ok(Verdict::Yes)).await;
                Err(failure.within(&shown))
            }
        }
    }

    /// Closes the stores, whatever came of the work; its failure is what is told first.
    pub(super) async fn end(self, ended: Ended) -> Ended {
        let mut closed = Ok(());
        for store in self.stores {
            closed = closed.and(store.close().await);
        }
        let verdict = ended?;
        closed?;
        Ok(verdict)
    }
}

impl GuestEntry {
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(mb) = self.memory_mb {
            limits.memory_bytes = (mb.get() as usize).saturating_mul(1 << 20);
        }
        limits
    }
}

impl Policy {
    fn read(file: &Path) -> Result<Self, Failure> {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|cause| Failure::io(format!("reading {shown}"), &cause))?;
        // The line itself stays untold: there may be a password in it.
        let policy: Self = toml::from_str(&text).map_err(|cause| {
            let line = cause.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
            Failure::data(format!("line {line}: {}", without_url(cause.message()))).within(&shown)
        })?;
        policy.check().map_err(|failure| failure.within(&shown))?;
        Ok(policy)
    }

    /// What TOML can't say, for all guests, whichever is run.
    fn check(&self) -> Result<(), Failure> {
        for (guest, entry) in &self.guest {
            for (n, rule) in entry.buckets.iter().enumerate() {
                let wrong = |text| Err(Failure::data(format!("[guest.{guest}], bucket {}: {text}", n + 1)));
                if !self.store.contains_key(&rule.store) {
                    return wrong(format!("there is no [store.{}]", rule.store));
                }
                if rule.name.is_some() == rule.prefix.is_some() {
                    return wrong("it needs either name or prefix".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Opens each store that the guest's rules name, by its URL, once.
    async fn grant(&self, guest: &GuestEntry, stores: &mut BTreeMap<String, Store>) -> Result<Access, Failure> {
        let mut access = Access::none();
        for rule in &guest.buckets {
            let Some(StoreEntry { url }) = self.store.get(&rule.store) else { continue };
            let store = match stores.get(url) {
                Some(store) => store.clone(),
                None => {
                    // A URL that nothing can open is a fault of the file, and not of the command line.
                    let opened = kv::open(url).await.map_err(|error| Failure::opening(&error));
                    let store = opened.map_err(|failure| failure.within(&format!("[store.{}]", rule.store)))?;
                    stores.insert(url.clone(), store.clone());
                    store
                }
            };
            let rights = rule.access.as_deref().map_or(Rights::ALL, rights);
            access = match (&rule.name, &rule.prefix) {
                (Some(name), _) => access.bucket(name, &store, rule.to.clone(), rights),
                (None, prefix) => access.prefix(prefix.as_deref().unwrap_or_default(), &store, rule.to.clone(), rights),
            };
        }
        Ok(access)
    }
}

/// The parser's sentence; a URL that stood in a wrong place may have a password in it.
fn without_url(sentence: &str) -> String {
    let Some(at) = sentence.find("://") else { return sentence.to_owned() };
    let (before, after) = sentence.split_at(at);
    let before = before.rfind(['"', '`', ' ']).and_then(|quote| before.get(..quote)).unwrap_or_default().trim_end();
    let expected = after.rfind(", expected").and_then(|comma| after.get(comma..)).unwrap_or_default();
    format!("{before}{expected}")
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
