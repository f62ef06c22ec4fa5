//! The checks that keep an empty or half-hearted run from passing (the suite's gates 1 and 4).

use kv_core::{Batches, Consistency, Declared, ErrorKind, Watching};

use crate::case::Case;
use crate::check::{ensure, ensure_eq, ensure_kind};
use crate::report::{CaseReport, Ending};
use crate::{Context, Family, K1_CASES, Outcome, Stop, cases};

/// The gates that look at a store. They run and are reported like cases, beside the level's list.
pub(crate) const GATES: &[Case] = &[
    Case::new(Family::Gate, "gate::declares_the_same", &["ERR-5"], |cx| Box::pin(declares_the_same(cx))),
    Case::new(Family::Gate, "gate::declares_enough", &["ERR-5"], |cx| Box::pin(declares_enough(cx))),
    Case::new(Family::Gate, "gate::powers_are_as_declared", &["ERR-5"], |cx| Box::pin(powers_are_as_declared(cx))),
];

/// What to ask for to have the whole list run again.
pub(crate) const WHOLE_LIST_NAME: &str = "gate::the_whole_list_ran";

/// The gate that looks at the run itself.
const WHOLE_LIST: Case =
    Case::new(Family::Gate, WHOLE_LIST_NAME, &["GATE-1"], |_| Box::pin(std::future::ready(Ok(()))));

/// ERR-5: the harness and the store say the same.
async fn declares_the_same(cx: &Context) -> Outcome {
    ensure_eq!(cx.store().declared(), *cx.declared(), "what the store declares, against what the harness says");
    Ok(())
}

/// ERR-5: whoever has to declare a power declares it.
async fn declares_enough(cx: &Context) -> Outcome {
    let Some(required) = cx.required() else {
        return Err(Stop::NotApplicable("nobody asks this provider to declare anything in particular".to_owned()));
    };
    let lacking = lacking(cx.declared(), required);
    ensure!(lacking.is_empty(), "expected: everything required is declared; found: {}", lacking.join("; "));
    Ok(())
}

/// What `declared` falls short of.
fn lacking(declared: &Declared, required: &Declared) -> Vec<String> {
    let mut lacking = Vec::new();
    let mut ask = |enough: bool, what: &str| {
        if !enough {
            lacking.push(what.to_owned());
        }
    };
    ask(declared.atomic || !required.atomic, "atomic operations are required and not declared");
    ask(declared.cache || !required.cache, "entries that expire are required and not declared");
    ask(
        match required.watch {
            None => true,
            Some(Watching::Latest) => declared.watch.is_some(),
            Some(Watching::Every) => declared.watch == Some(Watching::Every),
        },
        match required.watch {
            Some(Watching::Every) => "a watch that shows every write is required and not declared",
            _ => "a watch is required and not declared",
        },
    );
    ask(
        declared.consistency == required.consistency
            || (required.consistency, declared.consistency)
                == (Consistency::ReadYourWrites, Consistency::LinearizablePerKey),
        "more consistent operations are required than are declared",
    );
    ask(
        required.batches == Batches::PerKey || declared.batches == required.batches,
        "atomic batches are required and not declared",
    );
    ask(declared.exclusive || !required.exclusive, "a store of one process is required and not declared");
    if declared.durability < required.durability {
        lacking.push(format!(
            "durability {} is required and {} is declared",
            required.durability.as_str(),
            declared.durability.as_str()
        ));
    }
    lacking
}

/// ERR-5: a power is there exactly if it is declared; an absent one answers `Unsupported` and changes nothing.
async fn powers_are_as_declared(cx: &Context) -> Outcome {
    const TTL: std::time::Duration = std::time::Duration::from_secs(600);
    let (bucket, declared) = (cx.bucket("gate").await?, cx.declared());
    bucket.set("n", "7").await?;
    if declared.atomic {
        ensure_eq!(bucket.increment("n", 1).await?, 8);
        ensure_eq!(bucket.cas("n").await?.current().map(|value| value.to_vec()), Some(b"8".to_vec()));
    } else {
        ensure_kind!(bucket.increment("n", 1).await, Unsupported);
        ensure_kind!(bucket.compare_and_swap("n", Some(b"7"), Some("9".into())).await, Unsupported);
        ensure_kind!(bucket.cas("n").await, Unsupported);
    }
    if declared.cache {
        bucket.set_with_ttl("t", "x", TTL).await?;
        ensure!(bucket.exists("t").await?, "expected: an entry with ten minutes to live is there; found: it is absent");
    } else {
        ensure_kind!(bucket.set_with_ttl("t", "x", TTL).await, Unsupported);
        ensure_kind!(bucket.set_with_ttl("n", "x", TTL).await, Unsupported);
        ensure_kind!(bucket.ttl("n").await, Unsupported);
        ensure_kind!(bucket.get_or_set("v").await, Unsupported);
        ensure_eq!(bucket.keys("", None, None).await?.keys, ["n"]);
    }
    match (declared.watch, bucket.watch("").await) {
        (Some(_), Ok(_)) => {}
        (None, Err(error)) if error.kind() == ErrorKind::Unsupported => {}
        (Some(_), Err(error)) => return Err(error.into()),
        (None, Err(error)) => {
            return Err(Stop::failed(format_args!("expected: Unsupported; found: {}", error.trace())));
        }
        (None, Ok(_)) => return Err(Stop::failed("expected: watch answers Unsupported; found: a stream")),
    }
    let stored = bucket.get("n").await?;
    let expected: &[u8] = if declared.atomic { b"8" } else { b"7" };
    ensure_eq!(stored.as_deref(), Some(expected));
    Ok(())
}

/// Gate 1: cases ran, and no fewer than the level holds.
pub(crate) fn whole_list(gates: &[CaseReport], cases: &[CaseReport], is_filtered: bool, seed: u64) -> CaseReport {
    let ran = gates.iter().chain(cases).filter(|case| case.outcome != Ending::NotApplicable).count();
    let outcome = if !is_filtered {
        enough(cases.iter().filter(|case| case.outcome != Ending::NotApplicable).count(), cases.len())
    } else if ran == 0 {
        Err(Stop::Failed("expected: the filter lets cases run; found: none did".to_owned()))
    } else {
        Err(Stop::NotApplicable(format!("a filter left all but {} of {K1_CASES} cases out", cases.len())))
    };
    CaseReport::new(&WHOLE_LIST, outcome, seed, 0)
}

/// Gate 1 before a run: cases apply, and the list is no shorter than the level.
pub(crate) fn list_is_whole(declared: &Declared, seed: u64) -> CaseReport {
    let applying = cases().filter(|case| case.needs.missing(declared).is_none()).count();
    CaseReport::new(&WHOLE_LIST, enough(applying, cases().count()), seed, 0)
}

fn enough(ran: usize, listed: usize) -> Outcome {
    if ran == 0 {
        return Err(Stop::Failed("expected: cases run; found: none did".to_owned()));
    }
    if listed < K1_CASES {
        return Err(Stop::Failed(format!("expected: the {K1_CASES} cases of K1; found: {listed}")));
    }
    Ok(())
}
