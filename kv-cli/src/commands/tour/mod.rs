//! The command `tour`: what a store does, call by call, each result beside what was promised.

mod script;
mod show;
mod steps;

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use kv::{StoreUrl, Support};
use serde_json::json;

use crate::exit::{Ended, Failure, Verdict};
use crate::session::{self, Session};
use steps::Steps;

pub(super) async fn tour(session: &mut Session) -> Ended {
    let (url, folder) = match &session.url {
        // A memory store without a name could not be reopened.
        Some(url) if url == "memory:" => (NAMED_MEMORY.to_owned(), None),
        Some(url) => (url.clone(), None),
        None => temporary()?,
    };
    let place = if folder.is_some() { "a temporary folder".to_owned() } else { shown(&url) };
    // A name that nobody has: the store may hold what is not ours.
    let name = format!("kv-tour-{:016x}", RandomState::new().hash_one(std::process::id()));
    let store = session::open(&url).await?;
    let engine = store.declared().engine;
    if !session.out.json {
        session.out.line(format!("A tour of kv on {engine}, in {place}"))?;
    }
    let mut steps = Steps::new(&mut session.out);
    let ended = script::play(&url, &store, &name, &mut steps).await;
    let (steps, failed) = steps.finish();
    if let Err(failure) = ended {
        // The failure is what is told, whatever becomes of the rest.
        let _ = store.close().await;
        script::clean_up(&url, &name).await;
        return Err(failure);
    }
    let done = steps.len();
    if session.out.json {
        session.out.json(&json!({"engine": engine, "store": place, "as_promised": failed == 0, "steps": steps}))?;
    } else if failed == 0 {
        session.out.line(format!("\nAll {done} results are as promised. Next: kv --help"))?;
    } else {
        session.out.line(format!("\n{failed} of {done} results are not as promised."))?;
    }
    Ok(if failed == 0 { Verdict::Yes } else { Verdict::No })
}

const NAMED_MEMORY: &str = "memory:kv-tour";

/// A store that goes with its folder: the default provider's, or in memory where that is not compiled in.
fn temporary() -> Result<(String, Option<tempfile::TempDir>), Failure> {
    let has_sled = kv::schemes().iter().any(|scheme| scheme.name == "sled" && scheme.support == Support::Included);
    if !has_sled {
        return Ok((NAMED_MEMORY.to_owned(), None));
    }
    let folder = tempfile::tempdir().map_err(|cause| Failure::io("making a temporary folder", &cause))?;
    let path = url_path(folder.path())
        .ok_or_else(|| Failure::usage("the folder for temporary files is not named in UTF-8; set TMPDIR to another"))?;
    Ok((format!("sled:{path}"), Some(folder)))
}

/// A folder as a URL writes it.
fn url_path(path: &Path) -> Option<String> {
    Some(path.join("store").to_str()?.replace('%', "%25").replace('?', "%3F"))
}

/// The URL without its secrets.
fn shown(url: &str) -> String {
    url.parse::<StoreUrl>().map(|url| url.to_string()).unwrap_or_default()
}
