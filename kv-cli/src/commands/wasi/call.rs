//! `kv run --invoke`: one call of a function that the program exports.

use kv_wasi::{Access, Function, Guest, Host};
use serde_json::json;
use wasmtime::component::{Instance, Val};
use wasmtime::{CallHook, Store, WasmBacktrace};
use wasmtime_wasi::WasiCtx;

use super::args::Which;
use super::engine::{Async, Running};
use super::exports;
use super::http::Outgoing;
use super::program::{Program, ended, trapped, wasi, with_refusal};
use super::state::{self, State};
use super::wave::Typed;
use crate::exit::{Ended, Failure, Verdict};
use crate::session::Session;

/// The longest result, in items of lists, such as bytes: 16 Mi. Each takes tens of bytes here, and is written in up to five:
/// far more than a person reads.
const RESULT_ITEMS: usize = 16 << 20;

/// A call of a function that is there, with arguments as it takes them.
pub(super) struct Call {
    function: Function,
    arguments: Vec<Val>,
}

impl Call {
    pub(super) fn parse(text: &str, guest: &Guest) -> Result<Self, Failure> {
        let typed = Typed::parse(text)?;
        let function = exports::find(guest, &typed.name)?;
        let arguments = typed.arguments(&exports::parameters(guest, function));
        let arguments =
            arguments.map_err(|failure| failure.and(format!("; it is {}{}", function.name, function.signature)))?;
        Ok(Self { function: function.clone(), arguments })
    }

    /// Makes it and shows the result.
    pub(super) async fn invoke(&self, program: &Program, which: &Which, session: &mut Session) -> Ended {
        // What the program prints must not stand between the result's lines.
        let wasi = wasi(which)?.inherit_stderr().stdout(wasmtime_wasi::cli::stderr()).build();
        let (mut store, instance) = program.start(wasi).await?;
        limit_result(&mut store);
        let result = match self.make(&mut store, &instance).await {
            Ok(result) => result,
            Err(ended) => return with_refusal(ended, &store).map_err(|failure| failure.within(&program.shown)),
        };
        let wave = result.as_ref().map(shown).transpose()?;
        let texts = result.as_ref().map(texts).unwrap_or_default();
        if session.out.json {
            session.out.json(&json!({"result": wave, "texts": texts}))?;
        } else if let Some(wave) = wave {
            let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            let beside = if texts.is_empty() { String::new() } else { format!("  # {}", texts.join(", ")) };
            session.out.line(wave + &beside)?;
        }
        Ok(Verdict::Yes)
    }

    /// Makes it and gives the result, if the function has one. What ends the program is an error here, also its own exit.
    async fn make(&self, store: &mut Store<State>, instance: &Instance) -> Result<Option<Val>, Ended> {
        let Function { interface, name, .. } = &self.function;
        let parent = match interface.as_str() {
            "" => None,
            interface => instance.get_export_index(&mut *store, None, interface),
        };
        let index = instance.get_export_index(&mut *store, parent.as_ref(), name);
        let found = index.and_then(|index| instance.get_func(&mut *store, index));
        let callee = found.ok_or_else(|| Err(Failure::other(format!("{name} is not in the instance"))))?;
        let mut results = vec![Val::Bool(false); callee.ty(&*store).results().len()];
        callee.call_async(&mut *store, &self.arguments, &mut results).await.map_err(|cause| call_ended(&cause))?;
        Ok(results.pop())
    }
}

/// Limits the result to [`RESULT_ITEMS`], and the program's own calls as ever. wasmtime has one limit for both, so it is set
/// whenever the program is left: by a call, or by its end.
fn limit_result(store: &mut Store<State>) {
    let call_bytes = store.hostcall_fuel();
    store.call_hook(move |mut store, hook| {
        match hook {
            CallHook::CallingHost => store.set_hostcall_fuel(call_bytes),
            CallHook::ReturningFromWasm => store.set_hostcall_fuel(RESULT_ITEMS * size_of::<Val>()),
            CallHook::CallingWasm | CallHook::ReturningFromHost => {}
        }
        Ok(())
    });
}

/// What ended the call. A trap has the place in the program with it, and the limit on the result comes after the program.
fn call_ended(cause: &wasmtime::Error) -> Ended {
    let is_within = cause.downcast_ref::<WasmBacktrace>().is_some();
    if !is_within && cause.root_cause().to_string().contains("fuel allocated for hostcalls") {
        return Err(Failure::data(format!(
            "the result is larger than {RESULT_ITEMS} items of lists, which is the limit"
        )));
    }
    ended(cause)
}

fn shown(value: &Val) -> Result<String, Failure> {
    wasm_wave::to_string(value).map_err(|cause| Failure::other(format!("the result can't be written: {cause}")))
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
    let running = Running::plain(Async::Off)?;
    let other = |error: kv_wasi::Error| Failure::other(error.to_string());
    let guest = Host::new(Access::all_of(store)).load(&running.engine, EXAMPLE).map_err(other)?;
    let linker = state::linker(&running.engine).map_err(|cause| trapped(&cause))?;
    let linker = guest.link(&linker).map_err(other)?;
    let mut store = state::store(&running.engine, &guest, WasiCtx::builder().build(), Outgoing::none());
    let instance = linker.instantiate_async(&mut store, guest.component()).await.map_err(|cause| trapped(&cause))?;
    match Call::parse(text, &guest)?.make(&mut store, &instance).await {
        Ok(result) => Ok(result.as_ref().map(shown).transpose()?.unwrap_or_default()),
        Err(Err(failure)) => Err(failure),
        Err(Ok(_)) => Err(Failure::other("the example ended the host")),
    }
}
