//! Commands on single entries: `set`, `get`, `delete`, `exists`, `ttl`.

use kv::{Bucket, Ttl};
use serde_json::json;

use crate::args::{Delete, Key, Set};
use crate::exit::{Ended, Verdict};
use crate::input;
use crate::output::{Output, note};
use crate::record::Shown;
use crate::session::Session;

pub(super) async fn set(args: Set, session: &mut Session) -> Ended {
    let value = input::value(&args.value, args.raw)?;
    session
        .create(async |store, out| {
            let bucket = store.open_bucket(&args.at.bucket).await?;
            let bytes = value.len();
            match args.ttl {
                Some(ttl) => bucket.set_with_ttl(&args.at.key, value, ttl).await?,
                None => bucket.set(&args.at.key, value).await?,
            }
            if out.json {
                out.json(&json!({"key": args.at.key, "bytes": bytes}))?;
            }
            Ok(Verdict::Yes)
        })
        .await
}

pub(super) async fn get(at: Key, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            let bucket = store.open_bucket(&at.bucket).await?;
            let Some(value) = bucket.get(&at.key).await? else {
                return absent(&bucket, &at.key, "value", out);
            };
            if out.json {
                out.json(&Shown::new(&at.key, &value, None))?;
            } else {
                out.bytes(&value)?;
                if out.terminal {
                    out.bytes(b"\n")?;
                }
            }
            Ok(Verdict::Yes)
        })
        .await
}

pub(super) async fn delete(args: Delete, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            store.open_bucket(&args.bucket).await?.delete_many(&args.keys).await?;
            if out.json {
                out.json(&json!({"keys": args.keys}))?;
            }
            Ok(Verdict::Yes)
        })
        .await
}

pub(super) async fn exists(at: Key, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            let found = store.open_bucket(&at.bucket).await?.exists(&at.key).await?;
            if out.json {
                out.json(&json!({"key": at.key, "exists": found}))?;
            } else {
                out.line(if found { "true" } else { "false" })?;
            }
            Ok(if found { Verdict::Yes } else { Verdict::No })
        })
        .await
}

pub(super) async fn ttl(at: Key, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            let bucket = store.open_bucket(&at.bucket).await?;
            let left = match bucket.ttl(&at.key).await? {
                Ttl::Absent => return absent(&bucket, &at.key, "ttl_ms", out),
                Ttl::Forever => None,
                Ttl::Left(left) => Some(left),
            };
            match left {
                _ if out.json => {
                    let left = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                    out.json(&json!({"key": at.key, "exists": true, "ttl_ms": left}))?;
                }
                Some(left) => out.line(humantime::format_duration(left).to_string())?,
                None => out.line("forever")?,
            }
            Ok(Verdict::Yes)
        })
        .await
}

/// Says that there is no such key.
fn absent(bucket: &Bucket, key: &str, field: &str, out: &mut Output) -> Ended {
    if out.json {
        out.json(&json!({"key": key, "exists": false, field: null}))?;
    } else {
        note(format!("the bucket {} has no key {key}", bucket.name()));
    }
    Ok(Verdict::No)
}
