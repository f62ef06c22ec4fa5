//! `kv run --invoke`: one call of a function that the program exports.

use kv_wasi::{Access, Guest, Host};
use serde_json::json;
use wasm_wave::untyped::UntypedFuncCall;
use wasmtime::Store;
use wasmtime::component::{Func, Instance, Type, Val};
use wasmtime_wasi::WasiCtx;

use super::Which;
use super::engine::Running;
use super::http::Outgoing;
use super::program::{Program, trapped, wasi};
use super::state::{self, State};
use super::wave::Call;
use crate::exit::{Ended, Failure, Verdict};
use crate::session::Session;

pub(super) async fn invoke(program: &Program, which: &Which, text: &str, session: &mut Session) -> Ended {
    let call = Call::parse(text)?;
    let function = find(&program.guest, &call.name).map_err(|failure| failure.within(&program.shown))?;
    // What the program prints must not stand between the result's lines.
    let wasi = wasi(which)?.inherit_stderr().stdout(wasmtime_wasi::cli::stderr()).build();
    let (mut store, instance) = program.start(wasi).await?;
    let function = get(&mut store, &instance, function)?;
    let results = make(&mut store, function, &call).await.map_err(|failure| failure.within(&program.shown))?;
    for result in &results {
        let wave = wasm_wave::to_string(result).map_err(|cause| Failure::other(cause.to_string()))?;
        let texts = texts(result);
        if session.out.json {
            session.out.json(&json!({"result": wave, "texts": texts}))?;
        } else if texts.is_empty() {
            session.out.line(wave)?;
        } else {
            let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            session.out.line(format!("{wave}  # {}", texts.join(", ")))?;
        }
    }
    Ok(Verdict::Yes)
}

/// What the functions are called, as one may call them.
pub(super) fn names(guest: &Guest) -> impl Iterator<Item = String> {
    guest.exports().iter().filter(|function| !function.name.starts_with('[')).map(|function| {
        if function.interface.is_empty() {
            function.name.clone()
        } else {
            format!("{}.{}", function.interface, function.name)
        }
    })
}

/// An exported function: its interface, and its own name.
type Place<'a> = (&'a str, &'a str);

/// Finds `golem:examples/api.get`, `api.get` or `get`, if there is one such function.
fn find<'a>(guest: &'a Guest, name: &str) -> Result<Place<'a>, Failure> {
    let (interface, own) = name.rsplit_once('.').map_or((None, name), |(interface, own)| (Some(interface), own));
    let fits = |full: &str| {
        let Some(wanted) = interface else { return true };
        let without_version = full.split_once('@').map_or(full, |(name, _)| name);
        let short = without_version.rsplit_once('/').map_or(without_version, |(_, short)| short);
        wanted == full || wanted == without_version || wanted == short
    };
    let functions = guest.exports().iter().filter(|function| function.name == own && fits(&function.interface));
    let found: Vec<Place<'a>> =
        functions.map(|function| (function.interface.as_str(), function.name.as_str())).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let known: Vec<String> = names(guest).collect();
            Err(Failure::data(format!("it exports no function {name}; there are: {}", known.join(", "))))
        }
        several => {
            let several: Vec<String> = several.iter().map(|(interface, name)| format!("{interface}.{name}")).collect();
            Err(Failure::data(format!("{name} may be each of: {}", several.join(", "))))
        }
    }
}

fn get(store: &mut Store<State>, instance: &Instance, (interface, name): Place<'_>) -> Result<Func, Failure> {
    let parent = match interface {
        "" => None,
        interface => instance.get_export_index(&mut *store, None, interface),
    };
    let index = instance.get_export_index(&mut *store, parent.as_ref(), name);
    let function = index.and_then(|index| instance.get_func(&mut *store, index));
    function.ok_or_else(|| Failure::data(format!("{interface}.{name} can't be called")))
}

/// Parses the arguments by the function's types and calls it.
async fn make(store: &mut Store<State>, function: Func, call: &Call) -> Result<Vec<Val>, Failure> {
    let ty = function.ty(&*store);
    let types: Vec<Type> = ty.params().map(|(_, ty)| ty).collect();
    let wrong = |error: wasm_wave::parser::ParserError| {
        let why =
            error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
        call.wrong_wave(&error.span(), &why)
    };
    let parsed = UntypedFuncCall::parse(&call.wave).map_err(wrong)?;
    let params: Vec<Val> = parsed.to_wasm_params(&types).map_err(wrong)?;
    let mut results = vec![Val::Bool(false); ty.results().len()];
    function.call_async(&mut *store, &params, &mut results).await.map_err(|cause| trapped(&cause))?;
    Ok(results)
}

/// The lists of bytes in a value that are text, in their order.
fn texts(value: &Val) -> Vec<String> {
    match value {
        Val::List(items) if !items.is_empty() && items.iter().all(|item| matches!(item, Val::U8(_))) => {
            let bytes =
                items.iter().filter_map(|item| if let Val::U8(byte) = item { Some(*byte) } else { None }).collect();
            String::from_utf8(bytes).into_iter().collect()
        }
        Val::List(items) | Val::Tuple(items) => items.iter().flat_map(texts).collect(),
        Val::Record(fields) => fields.iter().flat_map(|(_, value)| texts(value)).collect(),
        Val::Option(Some(value)) | Val::Variant(_, Some(value)) => texts(value),
        Val::Result(Ok(Some(value)) | Err(Some(value))) => texts(value),
        _ => Vec::new(),
    }
}

/// The program that `kv tour` runs.
const EXAMPLE: &[u8] = include_bytes!("../../../../guests/built/example-2023.wasm");

/// Makes one call of the example, in an instance of its own; gives its result in WAVE.
pub(crate) async fn example(store: &kv::Store, text: &str) -> Result<String, Failure> {
    let call = Call::parse(text)?;
    let running = Running::plain()?;
    let other = |error: kv_wasi::Error| Failure::other(error.to_string());
    let guest = Host::new(Access::all_of(store)).load(&running.engine, EXAMPLE).map_err(other)?;
    let linker = state::linker(&running.engine).map_err(|cause| trapped(&cause))?;
    let linker = guest.link(&linker).map_err(other)?;
    let mut store = state::store(&running.engine, &guest, WasiCtx::builder().build(), Outgoing::none());
    let instance = linker.instantiate_async(&mut store, guest.component()).await.map_err(|cause| trapped(&cause))?;
    let function = get(&mut store, &instance, find(&guest, &call.name)?)?;
    let results = make(&mut store, function, &call).await?;
    let shown: Result<Vec<String>, _> = results.iter().map(wasm_wave::to_string).collect();
    Ok(shown.map_err(|cause| Failure::other(cause.to_string()))?.join(", "))
}
