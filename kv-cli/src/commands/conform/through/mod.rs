//! `kv conform --through-wasm`: the suite's cases by way of a guest, for each shape of wasi:keyvalue.

mod instances;
mod provider;
mod told;

use std::sync::{Arc, Mutex, PoisonError};

use kv::Store;
use kv_conformance::{Case, CaseReport, Ending, FromFn, Run};
use kv_wasi::Shape;
use serde_json::json;

use super::place::Place;
use crate::commands::wasi::engine::{Async, Running};
use crate::exit::{Ended, Failure, Verdict};
use crate::output::Output;
use instances::{Instances, Program};
use provider::Through;
use told::{Inexpressible, is_for_lack};

/// A shape through which fewer cases pass shows too little.
const LEAST: usize = 60;

/// A guest for each shape, with a function for each of the shape's.
const GUESTS: [(Shape, &[u8]); 5] = [
    (Shape::Golem2023, include_bytes!("../../../../../guests/built/exerciser-2023.wasm")),
    (Shape::V0_1_0, include_bytes!("../../../../../guests/built/exerciser-0.1.0.wasm")),
    (Shape::Draft, include_bytes!("../../../../../guests/built/exerciser-draft.wasm")),
    (Shape::Draft2, include_bytes!("../../../../../guests/built/exerciser-draft2.wasm")),
    (Shape::Spin, include_bytes!("../../../../../guests/built/exerciser-spin.wasm")),
];

/// How a case ended by way of a guest.
enum Way {
    Passed,
    /// It needs what the shape can't express, or what is not declared.
    LeftOut(String),
    Failed(String),
}

pub(super) fn run(place: &Place, seed: u64, chosen: &[&Case], is_filtered: bool, out: &mut Output) -> Ended {
    let running = Running::plain(Async::Off)?;
    let mut is_good = true;
    let mut shapes = Vec::new();
    for (shape, component) in GUESTS {
        let program = Program::load(&running.engine, component)
            .map_err(|cause| Failure::other(format!("the guest of {} can't be run: {cause:#}", shape.name())))?;
        let program = Arc::new(program);
        let (mut passed, mut failed, mut left_out) = (0_usize, 0_usize, 0_usize);
        let mut lines = Vec::new();
        for case in chosen {
            let way = try_case(place, &program, case.name, seed);
            let (word, reason) = match way {
                Way::Passed => {
                    passed += 1;
                    ("passed", None)
                }
                Way::LeftOut(why) => {
                    left_out += 1;
                    ("left out", Some(why))
                }
                Way::Failed(why) => {
                    failed += 1;
                    ("failed", Some(why))
                }
            };
            if out.json {
                lines.push(json!({"case": case.name, "outcome": word, "reason": reason}));
            } else {
                let reason = reason.map_or_else(String::new, |why| format!(": {why}"));
                out.line(format!("{} {word} {}{reason}", shape.name(), case.name))?;
                out.flush()?;
            }
        }
        let is_enough = is_filtered || passed >= LEAST;
        is_good &= failed == 0 && is_enough;
        if out.json {
            let counts = json!({"passed": passed, "failed": failed, "left_out": left_out});
            shapes.push(json!({"shape": shape.name(), "counts": counts, "cases": lines}));
        } else {
            let few = if is_enough { String::new() } else { format!("; at least {LEAST} must pass") };
            out.line(format!("{}: {passed} passed, {failed} failed, {left_out} left out{few}", shape.name()))?;
        }
    }
    if out.json {
        out.json(&json!({"store": place.name(), "seed": seed, "shapes": shapes}))?;
    }
    Ok(if is_good { Verdict::Yes } else { Verdict::No })
}

/// Runs one case on a store of its own.
fn try_case(place: &Place, program: &Arc<Program>, case: &str, seed: u64) -> Way {
    let noted: Arc<Mutex<Vec<Inexpressible>>> = Arc::default();
    let harness = {
        let (program, noted, opener) = (Arc::clone(program), Arc::clone(&noted), place.opener());
        FromFn::new(place.name(), Through::declared(place.declared()), move |id| {
            let (program, noted, opener) = (Arc::clone(&program), Arc::clone(&noted), opener.clone());
            async move {
                let store = opener(id).await?;
                let inexpressible = Inexpressible::default();
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(inexpressible.clone());
                let instances = Arc::new(Instances::new(&program, &store));
                Ok(Store::new(Through { store, instances, inexpressible }))
            }
        })
        .remove(place.remover())
    };
    let report = Run::new(Arc::new(harness)).seed(seed).filter(case).threads(1).run(|_| {});
    let left_out = noted.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(Inexpressible::first);
    let Some(CaseReport { outcome, reason, .. }) = report.cases.into_iter().find(|own| own.case == case) else {
        return Way::Failed("the suite did not run it".to_owned());
    };
    let reason = reason.unwrap_or_default();
    match (outcome, left_out) {
        // A case that met what the shape can't express has not tried all that it should. If it failed of something else, that is
        // a failure.
        (Ending::Failed | Ending::Inconclusive, Some(_)) if !is_for_lack(&reason) => Way::Failed(reason),
        (_, Some(what)) => Way::LeftOut(format!("it uses a {what}, which this shape does not have")),
        (Ending::Passed, None) => Way::Passed,
        (Ending::NotApplicable, None) => Way::LeftOut(reason),
        (Ending::Failed | Ending::Inconclusive, None) => Way::Failed(reason),
    }
}
