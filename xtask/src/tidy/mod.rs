//! The rules of the workspace that no compiler checks.

mod arrows;
mod clauses;
mod drivers;
mod files;
mod manifests;
mod markdown;

use crate::project::Project;
use crate::{Result, guests};

/// `cargo xtask tidy`: checks every rule and tells every fault.
pub(crate) fn run() -> Result {
    let project = Project::load()?;
    let deny = drivers::Deny::parse(project.text("deny.toml")?)?;
    let rules = [
        ("arrows between the crates", arrows::check(project.text("ARCHITECTURE.md")?, &project.metadata)),
        ("drivers", drivers::check_drivers(&deny, &project.metadata)),
        ("licences", drivers::check_licences(&deny, &project.metadata)),
        ("clauses, cases and mutants", clauses::check(&project, &kv_conformance::gaps())),
        ("sizes and words of files", files::check(&project.files)),
        ("manifests", manifests::check(&project.files)?),
        ("guests", guests::check(&project.files)?),
        ("links and excerpts in documents", markdown::check(&project.files)),
    ];
    let mut count = 0;
    for (rule, faults) in rules {
        println!("{}  {rule}", if faults.is_empty() { "ok    " } else { "FAILED" });
        for fault in &faults {
            println!("        {fault}");
        }
        count += faults.len();
    }
    if count == 0 { Ok(()) } else { Err(format!("{count} faults").into()) }
}

impl Project {
    fn text(&self, path: &str) -> Result<&str> {
        let text = self.files.get(path).ok_or_else(|| format!("{path} is missing"))?;
        Ok(text)
    }
}
