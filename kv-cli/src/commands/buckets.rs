//! Commands on buckets and on the store: `buckets`, `drop-bucket`, `reindex`, `backup`, `info`.

use std::io::{self, IsTerminal as _, Write as _};

use kv::{Batches, Consistency, Declared, ErrorKind, StoreUrl, Watching};
use serde_json::{Map, Value, json};

use crate::args::{Backup, DropBucket, Listing, Reindex};
use crate::exit::{Ended, Failure, Verdict};
use crate::output::{escape, note};
use crate::session::Session;

pub(super) async fn buckets(args: Listing, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            let mut names = store.buckets().await?;
            names.sort_unstable();
            for name in &names {
                if out.json {
                    out.json(&json!({"bucket": name}))?;
                } else if args.null {
                    out.bytes(name.as_bytes())?;
                    out.bytes(b"\0")?;
                } else {
                    out.name(name, b'\n')?;
                }
            }
            Ok(Verdict::Yes)
        })
        .await
}

pub(super) async fn drop_bucket(args: DropBucket, session: &mut Session) -> Ended {
    if !args.yes && !is_confirmed(&args.bucket)? {
        note("nothing was removed");
        return Ok(Verdict::No);
    }
    session
        .existing(async |store, out| {
            store.drop_bucket(&args.bucket).await?;
            if out.json {
                out.json(&json!({"bucket": args.bucket}))?;
            }
            Ok(Verdict::Yes)
        })
        .await
}

pub(super) async fn reindex(args: Reindex, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            let added = store.reindex(&args.bucket).await?;
            if out.json {
                out.json(&json!({"bucket": args.bucket, "added": added}))?;
            } else {
                out.line(added.to_string())?;
            }
            Ok(Verdict::Yes)
        })
        .await
}

pub(super) async fn backup(args: Backup, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            store.checkpoint(&args.folder).await.map_err(|error| match error.kind() {
                ErrorKind::Unsupported => Failure::from(error).and(", each bucket with kv export BUCKET"),
                _ => error.into(),
            })?;
            if out.json {
                out.json(&json!({"folder": args.folder.to_string_lossy()}))?;
            }
            Ok(Verdict::Yes)
        })
        .await
}

fn is_confirmed(bucket: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("drop-bucket removes all entries of a bucket; say --yes where nobody can be asked"));
    }
    let failed = |cause| Failure::io("asking for confirmation", &cause);
    write!(io::stderr(), "Remove all entries of the bucket {}? [y/N] ", escape(bucket)).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

pub(super) async fn info(session: &mut Session) -> Ended {
    // Opening has refused what does not parse by the time this is shown; it holds no secret.
    let shown = session.url().parse::<StoreUrl>().map(|url| url.to_string()).unwrap_or_default();
    session
        .existing(async |store, out| {
            let mut facts: Vec<(&str, Value)> = vec![("store", shown.into())];
            facts.extend(promises(&store.declared()));
            for (name, value) in store.info().await? {
                // A provider tells some of its promises here too.
                if facts.iter().all(|(told, _)| *told != name) {
                    facts.push((name, value.into()));
                }
            }
            if out.json {
                let facts = facts.into_iter().map(|(name, value)| (name.replace(' ', "_"), value));
                out.json(&facts.collect::<Map<_, _>>())?;
            } else {
                let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
                for (name, value) in &facts {
                    let value = match value {
                        Value::String(text) => escape(text).into_owned(),
                        Value::Bool(true) => "yes".to_owned(),
                        Value::Bool(false) => "no".to_owned(),
                        other => other.to_string(),
                    };
                    out.line(format!("{name:width$}  {value}"))?;
                }
            }
            Ok(Verdict::Yes)
        })
        .await
}

/// What the provider promises beyond what all do.
fn promises(declared: &Declared) -> Vec<(&'static str, Value)> {
    let watch = match declared.watch {
        Some(Watching::Every) => "every write",
        Some(Watching::Latest) => "latest value",
        None => "no",
    };
    let consistency = match declared.consistency {
        Consistency::LinearizablePerKey => "linearizable per key",
        Consistency::ReadYourWrites => "read your writes",
        Consistency::Eventual => "reads from replicas",
    };
    let batches = match declared.batches {
        Batches::Atomic => "atomic",
        Batches::PerKey => "per key",
    };
    vec![
        ("engine", declared.engine.clone().into()),
        ("durability", declared.durability.as_str().into()),
        ("consistency", consistency.into()),
        ("batches", batches.into()),
        ("atomic operations", declared.atomic.into()),
        ("expiry", declared.cache.into()),
        ("watch", watch.into()),
        ("one process only", declared.exclusive.into()),
    ]
}
