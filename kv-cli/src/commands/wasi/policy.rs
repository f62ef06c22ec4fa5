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
    /// The most that the memory of all instances together may take, in MiB.
    total_memory_mb: Option<NonZeroU32>,
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

/// What is said of a program; nothing yet, where there is no file.
pub(super) struct Rules(Option<Written>);

struct Written {
    /// The file.
    shown: String,
    policy: Policy,
    guest: GuestEntry,
}

/// What a program sees, and the stores that are open for it.
pub(super) struct Granted {
    pub(super) access: Access,
    pub(super) cache_bucket: Option<String>,
    pub(super) limits: Limits,
    stores: Vec<Store>,
}

impl Rules {
    /// Reads the file, if one is given.
    pub(super) fn read(which: &Which) -> Result<Self, Failure> {
        let Some(file) = which.config.as_deref() else { return Ok(Self(None)) };
        let shown = file.display().to_string();
        let mut policy = Policy::read(file)?;
        let stem = which.guest.file_stem().unwrap_or_default().to_string_lossy();
        let name = which.name.as_deref().unwrap_or(&stem);
        let Some(guest) = policy.guest.remove(name) else {
            let known: Vec<&str> = policy.guest.keys().map(String::as_str).collect();
            let text = format!("it has no [guest.{name}]; it has: {}. --as names another one", known.join(", "));
            return Err(Failure::data(text).within(&shown));
        };
        Ok(Self(Some(Written { shown, policy, guest })))
    }

    /// What the program may take of the host, as far as it is no store's matter.
    pub(super) fn limits(&self) -> Limits {
        self.0.as_ref().map_or_else(Limits::default, |written| written.guest.limits())
    }

    /// Opens the stores of the program's buckets; without a file it sees every bucket of the one at `url`.
    pub(super) async fn open(self, url: &str) -> Result<Granted, Failure> {
        let limits = self.limits();
        let Some(Written { shown, policy, guest }) = self.0 else {
            let store = session::open(url).await?;
            let access = Access::all_of(&store);
            return Ok(Granted { access, cache_bucket: None, limits, stores: vec![store] }.alone());
        };
        let mut stores = BTreeMap::new();
        let access = policy.grant(&guest, &mut stores).await;
        let stores = stores.into_values().collect();
        let granted = Granted { access: Access::none(), cache_bucket: guest.cache, limits, stores };
        match access {
            Ok(access) => Ok(Granted { access, ..granted }.alone()),
            Err(failure) => {
                // The failure is what is told, whatever becomes of the stores that did open.
                let _ = granted.end(Ok(Verdict::Yes)).await;
                Err(failure.within(&shown))
            }
        }
    }
}

impl Granted {
    /// This program is the only one of its stores here, so it may have all the versioned handles that they have.
    fn alone(mut self) -> Self {
        self.limits.cas_handles = self.stores.iter().map(|store| store.limits().cas_handles).sum();
        self
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
        let bytes = |mib: NonZeroU32| (mib.get() as usize).saturating_mul(1 << 20);
        if let Some(one) = self.memory_mb {
            limits.memory_bytes = bytes(one);
            // One instance may have what is its own.
            limits.total_memory_bytes = limits.total_memory_bytes.max(limits.memory_bytes);
        }
        if let Some(all) = self.total_memory_mb {
            limits.total_memory_bytes = bytes(all);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(guest: &str) -> Rules {
        let stores = "[store.a]\nurl = \"memory:\"\n[store.b]\nurl = \"memory:b\"\n";
        let mut policy: Policy = toml::from_str(&format!("{stores}[guest.g]\n{guest}")).unwrap();
        let guest = policy.guest.remove("g").unwrap();
        Rules(Some(Written { shown: String::new(), policy, guest }))
    }

    #[test]
    fn memory_is_what_the_file_says() {
        const MIB: usize = 1 << 20;
        for (lines, one, all) in [
            ("", 1_024, 4_096),
            ("memory_mb = 64", 64, 4_096),
            ("memory_mb = 5000", 5_000, 5_000),
            ("memory_mb = 5000\ntotal_memory_mb = 4000", 5_000, 4_000),
            ("total_memory_mb = 100", 1_024, 100),
        ] {
            let limits = rules(&format!("buckets = []\n{lines}")).limits();
            assert_eq!((limits.memory_bytes / MIB, limits.total_memory_bytes / MIB), (one, all), "{lines}");
        }
    }

    /// A store has so many for all, and here there is nobody else.
    #[tokio::test]
    async fn a_program_has_all_the_versioned_handles_of_its_stores() {
        let most = kv::Limits::default().cas_handles;
        let one = "buckets = [{ name = \"a\", store = \"a\" }]";
        let two = "buckets = [{ name = \"a\", store = \"a\" }, { name = \"b\", store = \"b\" }]";
        for (rules, handles) in [(Rules(None), most), (rules(one), most), (rules(two), 2 * most)] {
            let granted = rules.open("memory:").await.unwrap();
            assert_eq!(granted.limits.cas_handles, handles);
            granted.end(Ok(Verdict::Yes)).await.unwrap();
        }
    }
}
