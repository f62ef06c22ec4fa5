//! The command `watch`.

use kv::Event;
use serde::Serialize;

use crate::args::Watch;
use crate::exit::{Ended, Failure, Verdict};
use crate::output::{Output, escape, note};
use crate::record::ShownValue;
use crate::session::Session;

#[derive(Serialize)]
struct Shown<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    value: Option<ShownValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

pub(super) async fn watch(args: Watch, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            let bucket = store.open_bucket(&args.bucket).await?;
            let mut events = bucket.watch(&args.prefix).await?;
            if store.declared().exclusive {
                note("only this process can write to an embedded store, so expiries are all that can happen");
            }
            let mut seen = 0;
            while args.count.is_none_or(|count| seen < count)
                && let Some(event) = events.next().await
            {
                show(&event, out)?;
                out.flush()?;
                seen += 1;
            }
            Ok(Verdict::Yes)
        })
        .await
}

fn show(event: &Event, out: &mut Output) -> Result<(), Failure> {
    let nothing = Shown { event: "", key: None, value: None, missed: None };
    let shown = match event {
        Event::Set { key, value } => {
            Shown { event: "set", key: Some(key), value: Some(ShownValue::new(value)), ..nothing }
        }
        Event::Deleted { key } => Shown { event: "deleted", key: Some(key), ..nothing },
        Event::Expired { key } => Shown { event: "expired", key: Some(key), ..nothing },
        Event::Dropped => Shown { event: "dropped", ..nothing },
        Event::Lagged(missed) => Shown { event: "lagged", missed: Some(*missed), ..nothing },
        Event::Resync => Shown { event: "resync", ..nothing },
    };
    if out.json {
        return out.json(&shown);
    }
    // One line for each event, whatever the key holds.
    let mut line = shown.event.to_owned();
    for part in [shown.key, shown.value.as_ref().map(ShownValue::text)].into_iter().flatten() {
        line.push('\t');
        line.push_str(&escape(part));
    }
    if let Some(missed) = shown.missed {
        line.push_str(&format!("\t{missed}"));
    }
    out.line(line)
}
