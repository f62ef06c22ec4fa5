use kv_wasi::{Access, Error, ErrorKind, Guest, Host, KvCtx, KvCtxView, KvView};
use wasmtime::Engine;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) struct State(pub(crate) KvCtx, pub(crate) ResourceTable, pub(crate) WasiCtx);

impl KvView for State {
    fn kv(&mut self) -> KvCtxView<'_> {
        KvCtxView { ctx: &mut self.0, table: &mut self.1 }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.2, table: &mut self.1 }
    }
}

pub(crate) fn load(bytes: &[u8]) -> Result<(Guest, Engine), Error> {
    let engine = Engine::default();
    Ok((Host::new(Access::none()).load(&engine, bytes)?, engine))
}

pub(crate) fn linker(engine: &Engine) -> Linker<State> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    linker
}

pub(crate) fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

pub(crate) fn refusal(bytes: &[u8]) -> (ErrorKind, String) {
    match load(bytes) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => (error.kind(), error.to_string()),
    }
}

#[test]
fn what_is_no_component_is_told_so() {
    let (kind, told) = refusal(&text("(module)"));
    assert_eq!(kind, ErrorKind::NotAComponent);
    assert!(told.contains("core module"), "{told}");
    for bytes in [&b""[..], b"\0asm", b"hello, world"] {
        let (kind, told) = refusal(bytes);
        assert_eq!((kind, told.as_str()), (ErrorKind::NotAComponent, "it is not a WebAssembly component"));
    }
}

/// A component cut or changed anywhere is an error or a component, and never a panic.
#[test]
fn damage_is_an_error() {
    let whole = std::fs::read(crate::run::path("example-2023-wasi")).unwrap();
    for end in (0..whole.len()).step_by(509) {
        assert!(load(&whole[..end]).is_err());
    }
    for at in (8..whole.len()).step_by(997) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        let _ = load(&changed);
    }
}

#[test]
fn all_that_is_missing_is_listed_at_once() {
    let component = text(
        r#"(component
            (import "mine:own/first" (instance (export "one" (func)) (export "two" (func (param "x" u32)))))
            (import "mine:own/second@1.2.3" (instance (export "three" (func))))
            (import "wasi:cli/stdout@0.2.0" (instance (export "get-stdout" (func (result string)))))
            (import "wasi:clocks/wall-clock@0.2.0" (instance (export "tomorrow" (func (result u64)))))
            (import "wasi:random/random@0.2.0-rc-2023-11-10" (instance (export "get-random-u64" (func (result u32)))))
            (import "plain" (func)))"#,
    );
    let (guest, engine) = load(&component).unwrap();
    let error = guest.link(&linker(&engine)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Missing);
    let told = error.to_string();
    for line in [
        "mine:own/first (one, two)",
        "mine:own/second@1.2.3 (three)",
        "wasi:cli/stdout@0.2.0: get-stdout does not fit",
        "wasi:random/random@0.2.0-rc-2023-11-10: get-random-u64 does not fit",
        "plain",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    guest.link_or_trap(&linker(&engine)).unwrap().instantiate_pre(guest.component()).unwrap();
}

#[test]
fn a_shape_that_nobody_knows_is_refused_with_what_is_known() {
    let component = text(
        r#"(component
            (import "wasi:keyvalue/store@0.2.0-draft3" (instance (export "open-all" (func (result string))))))"#,
    );
    let (kind, told) = refusal(&component);
    assert_eq!(kind, ErrorKind::UnknownShape);
    assert!(told.contains("wasi:keyvalue@0.2.0-draft3") && told.contains("open-all"), "{told}");
    assert!(told.contains("golem-2023, 0.1.0, 0.2.0-draft, 0.2.0-draft2"), "{told}");
}
