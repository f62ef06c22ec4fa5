use kv_core::{Effect, Error, ErrorKind};

use crate::open::COMPILED_IN;

/// A scheme of store URLs, and whether this build can open it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scheme {
    /// What the URL begins with, before the colon.
    pub name: &'static str,
    /// The URL's form.
    pub form: &'static str,
    /// Whether this build can open it.
    pub support: Support,
    /// Whether the store is a folder on this machine, which may be missing.
    pub in_folder: bool,
}

/// Whether a build can open a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It can.
    Included,
    /// The provider is left out of this build; this cargo feature brings it.
    LeftOut(&'static str),
}

struct Row {
    name: &'static str,
    form: &'static str,
    /// The cargo feature that brings the provider.
    feature: &'static str,
    in_folder: bool,
}

const ROWS: [Row; 10] = [
    Row { name: "memory", form: "memory: or memory:NAME", feature: "memory", in_folder: false },
    Row { name: "sled", form: "sled:FOLDER", feature: "sled", in_folder: true },
    Row { name: "rocksdb", form: "rocksdb:FOLDER", feature: "rocksdb", in_folder: true },
    Row { name: "redis", form: "redis://HOST:PORT", feature: "redis", in_folder: false },
    Row { name: "rediss", form: "rediss://HOST:PORT", feature: "redis", in_folder: false },
    Row { name: "unix", form: "unix:SOCKET", feature: "redis", in_folder: false },
    Row { name: "redis+sentinel", form: "redis+sentinel://HOST:PORT,…/NAME", feature: "redis", in_folder: false },
    Row { name: "redis+cluster", form: "redis+cluster://HOST:PORT,…", feature: "redis", in_folder: false },
    Row { name: "rediss+sentinel", form: "rediss+sentinel://HOST:PORT,…/NAME", feature: "redis", in_folder: false },
    Row { name: "rediss+cluster", form: "rediss+cluster://HOST:PORT,…", feature: "redis", in_folder: false },
];

/// Every scheme that is known, whether this build can open it or not.
#[must_use]
pub fn schemes() -> Vec<Scheme> {
    let scheme = |row: &Row| Scheme {
        name: row.name,
        form: row.form,
        support: if COMPILED_IN.contains(&row.feature) { Support::Included } else { Support::LeftOut(row.feature) },
        in_folder: row.in_folder,
    };
    ROWS.iter().map(scheme).collect()
}

/// Says why a scheme can't be opened.
pub(crate) fn refuse(name: &str) -> Error {
    let schemes = schemes();
    let included: Vec<&str> =
        schemes.iter().filter(|scheme| scheme.support == Support::Included).map(|scheme| scheme.name).collect();
    let included = included.join(", ");
    match schemes.iter().find(|scheme| scheme.name == name).map(|scheme| scheme.support) {
        Some(Support::LeftOut(feature)) => Error::new(
            ErrorKind::Unsupported,
            Effect::None,
            format!("the provider {name} is not compiled in; build with --features {feature}"),
        ),
        _ => {
            let near = schemes.iter().min_by_key(|scheme| strsim::damerau_levenshtein(name, scheme.name));
            let near = near.map_or("memory", |scheme| scheme.name);
            Error::invalid(format!(
                "the store URL has an unknown scheme, {name}; did you mean {near}? This build opens {included}"
            ))
        }
    }
}
