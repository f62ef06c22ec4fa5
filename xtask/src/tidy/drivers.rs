use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Result;
use crate::project::{Metadata, Package};

/// What is read of `deny.toml`, which is written for cargo-deny.
#[derive(Deserialize)]
pub(crate) struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

/// A driver, and the crates that may use it.
#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    wrappers: Vec<String>,
}

impl Deny {
    /// Reads the file; a ban without wrappers bans the crate altogether.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|cause| format!("deny.toml: {cause}").into())
    }
}

/// Each driver is used only by the crates that `deny.toml` names, with every feature on.
pub(crate) fn check_drivers(deny: &Deny, metadata: &Metadata) -> Vec<String> {
    let names: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let name = |id: &str| names.get(id).map_or("?", |package| package.name.as_str()).to_owned();
    let mut faults = Vec::new();
    for ban in &deny.bans.deny {
        for node in &metadata.resolve.nodes {
            let user = name(&node.id);
            let uses = node.dependencies.iter().any(|other| name(other) == ban.name);
            if uses && !ban.wrappers.contains(&user) {
                faults.push(format!(
                    "{user} uses {}, which deny.toml allows to: {}",
                    ban.name,
                    if ban.wrappers.is_empty() { "no crate".to_owned() } else { ban.wrappers.join(", ") }
                ));
            }
        }
    }
    faults
}

/// Each package's licence is among those that `deny.toml` allows.
pub(crate) fn check_licences(deny: &Deny, metadata: &Metadata) -> Vec<String> {
    let allowed = |package: &&Package| match &package.license {
        Some(expression) => is_allowed(expression, &deny.licenses.allow),
        None => false,
    };
    let refused = metadata.packages.iter().filter(|package| !allowed(package));
    refused
        .map(|package| {
            let licence = package.license.as_deref().unwrap_or("no licence");
            format!("{} has {licence}, which deny.toml does not allow", package.name)
        })
        .collect()
}

/// Judges an SPDX expression: `AND` binds closer than `OR`, and `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<String> = Vec::new();
    let mut with = false;
    for word in spaced.split_whitespace() {
        // An exception belongs to its licence, and the pair is allowed as one.
        match words.last_mut() {
            Some(last) if with => *last = format!("{last} WITH {word}"),
            _ if word == "WITH" => {}
            _ => words.push(word.to_owned()),
        }
        with = word == "WITH";
    }
    let mut words = words.into_iter().peekable();
    let verdict = any(&mut words, allow);
    verdict && words.next().is_none()
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

fn any(words: &mut Words, allow: &[String]) -> bool {
    let mut verdict = all(words, allow);
    while words.next_if(|word| word == "OR").is_some() {
        verdict |= all(words, allow);
    }
    verdict
}

fn all(words: &mut Words, allow: &[String]) -> bool {
    let mut verdict = one(words, allow);
    while words.next_if(|word| word == "AND").is_some() {
        verdict &= one(words, allow);
    }
    verdict
}

fn one(words: &mut Words, allow: &[String]) -> bool {
    match words.next() {
        Some(word) if word == "(" => {
            let verdict = any(words, allow);
            words.next().is_some_and(|word| word == ")") && verdict
        }
        Some(word) => allow.contains(&word),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]
        [bans]
        deny = [{ crate = "engine", wrappers = ["provider"], reason = "r" }]
    "#;

    fn metadata(user: &str, licence: &str) -> Metadata {
        let json = format!(
            r#"{{"target_directory": "t", "workspace_members": [],
            "packages": [
              {{"id": "1", "name": "engine", "license": "MIT", "features": {{}}, "dependencies": []}},
              {{"id": "2", "name": "{user}", "license": {licence}, "features": {{}}, "dependencies": []}}],
            "resolve": {{"nodes": [{{"id": "1", "dependencies": []}}, {{"id": "2", "dependencies": ["1"]}}]}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_driver_is_for_its_wrappers_only() {
        let deny = Deny::parse(DENY).unwrap();
        assert_eq!(check_drivers(&deny, &metadata("provider", "null")), Vec::<String>::new());
        assert_eq!(
            check_drivers(&deny, &metadata("facade", "null")),
            ["facade uses engine, which deny.toml allows to: provider"]
        );
    }

    #[test]
    fn a_licence_has_to_be_allowed() {
        let deny = Deny::parse(DENY).unwrap();
        assert_eq!(check_licences(&deny, &metadata("p", r#""MIT""#)), Vec::<String>::new());
        assert_eq!(check_licences(&deny, &metadata("p", "null")), ["p has no licence, which deny.toml does not allow"]);
        assert_eq!(check_licences(&deny, &metadata("p", r#""GPL-3.0""#)).len(), 1);
    }

    #[test]
    fn licence_expressions_are_judged_whole() {
        let allow = Deny::parse(DENY).unwrap().licenses.allow;
        for good in
            ["MIT OR GPL-3.0", "GPL-3.0/MIT", "(MIT OR GPL-3.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]
        {
            assert!(is_allowed(good, &allow), "{good}");
        }
        for bad in ["", "MIT AND GPL-3.0", "Apache-2.0", "(MIT", "MIT MIT", "MIT OR GPL-3.0 )", "MIT WITH other"] {
            assert!(!is_allowed(bad, &allow), "{bad}");
        }
    }

    #[test]
    fn a_broken_deny_toml_is_told() {
        assert!(Deny::parse("[bans]").err().unwrap().to_string().starts_with("deny.toml: "));
    }
}
