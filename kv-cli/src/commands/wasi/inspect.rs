//! `kv inspect`.

use kv_wasi::{Function, Guest};
use serde_json::json;

use super::args::InspectArgs;
use super::engine::Running;
use super::exports;
use super::program::load;
use super::state;
use crate::exit::{Ended, Failure, Verdict};
use crate::session::Session;

/// Longer types are cut: two lines of a wide terminal.
const SIGNATURE_CHARS: usize = 240;

pub(super) async fn inspect(args: InspectArgs, session: &mut Session) -> Ended {
    let (running, guest) = load(Running::plain, &args.guest)?;
    let linker = state::linker(&running.engine).map_err(|cause| Failure::other(format!("{cause:#}")))?;
    let missing = guest.missing(&linker).map_err(|error| Failure::data(error.to_string()))?;
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let shapes: Vec<&str> = guest.shapes().iter().map(|shape| shape.name()).collect();
    let traps: Vec<String> =
        guest.traps().iter().map(|function| format!("{}#{}", function.interface, function.name)).collect();
    let can = commands(&guest, missing.is_empty());
    let out = &mut session.out;
    if out.json {
        let functions = |functions: &[Function]| {
            let each = |function: &Function| json!({"interface": function.interface, "name": function.name, "type": function.signature});
            functions.iter().map(each).collect::<Vec<_>>()
        };
        let (imports, exports) = (functions(guest.imports()), functions(guest.exports()));
        let all = json!({
            "shapes": shapes, "commands": can, "imports": imports, "exports": exports, "missing": missing, "traps": traps,
        });
        out.json(&all)?;
        return Ok(Verdict::Yes);
    }
    out.line(if shapes.is_empty() {
        "shapes    none: it does not use wasi:keyvalue".to_owned()
    } else {
        format!("shapes    wasi:keyvalue {}", shapes.join(", "))
    })?;
    out.line(format!("commands  {}", if can.is_empty() { "none".to_owned() } else { can.join(", ") }))?;
    for (title, functions) in [("imports", guest.imports()), ("exports", guest.exports())] {
        out.line("")?;
        out.line(title)?;
        let mut interface = "";
        for function in functions {
            if function.interface != interface {
                interface = &function.interface;
                out.line(format!("  {interface}"))?;
            }
            let indent = if interface.is_empty() { "  " } else { "    " };
            let gap = if function.signature.starts_with('(') { "" } else { ": " };
            out.line(format!("{indent}{}{gap}{}", function.name, short(&function.signature)))?;
        }
    }
    for (title, lines) in [("missing on this host", missing), ("trap when they are called", traps)] {
        if !lines.is_empty() {
            out.line("")?;
            out.line(title)?;
            lines.iter().try_for_each(|line| out.line(format!("  {line}")))?;
        }
    }
    Ok(Verdict::Yes)
}

/// A type as far as a reader goes: those of errors can take a page. In JSON it is whole.
fn short(signature: &str) -> String {
    match signature.char_indices().nth(SIGNATURE_CHARS) {
        Some((end, _)) => format!("{}…", signature.get(..end).unwrap_or_default()),
        None => signature.to_owned(),
    }
}

/// The commands that the program is for.
fn commands(guest: &Guest, is_complete: bool) -> Vec<&'static str> {
    if !is_complete {
        return Vec::new();
    }
    let mut commands = Vec::new();
    if exports::has_wasi(guest, "wasi:cli/run") {
        commands.push("run");
    }
    if !exports::names(guest).is_empty() {
        commands.push("run --invoke");
    }
    if exports::has_wasi(guest, "wasi:http/incoming-handler") {
        commands.push("serve");
    }
    if guest.check_watcher().is_ok() {
        commands.push("watch-run");
    }
    commands
}
