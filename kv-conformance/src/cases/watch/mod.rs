//! Cases of the family `watch`: which event each write makes, in which order, and what a slow reader costs.

mod kinds;
mod order;
mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kv_core::{Event, Events};

use crate::case::case;
use crate::{Case, Needs, Stop};

use kinds::{
    begins_after_return, buckets_and_prefixes, current_value_is_shown, each_write_makes_its_event, expiry_is_shown,
    large_values_are_whole, no_write_makes_no_event,
};
use order::{last_event_is_what_is_stored, order_of_racing_writers, ten_thousand_in_order};
use readers::{
    abandoned_reads_lose_nothing, dropped_streams_leave_nothing, just_within_the_queue, slow_reader_disturbs_nobody,
    slow_reader_goes_on, stream_ends_at_close,
};

pub(super) const CASES: &[Case] = &[
    case!(Watch, each_write_makes_its_event, ["WCH-1"]).needs(Needs::WatchEvery),
    case!(Watch, no_write_makes_no_event, ["WCH-1"]).needs(Needs::WatchEvery),
    case!(Watch, current_value_is_shown, ["WCH-1"]).needs(Needs::Watch),
    case!(Watch, expiry_is_shown, ["WCH-1", "TTL-2"]).needs(Needs::WatchAndCache),
    case!(Watch, buckets_and_prefixes, ["WCH-1", "NAM-3"]).needs(Needs::Watch),
    case!(Watch, begins_after_return, ["WCH-1"]).needs(Needs::Watch),
    case!(Watch, large_values_are_whole, ["WCH-1"]).needs(Needs::Watch),
    case!(Watch, ten_thousand_in_order, ["WCH-1", "WCH-2"]).needs(Needs::WatchEvery),
    case!(Watch, order_of_racing_writers, ["WCH-1"]).needs(Needs::WatchEvery),
    case!(Watch, last_event_is_what_is_stored, ["WCH-1"]).needs(Needs::Watch),
    case!(Watch, just_within_the_queue, ["WCH-2"]).needs(Needs::Watch),
    case!(Watch, slow_reader_goes_on, ["WCH-2"]).needs(Needs::Watch),
    case!(Watch, slow_reader_disturbs_nobody, ["WCH-2"]).needs(Needs::Watch),
    case!(Watch, abandoned_reads_lose_nothing, ["WCH-1", "CAN-1"]).needs(Needs::WatchEvery),
    case!(Watch, stream_ends_at_close, ["WCH-1", "BKT-5"]).needs(Needs::Watch),
    case!(Watch, dropped_streams_leave_nothing, ["WCH-2", "BKT-4"]).needs(Needs::Watch).exclusive(),
];

/// An event in a form that failures can show and that can be sorted: what happened, the key, the value.
type Seen = (&'static str, String, Option<String>);

/// How long an event may take to come: far more than it does, and short enough to find out in.
const SHOWN: Duration = Duration::from_secs(5);

/// The key written to mark that what came before has been shown.
const MARK: &str = "mark";

fn seen(event: &Event) -> Seen {
    match event {
        Event::Set { key, value } => ("set", key.clone(), Some(String::from_utf8_lossy(value).into_owned())),
        Event::Deleted { key } => ("deleted", key.clone(), None),
        Event::Expired { key } => ("expired", key.clone(), None),
        Event::Dropped => ("dropped", String::new(), None),
        Event::Lagged(_) => ("lagged", String::new(), None),
        Event::Resync => ("resync", String::new(), None),
    }
}

fn set(key: &str, value: &str) -> Seen {
    ("set", key.to_owned(), Some(value.to_owned()))
}

fn deleted(key: &str) -> Seen {
    ("deleted", key.to_owned(), None)
}

/// The next event, which must come.
async fn next(events: &mut Events) -> Result<Seen, Stop> {
    match tokio::time::timeout(SHOWN, events.next()).await {
        Ok(Some(event)) => Ok(seen(&event)),
        Ok(None) => Err(Stop::failed("expected: one more event; found: the stream's end")),
        Err(_) => Err(Stop::failed(format_args!("expected: one more event; found: none within {SHOWN:?}"))),
    }
}

/// Waits for something that events bring, for as long as one event may take.
async fn shortly<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Stop> {
    let late = |_| Stop::failed(format_args!("expected: {what}; found: not within {SHOWN:?}"));
    tokio::time::timeout(SHOWN, work).await.map_err(late)
}

/// The events up to the one that shows the mark with this value, without it.
async fn up_to_mark(events: &mut Events, mark: &str) -> Result<Vec<Seen>, Stop> {
    let mut found = Vec::new();
    loop {
        let event = next(events).await?;
        if event == set(MARK, mark) {
            return Ok(found);
        }
        found.push(event);
    }
}

/// Reads until the last event of each of these keys is the one expected, in whatever order and however merged.
async fn until_current(events: &mut Events, expected: &[Seen]) -> Result<Vec<Seen>, Stop> {
    let wanted: BTreeMap<&str, &Seen> = expected.iter().map(|event| (&*event.1, event)).collect();
    let mut missing: BTreeSet<&str> = wanted.keys().copied().collect();
    let mut found = Vec::new();
    while let Some(first) = missing.first() {
        let event = next(events).await.map_err(|stop| match stop {
            Stop::Failed(what) => {
                Stop::Failed(format!("{what}; still to come: {first:?} and {} more", missing.len() - 1))
            }
            other => other,
        })?;
        if let Some((key, wanted)) = wanted.get_key_value(&*event.1) {
            if **wanted == event {
                missing.remove(key);
            } else {
                missing.insert(key);
            }
        }
        found.push(event);
    }
    Ok(found)
}
