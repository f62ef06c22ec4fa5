//! Atomic commands: `incr` and `cas`.

use kv::{IncomingValue, OutgoingValue, Swap};
use serde_json::json;

use crate::args::{Cas, Incr};
use crate::exit::{Ended, Failure, Verdict};
use crate::input;
use crate::output::{Output, note};
use crate::record::ShownValue;
use crate::session::Session;

pub(super) async fn incr(args: Incr, session: &mut Session) -> Ended {
    session
        .create(async |store, out| {
            let value = store.open_bucket(&args.at.bucket).await?.increment(&args.at.key, args.by).await?;
            if out.json {
                out.json(&json!({"key": args.at.key, "value": value}))?;
            } else {
                out.line(value.to_string())?;
            }
            Ok(Verdict::Yes)
        })
        .await
}

pub(super) async fn cas(args: Cas, session: &mut Session) -> Ended {
    let given = |text: &Option<String>| text.as_deref().is_some_and(input::is_stdin);
    if !args.raw && given(&args.expect) && given(&args.value) {
        return Err(Failure::usage("only one of the two values can come from standard input"));
    }
    let expected = args.expect.as_deref().map(|text| input::value(text, args.raw)).transpose()?;
    let new = args.value.as_deref().map(|text| input::value(text, args.raw)).transpose()?;
    session
        .create(async |store, out| {
            let bucket = store.open_bucket(&args.at.bucket).await?;
            match bucket.compare_and_swap(&args.at.key, expected.as_deref(), new.map(OutgoingValue::from)).await? {
                Swap::Swapped if out.json => {
                    out.json(&json!({"key": args.at.key, "swapped": true}))?;
                    Ok(Verdict::Yes)
                }
                Swap::Swapped => Ok(Verdict::Yes),
                Swap::Found(found) => lost(&args.at.key, found.as_ref(), out),
            }
        })
        .await
}

/// Shows the value that was found instead.
fn lost(key: &str, found: Option<&IncomingValue>, out: &mut Output) -> Ended {
    match found {
        _ if out.json => {
            let found = found.map(|value| ShownValue::new(value));
            out.json(&json!({"key": key, "swapped": false, "found": found}))?;
        }
        Some(value) => {
            out.bytes(value)?;
            if out.terminal {
                out.bytes(b"\n")?;
            }
            out.flush()?;
            note("nothing was changed: the value is another one, written to standard output");
        }
        None => note("nothing was changed: there is no such key"),
    }
    Ok(Verdict::No)
}
