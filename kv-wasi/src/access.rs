use kv_core::{Effect, Error, ErrorKind, Events, Store};

use crate::fail::Fail;
use crate::resources::OpenBucket;

/// Which buckets a guest sees, where they are, and what it may do with them.
///
/// The first rule that fits a name counts. A name that none fits is no bucket of the guest's: `no-such-store`. A right that the
/// rule does not give is `access-denied`.
#[derive(Clone, Default)]
pub struct Access {
    rules: Vec<Rule>,
}

/// What a guest may do with a bucket. Operations that read and write, such as `increment`, need both rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// `get`, `exists` and the like.
    pub read: bool,
    /// `set`, `delete` and the like.
    pub write: bool,
    /// The names of keys.
    pub list: bool,
}

#[derive(Clone)]
struct Rule {
    names: Names,
    store: Store,
    to: Option<String>,
    rights: Rights,
}

#[derive(Clone)]
enum Names {
    One(String),
    Prefix(String),
}

/// A bucket that the host watches for a guest, with what the guest may do there.
pub struct Watched(pub(crate) OpenBucket);

impl Watched {
    /// Watches the keys that begin with `prefix`; see [`Bucket::watch`](kv_core::Bucket::watch).
    ///
    /// # Errors
    ///
    /// What [`Bucket::watch`](kv_core::Bucket::watch) has.
    pub async fn events(&self, prefix: &str) -> kv_core::Result<Events> {
        self.0.bucket.watch(prefix).await
    }
}

impl Rights {
    /// All of them.
    pub const ALL: Self = Self { read: true, write: true, list: true };
    pub(crate) const READ: Self = Self { read: true, write: false, list: false };
    pub(crate) const WRITE: Self = Self { read: false, write: true, list: false };
    pub(crate) const LIST: Self = Self { read: false, write: false, list: true };
    pub(crate) const READ_WRITE: Self = Self { read: true, write: true, list: false };

    pub(crate) fn check(self, wanted: Self) -> Result<(), Fail> {
        let is_enough = (self.read || !wanted.read) && (self.write || !wanted.write) && (self.list || !wanted.list);
        if is_enough { Ok(()) } else { Err(Fail::Denied) }
    }
}

impl Access {
    /// No bucket at all; add rules.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every bucket of a store, each under its own name.
    #[must_use]
    pub fn all_of(store: &Store) -> Self {
        Self::none().prefix("", store, None, Rights::ALL)
    }

    /// Adds the bucket `name`, which is the bucket `to` of the store, or has the same name there.
    #[must_use]
    pub fn bucket(self, name: impl Into<String>, store: &Store, to: Option<String>, rights: Rights) -> Self {
        self.rule(Names::One(name.into()), store, to, rights)
    }

    /// Adds all buckets whose names begin with `prefix`, which `to` replaces in the names that they have in the store.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>, store: &Store, to: Option<String>, rights: Rights) -> Self {
        self.rule(Names::Prefix(prefix.into()), store, to, rights)
    }

    fn rule(mut self, names: Names, store: &Store, to: Option<String>, rights: Rights) -> Self {
        self.rules.push(Rule { names, store: store.clone(), to, rights });
        self
    }

    /// Opens the bucket that the guest knows as `name`, for the host to watch in its place.
    ///
    /// # Errors
    ///
    /// [`NoSuchBucket`](ErrorKind::NoSuchBucket) and [`AccessDenied`](ErrorKind::AccessDenied) as the guest would be told; the
    /// right to read is needed.
    pub async fn watched(&self, name: &str) -> kv_core::Result<Watched> {
        let refused = |kind, text: String| Error::new(kind, Effect::None, text);
        let opened = self.open(name).await.and_then(|open| open.rights.check(Rights::READ).map(|()| open));
        opened.map(Watched).map_err(|fail| match fail {
            Fail::NoSuchStore => refused(ErrorKind::NoSuchBucket, "it has no bucket of this name".to_owned()),
            Fail::Denied => refused(ErrorKind::AccessDenied, "it may not read this bucket".to_owned()),
            other => refused(ErrorKind::Other, other.into_trace().unwrap_or_else(|cause| cause.to_string())),
        })
    }

    /// Opens the bucket that the guest knows as `name`.
    pub(crate) async fn open(&self, name: &str) -> Result<OpenBucket, Fail> {
        for (at, rule) in self.rules.iter().enumerate() {
            let Some(own) = rule.own_name(name) else { continue };
            if rule.rights == Rights::default() {
                return Err(Fail::Denied);
            }
            return Ok(OpenBucket { rule: at, bucket: rule.store.open_bucket(&own).await?, rights: rule.rights });
        }
        Err(Fail::NoSuchStore)
    }
}

impl Rule {
    /// The bucket's name in the store, if the rule fits.
    fn own_name(&self, name: &str) -> Option<String> {
        match &self.names {
            Names::One(one) => (one == name).then(|| self.to.as_deref().unwrap_or(name).to_owned()),
            Names::Prefix(prefix) => {
                let rest = name.strip_prefix(prefix.as_str())?;
                Some(self.to.as_deref().unwrap_or(prefix).to_owned() + rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        kv_memory::open_named("").unwrap()
    }

    async fn opened(access: &Access, name: &str) -> Result<String, Fail> {
        access.open(name).await.map(|open| open.bucket.name().to_owned())
    }

    #[tokio::test]
    async fn the_first_rule_that_fits_counts() {
        let store = store();
        let access = Access::none()
            .bucket("a", &store, Some("real".to_owned()), Rights::READ)
            .bucket("tmp-secret", &store, None, Rights::default())
            .prefix("tmp-", &store, Some("guest/".to_owned()), Rights::ALL);
        assert_eq!(opened(&access, "a").await.unwrap(), "real");
        assert_eq!(opened(&access, "tmp-x").await.unwrap(), "guest/x");
        assert!(matches!(opened(&access, "tmp-secret").await, Err(Fail::Denied)));
        assert!(matches!(opened(&access, "b").await, Err(Fail::NoSuchStore)));
        assert_eq!(opened(&Access::all_of(&store), "").await.unwrap(), "");
    }

    #[test]
    fn rights_are_checked_one_by_one() {
        assert!(Rights::READ.check(Rights::READ).is_ok() && Rights::ALL.check(Rights::READ_WRITE).is_ok());
        assert!(matches!(Rights::READ.check(Rights::READ_WRITE), Err(Fail::Denied)));
        assert!(matches!(Rights::READ_WRITE.check(Rights::LIST), Err(Fail::Denied)));
    }
}
